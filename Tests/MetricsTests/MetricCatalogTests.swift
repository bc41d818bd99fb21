import Metrics
import Testing

@Suite struct `The metric catalogue` {
  /// The rows of the design's table, for the metrics that exist: name, instrument, unit, attributes, name in PromQL.
  static let rows: [(String, InstrumentKind, String, [String], String)] = [
    (
      "outbox.depth", .upDownCounter, "{event}", ["outbox.destination", "outbox.state", "outbox.retry"],
      "outbox_depth"
    ),
    (
      "outbox.event.age", .gauge, "s", ["outbox.destination", "outbox.stat", "outbox.retry"],
      "outbox_event_age_seconds"
    ),
    ("outbox.stuck", .upDownCounter, "{event}", ["outbox.destination", "outbox.stuck.reason"], "outbox_stuck"),
    ("outbox.stuck.age", .gauge, "s", ["outbox.stuck.reason"], "outbox_stuck_age_seconds"),
    ("outbox.dlq.depth", .upDownCounter, "{event}", ["outbox.destination"], "outbox_dlq_depth"),
    ("outbox.dlq.age", .gauge, "s", [], "outbox_dlq_age_seconds"),
    ("outbox.enqueued", .counter, "{event}", ["outbox.destination", "outbox.accounting"], "outbox_enqueued_total"),
    ("outbox.requeued", .counter, "{event}", ["outbox.destination", "outbox.accounting"], "outbox_requeued_total"),
    (
      "outbox.deliveries", .counter, "{disposition}",
      ["outbox.destination", "outbox.disposition", "outbox.accounting"], "outbox_deliveries_total"
    ),
    (
      "outbox.delivery.duration", .histogram, "s", ["outbox.destination", "outbox.accounting"],
      "outbox_delivery_duration_seconds"
    ),
    (
      "outbox.slo.events", .counter, "{event}", ["outbox.destination", "outbox.slo.result", "outbox.accounting"],
      "outbox_slo_events_total"
    ),
    ("outbox.objective.age", .gauge, "s", [], "outbox_objective_age_seconds"),
    ("outbox.objective.target", .gauge, "", [], "outbox_objective_target"),
    ("outbox.verdict", .gauge, "", ["outbox.destination", "outbox.verdict"], "outbox_verdict"),
    ("outbox.drain.time", .gauge, "s", [], "outbox_drain_time_seconds"),
    ("outbox.up", .gauge, "", ["outbox.layout", "db.system.name"], "outbox_up"),
    ("outbox.sample.failures", .counter, "{sample}", ["error.type"], "outbox_sample_failures_total"),
    ("outbox.sample.time", .gauge, "s", ["outbox.sample.kind"], "outbox_sample_time_seconds"),
    ("outbox.sample.interval", .gauge, "s", ["outbox.sample.kind"], "outbox_sample_interval_seconds"),
    ("outbox.sample.duration", .histogram, "s", ["outbox.sample.kind"], "outbox_sample_duration_seconds"),
    ("outbox.sample.exact", .gauge, "", [], "outbox_sample_exact"),
    ("outbox.sample.skipped", .counter, "{cycle}", [], "outbox_sample_skipped_total"),
    ("outbox.events.implausible", .upDownCounter, "{event}", [], "outbox_events_implausible"),
    ("outbox.replica.lag", .gauge, "s", [], "outbox_replica_lag_seconds"),
    (
      "outbox.spool.depth", .upDownCounter, "{batch}", ["otel.component.name", "server.address", "server.port"],
      "outbox_spool_depth"
    ),
    (
      "outbox.spool.age", .gauge, "s", ["otel.component.name", "server.address", "server.port"],
      "outbox_spool_age_seconds"
    ),
    (
      "outbox.spool.dropped", .counter, "{data_point}",
      ["otel.component.name", "server.address", "server.port", "outbox.drop.reason"], "outbox_spool_dropped_total"
    ),
    ("outbox.build", .gauge, "", ["version", "revision"], "outbox_build"),
    // OpenTelemetry semantic conventions, docs/otel/sdk-metrics.md.
    (
      "otel.sdk.exporter.metric_data_point.exported", .counter, "{data_point}",
      ["otel.component.type", "otel.component.name", "server.address", "server.port", "error.type"],
      "otel_sdk_exporter_metric_data_point_exported_total"
    ),
    (
      "otel.sdk.exporter.metric_data_point.inflight", .upDownCounter, "{data_point}",
      ["otel.component.type", "otel.component.name", "server.address", "server.port"],
      "otel_sdk_exporter_metric_data_point_inflight"
    ),
    (
      "otel.sdk.exporter.operation.duration", .histogram, "s",
      [
        "otel.component.type", "otel.component.name", "server.address", "server.port", "error.type",
        "http.response.status_code",
      ],
      "otel_sdk_exporter_operation_duration_seconds"
    ),
  ]

