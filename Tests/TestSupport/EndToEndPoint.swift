import Glibc

/// One point of one series, told alike by every backend: names and labels as in PromQL.
package struct EndToEndPoint: Hashable, CustomStringConvertible {
  /// The metric's name in PromQL.
  package var metric: String
  /// The labels that stood on the data point; those that a backend adds are left out.
  package var labels: [String: String]
  /// The value; for a histogram the number of measurements.
  package var value: Double
  /// When it was measured, in seconds since 1970.
  package var time: Double

  /// The series: `metric{label="value",…}`, labels sorted.
  package var series: String { EndToEndPoint.series(metric, labels) }

  /// The outbox that it is about.
  package var outbox: String { labels["outbox_name"] ?? "" }

  package var description: String { "\(series) \(value) @\(time)" }

  /// The name of a series.
  package static func series(_ metric: String, _ labels: [String: String]) -> String {
    let text = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: ",")
    return "\(metric){\(text)}"
  }

  /// The points of the Collector's or rotel's listing; a series that ends is not among them.
  package static func points(_ dump: DebugDump) -> [EndToEndPoint] {
    dump.points.compactMap { point in
      guard let value = Double(point.value) ?? histogramCount(point.value) else { return nil }
      var labels: [String: String] = [:]
      // No attribute value in these tests holds a space, an equals sign or a bracket.
      for attribute in point.attributes.split(separator: " ") {
        let parts = attribute.split(separator: "=")
        let text = parts[1].drop { $0 != "(" }.dropFirst().dropLast()
        labels[underscored(String(parts[0]))] = String(text)
      }
      return EndToEndPoint(
        metric: EndToEndNames.inPromQL[point.metric] ?? "unknown metric \(point.metric)", labels: labels,
        value: value, time: Double(point.time) / 1e9)
    }
  }

  private static func histogramCount(_ value: String) -> Double? {
    let words = value.split(separator: " ")
    return words.first == "count" ? Double(words[1]) : nil
  }

  /// The points in the answer of Prometheus or VictoriaMetrics to a query: of a range vector all, else the last ones.
  package static func points(_ answer: ParsedJSON) -> [EndToEndPoint] {
    (answer["data"]?["result"]?.elements ?? []).flatMap { series -> [EndToEndPoint] in
      var labels: [String: String] = [:]
      var metric = ""
      for (name, value) in series["metric"]?.members ?? [:] {
        if name == "__name__" {
          metric = value.text ?? ""
        } else if isOfPoint(name) {
          labels[name] = value.text ?? ""
        }
      }
      let values = series["values"]?.elements ?? [series["value"] ?? .null]
      return values.compactMap { pair in
        guard pair.elements.count == 2, let time = Double(pair.elements[0].text ?? ""),
          let value = Double(pair.elements[1].text ?? "")
        else { return nil }
        return EndToEndPoint(metric: metric, labels: labels, value: value, time: time)
      }
    }
  }

  /// Prometheus adds job and instance, VictoriaMetrics the attributes of resource and scope.
  private static func isOfPoint(_ label: String) -> Bool {
    let added = [
      "job", "instance", "service_name", "service_instance_id", "service_version", "scope_name", "scope_version",
    ]
    return !added.contains(label) && !label.hasPrefix("telemetry_sdk_")
  }

  private static func underscored(_ name: String) -> String { String(name.map { $0 == "." ? "_" : $0 }) }
}

extension OTLPReceiver {
  /// The answer of Prometheus or VictoriaMetrics to a query at this moment, as points.
  package func query(_ expression: String) throws -> [EndToEndPoint] {
    EndToEndPoint.points(try answer(expression))
  }

  /// The answer itself, with all labels.
  package func answer(_ expression: String) throws -> ParsedJSON {
    // VictoriaMetrics shows what came in during the last second only after it was told to; Prometheus answers 404.
    _ = try get("/internal/force_flush")
    // It also cuts the time of a query to whole seconds, so the next one is asked for.
    let time = Int(wallSeconds()) + 1
    return try json("/api/v1/query?nocache=1&time=\(time)&query=" + percentEncoded(expression))
  }
}

extension OTLPReceiver {
  /// How many exports of the exporter the Collector or rotel has listed.
  package var exportsListed: Int { occurrences(of: "outbox.build\n", in: output) }
}

/// How often a text occurs in another one; fast even where the text is long.
private func occurrences(of part: String, in text: String) -> Int {
  var count = 0
  unsafe text.withCString { start in
    var rest = unsafe strstr(start, part)
    while unsafe rest != nil {
      count += 1
      unsafe rest = unsafe strstr(rest! + 1, part)
    }
  }
  return count
}

/// The names of the metrics, written by hand from the table of the documentation.
package enum EndToEndNames {
  /// The name in PromQL by the name in OTLP.
  package static let inPromQL = [
    "outbox.depth": "outbox_depth",
    "outbox.event.age": "outbox_event_age_seconds",
    "outbox.stuck": "outbox_stuck",
    "outbox.stuck.age": "outbox_stuck_age_seconds",
    "outbox.dlq.depth": "outbox_dlq_depth",
    "outbox.dlq.age": "outbox_dlq_age_seconds",
    "outbox.enqueued": "outbox_enqueued_total",
    "outbox.requeued": "outbox_requeued_total",
    "outbox.deliveries": "outbox_deliveries_total",
    "outbox.delivery.duration": "outbox_delivery_duration_seconds",
    "outbox.slo.events": "outbox_slo_events_total",
    "outbox.objective.age": "outbox_objective_age_seconds",
    "outbox.objective.target": "outbox_objective_target",
    "outbox.verdict": "outbox_verdict",
    "outbox.drain.time": "outbox_drain_time_seconds",
    "outbox.spool.depth": "outbox_spool_depth",
    "outbox.spool.age": "outbox_spool_age_seconds",
    "outbox.spool.dropped": "outbox_spool_dropped_total",
    "outbox.up": "outbox_up",
    "outbox.sample.failures": "outbox_sample_failures_total",
    "outbox.sample.time": "outbox_sample_time_seconds",
    "outbox.sample.interval": "outbox_sample_interval_seconds",
    "outbox.sample.duration": "outbox_sample_duration_seconds",
    "outbox.sample.exact": "outbox_sample_exact",
    "outbox.sample.skipped": "outbox_sample_skipped_total",
    "outbox.events.implausible": "outbox_events_implausible",
    "outbox.replica.lag": "outbox_replica_lag_seconds",
    "outbox.build": "outbox_build",
    "otel.sdk.exporter.metric_data_point.exported": "otel_sdk_exporter_metric_data_point_exported_total",
    "otel.sdk.exporter.metric_data_point.inflight": "otel_sdk_exporter_metric_data_point_inflight",
    "otel.sdk.exporter.operation.duration": "otel_sdk_exporter_operation_duration_seconds",
  ]

  /// The metrics that count what moves.
  package static let movements: Set = [
    "outbox_enqueued_total", "outbox_requeued_total", "outbox_deliveries_total", "outbox_delivery_duration_seconds",
    "outbox_slo_events_total",
  ]

  /// The metrics that say what a store holds.
  package static let figures: Set = [
    "outbox_depth", "outbox_event_age_seconds", "outbox_stuck", "outbox_stuck_age_seconds", "outbox_dlq_depth",
    "outbox_dlq_age_seconds", "outbox_events_implausible",
  ]
}
