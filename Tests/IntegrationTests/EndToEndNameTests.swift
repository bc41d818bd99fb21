import Metrics
import TestSupport
import Testing

/// The names that Prometheus and VictoriaMetrics make of the metrics are those that the documentation promises.
@Suite(withPostgreSQL, programs("prometheus", "victoria-metrics", "sqlite3"))
struct EndToEndNameTests {
  /// Name in PromQL and labels, `outbox_environment` aside, by hand from the table of the documentation.
  static let labels: [String: Set<String>] = [
    "outbox_depth": ["outbox_name", "outbox_destination", "outbox_state", "outbox_retry"],
    "outbox_event_age_seconds": ["outbox_name", "outbox_destination", "outbox_stat", "outbox_retry"],
    "outbox_stuck": ["outbox_name", "outbox_destination", "outbox_stuck_reason"],
    "outbox_stuck_age_seconds": ["outbox_name", "outbox_stuck_reason"],
    "outbox_dlq_depth": ["outbox_name", "outbox_destination"],
    "outbox_dlq_age_seconds": ["outbox_name"],
    "outbox_enqueued_total": movementLabels,
    "outbox_requeued_total": movementLabels,
    "outbox_deliveries_total": movementLabels.union(["outbox_disposition"]),
    "outbox_delivery_duration_seconds": movementLabels,
    "outbox_slo_events_total": movementLabels.union(["outbox_slo_result"]),
    "outbox_objective_age_seconds": ["outbox_name"],
    "outbox_objective_target": ["outbox_name"],
    "outbox_verdict": ["outbox_name", "outbox_verdict"],
    "outbox_drain_time_seconds": ["outbox_name"],
    "outbox_spool_depth": spoolLabels,
    "outbox_spool_age_seconds": spoolLabels,
    "outbox_spool_dropped_total": spoolLabels.union(["outbox_drop_reason"]),
    "outbox_up": ["outbox_name", "outbox_layout", "db_system_name"],
    "outbox_sample_failures_total": ["outbox_name", "error_type"],
    "outbox_sample_time_seconds": ["outbox_name", "outbox_sample_kind"],
    "outbox_sample_interval_seconds": ["outbox_name", "outbox_sample_kind"],
    "outbox_sample_duration_seconds": ["outbox_name", "outbox_sample_kind"],
    "outbox_sample_exact": ["outbox_name"],
    "outbox_sample_skipped_total": ["outbox_name"],
    "outbox_events_implausible": ["outbox_name"],
    "outbox_replica_lag_seconds": ["outbox_name"],
    "outbox_build": ["version", "revision"],
    "otel_sdk_exporter_metric_data_point_exported_total": selfLabels,
    "otel_sdk_exporter_metric_data_point_inflight": selfLabels,
    "otel_sdk_exporter_operation_duration_seconds": selfLabels,
  ]
  static let movementLabels: Set = ["outbox_name", "outbox_destination", "outbox_accounting"]
  static let spoolLabels: Set = ["otel_component_name", "server_address", "server_port"]
  /// Metrics that need a trend, which a test of a few cycles does not have.
  static let trends: Set = ["outbox_drain_time_seconds"]
  static let selfLabels: Set = ["otel_component_type", "otel_component_name", "server_address", "server_port"]
  /// What stands on some series of the self-metrics only: on failures, and where there was an answer.
  static let optionalLabels: Set = ["error_type", "http_response_status_code"]

  @Test func `every metric occurs in both backends under its documented name, with its documented labels`() async throws
  {
    let directory = try TemporaryDirectory()
    // Deliveries of a watched directory are seen, so that its objective has events.
    try directory.write("", to: "promised/failed/nothing")
    let files = try EndToEndSQLiteStores(in: directory, base: Int(wallSeconds()))
    let databases = try EndToEndPostgreSQLStores()
    let replica = try TemporaryPostgres(replicaOf: databases.database.server)
    let copy = TemporaryDatabase(name: databases.database.name, server: replica)
    let prometheus = try OTLPReceiver.prometheus()
    let victoria = try OTLPReceiver.victoriaMetrics()
    let exporter = try EndToEndExporter(
      """
      environment: test
      interval: 300ms
      outboxes:
      \(files.configuration)\(databases.configuration)
        - {name: replica, dsn: "\(copy.conninfo())", layout: kaireon}
        - {name: promised, dsn: "files:\(directory.path)/promised", layout: openclaw-files, objective: {age: 9s, target: 0.9}}
        - {name: broken, dsn: "files:\(directory.path)/mistyped/queue", layout: openclaw-files}
      export:
        - {url: "\(prometheus.endpoint)"}
        - {url: "\(victoria.endpoint)"}
        - {url: "\(prometheus.base)/nothing/here"}
      """)
    for backend in [prometheus, victoria] {
      #expect(
        try await happens {
          try !backend.query("otel_sdk_exporter_operation_duration_seconds_count{error_type!=\"\"}").isEmpty
            && !backend.query("outbox_replica_lag_seconds").isEmpty
            && !backend.query("outbox_slo_events_total").isEmpty || !exporter.isRunning
        }, "\(exporter.log)")
      expectDocumentedNames(try backend.query("{__name__=~\"outbox.*|otel.*\"}"))
    }
    #expect(exporter.stop() == 0)
  }

  private func expectDocumentedNames(_ points: [EndToEndPoint]) {
    var names: Set<String> = []
    for point in points {
      var name = point.metric
      var labels = Set(point.labels.keys)
      for suffix in ["_bucket", "_count", "_sum"] where name.hasSuffix(suffix) { name.removeLast(suffix.count) }
      if point.metric.hasSuffix("_bucket") { #expect(labels.remove("le") != nil, "\(point)") }
      names.insert(name)
      #expect(labels.remove("outbox_environment") != nil, "\(point)")
      if name.hasPrefix("otel_") { labels.subtract(Self.optionalLabels) }
      // Only the verdicts on destinations that are not well carry their destination.
      if name == "outbox_verdict" { labels.remove("outbox_destination") }
      #expect(labels == Self.labels[name], "\(point)")
    }
    #expect(names.union(Self.trends) == Set(Self.labels.keys))
    for histogram in ["outbox_sample_duration_seconds", "otel_sdk_exporter_operation_duration_seconds"] {
      for suffix in ["_bucket", "_count", "_sum"] {
        #expect(points.contains { $0.metric == histogram + suffix }, "\(histogram)\(suffix)")
      }
    }
  }

  @Test func `the list of metrics in the code says the same`() {
    let listed = Dictionary(uniqueKeysWithValues: MetricCatalog.all.map { ($0.name, $0.prometheusName) })
    #expect(listed == EndToEndNames.inPromQL)
    #expect(Set(listed.values) == Set(Self.labels.keys))
  }
}