  @Test func `holds the metrics of the design, and no other`() throws {
    #expect(MetricCatalog.all.map(\.name) == Self.rows.map(\.0))
    for (name, kind, unit, attributes, prometheusName) in Self.rows {
      let instrument = try #require(MetricCatalog.all.first { $0.name == name })
      #expect(instrument.kind == kind, "\(name)")
      #expect(instrument.unit == unit, "\(name)")
      #expect(instrument.attributes == attributes, "\(name)")
      #expect(instrument.prometheusName == prometheusName, "\(name)")
      #expect(instrument.description.hasSuffix("."), "\(name)")
    }
  }

  @Test func `has names and units as the metrics API wants them, each name once [156] [157]`() {
    #expect(Set(MetricCatalog.all.map { $0.name.lowercased() }).count == MetricCatalog.all.count)
    for instrument in MetricCatalog.all {
      #expect(instrument.name.wholeMatch(of: /[A-Za-z][A-Za-z0-9_.\-\/]{0,254}/) != nil, "\(instrument.name)")
      #expect(instrument.unit.wholeMatch(of: /[\x00-\x7f]{0,63}/) != nil, "\(instrument.name)")
      #expect(Set(instrument.attributes).count == instrument.attributes.count, "\(instrument.name)")
    }
  }

  @Test func `has the names in PromQL that Prometheus makes`() {
    for instrument in MetricCatalog.all {
      #expect(instrument.prometheusName == translated(instrument), "\(instrument.name)")
    }
    // A histogram takes three more names, which must not be anybody else's.
    let names = MetricCatalog.all.flatMap { instrument in
      instrument.kind == .histogram
        ? ["_bucket", "_count", "_sum"].map { instrument.prometheusName + $0 } : [instrument.prometheusName]
    }
    #expect(Set(names).count == names.count)
  }

  @Test func `is translated by rules that know other units too`() {
    func name(_ name: String, _ kind: InstrumentKind, _ unit: String) -> String {
      translated(
        Instrument(name: name, kind: kind, unit: unit, description: "", attributes: [], prometheusName: ""))
    }
    // From the tests of prometheus/otlptranslator.
    #expect(name("system.filesystem.usage", .gauge, "By") == "system_filesystem_usage_bytes")
    #expect(name("unique metric-Name", .counter, "{x}") == "unique_metric_Name_total")
    #expect(name("storage.total", .counter, "s") == "storage_seconds_total")
    #expect(name("hw.ratio", .gauge, "1") == "hw_ratio")
    #expect(name("wait.seconds", .gauge, "s") == "wait_seconds")
    #expect(name("2.wait", .gauge, "") == "_2_wait")
  }

  /// Prometheus' default translation, written from its description (prometheus/otlptranslator, "Metric name").
  private func translated(_ instrument: Instrument) -> String {
    let words = ["s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent", "Cel": "celsius"]
    var tokens = instrument.name.split { !$0.isASCII || !($0.isLetter || $0.isNumber) }.map(String.init)
    if !instrument.unit.contains("{"), instrument.unit != "1", !instrument.unit.isEmpty {
      let word = words[instrument.unit] ?? instrument.unit
      if !tokens.contains(word) { tokens.append(word) }
    }
    if instrument.kind == .counter {
      tokens.removeAll { $0 == "total" }
      tokens.append("total")
    }
    if instrument.kind == .gauge, instrument.unit == "1" {
      tokens.removeAll { $0 == "ratio" }
      tokens.append("ratio")
    }
    let name = tokens.joined(separator: "_")
    return name.first?.isNumber == true ? "_" + name : name
  }
}
