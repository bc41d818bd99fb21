package import Layouts
import Outbox

/// Writes the configuration in force, for `--print-config`.
package enum ConfigurationYAML {
  private static let mask = "•••"

  /// The configuration as YAML: every setting of a file, defaults included, secrets as `•••`. What only a variable can
  /// set stands in comments.
  ///
  /// - Parameter catalog: The built-in layouts; another one is written out in full.
  package static func text(_ configuration: ExporterConfiguration, catalog: [Layout]) -> String {
    let entries: [(key: String, value: YAMLText)?] = [
      configuration.environment.map { ("environment", .scalar($0)) },
      configuration.stateDirectory.map { ("state_dir", .scalar($0)) },
      ("interval", .scalar(DurationText.text(configuration.interval))),
      ("database_share", .scalar("\(configuration.databaseShare)")),
      configuration.window.map { ("window", .scalar(DurationText.text($0))) },
      configuration.livenessFile.map { ("liveness_file", .scalar($0)) },
      configuration.exitAfterFailedCycles.map { ("exit_after_failed_cycles", .scalar("\($0)")) },
      ("log_level", .scalar(configuration.logLevel.rawValue)),
      ("end_series_on_stop", .scalar("\(configuration.endsSeriesOnStop)")),
      ("destinations", .mapping([("limit", .scalar("\(configuration.destinationLimit)"))])),
      (
        "spool",
        .mapping([
          ("max_bytes", .scalar("\(configuration.spool.byteLimit)")),
          ("max_age", .scalar(DurationText.text(configuration.spool.ageLimit))),
        ])
      ),
      ("timeouts", timeouts(configuration.timeouts)),
      ("resource_attributes", resource(configuration)),
      ("outboxes", .list(configuration.outboxes.map { outbox($0, catalog: catalog) })),
      ("export", .list(configuration.destinations.map(destination))),
    ]
    return YAMLText.mapping(entries.compactMap { $0 }).text + comments(configuration)
  }

  private static func comments(_ configuration: ExporterConfiguration) -> String {
    var lines: [String] = []
    if configuration.telemetryDisabled { lines.append("OTEL_SDK_DISABLED is true: nothing is pushed") }
    if configuration.metricsExporter != .otlp {
      lines.append("OTEL_METRICS_EXPORTER is \(configuration.metricsExporter.rawValue): nothing is pushed over OTLP")
    }
    if configuration.pushIsRefused { lines.append("--no-push is given: nothing is pushed") }
    if configuration.pushIsRequired { lines.append("--require-push is given: a push that fails is CRITICAL") }
    if !configuration.endpointIsConfigured { lines.append("no endpoint is set: `--once` does not push") }
    return lines.map { "# \($0)\n" }.joined()
  }

  private static func timeouts(_ timeouts: StoreTimeouts) -> YAMLText {
    .mapping([
      ("connect", .scalar(DurationText.text(timeouts.connect))),
      ("statement", .scalar(DurationText.text(timeouts.statement))),
      ("lock", .scalar(DurationText.text(timeouts.lock))),
    ])
  }

  private static func resource(_ configuration: ExporterConfiguration) -> YAMLText {
    .mapping(
      [("service.name", .scalar(configuration.serviceName))]
        + configuration.resourceAttributes.map { ($0.key, .scalar($0.value)) })
  }

  private static func outbox(_ outbox: OutboxDefinition, catalog: [Layout]) -> YAMLText {
    let layout: YAMLText =
      catalog.contains(outbox.layout)
      ? .scalar(outbox.layout.name)
      : .mapping([("name", .scalar(outbox.layout.name))] + LayoutYAML.entries(outbox.layout))
    let entries: [(key: String, value: YAMLText)?] = [
      ("name", .scalar(outbox.name)),
      ("dsn", .scalar(DSN.shown(outbox.address))),
      ("layout", layout),
      outbox.objective.map { objective in
        (
          "objective",
          .mapping([
            ("age", .scalar(DurationText.text(objective.age))), ("target", .scalar("\(objective.target)")),
          ])
        )
      },
      LayoutYAML.limits(outbox.limits).map { ("limits", $0) },
      verdicts(outbox.verdicts).map { ("verdicts", $0) },
      outbox.acknowledgements.isEmpty
        ? nil : ("acknowledged", .list(outbox.acknowledgements.map(acknowledgement))),
    ]
    return .mapping(entries.compactMap { $0 })
  }

  private static func acknowledgement(_ acknowledgement: Acknowledgement) -> YAMLText {
    let entries: [(key: String, value: YAMLText)?] = [
      ("dead", .scalar("\(acknowledgement.dead)")),
      acknowledgement.destination.map { ("destination", .scalar($0)) },
      ("reason", .scalar(acknowledgement.reason)), ("until", .scalar(acknowledgement.until)),
    ]
    return .mapping(entries.compactMap { $0 })
  }

  /// What verdicts mean, where that was changed.
  private static func verdicts(_ verdicts: VerdictHealth) -> YAMLText? {
    let changed = Verdict.allCases.filter { verdicts[$0] != VerdictHealth.standard[$0] }
    return changed.isEmpty
      ? nil : .mapping(changed.map { ($0.rawValue, .scalar(verdicts[$0].rawValue.lowercased())) })
  }

  private static func destination(_ destination: ExportDestination) -> YAMLText {
    let entries: [(key: String, value: YAMLText)?] = [
      (destination.transport == .grpc ? "endpoint" : "url", .scalar(destination.displayName)),
      ("protocol", .scalar(destination.transport.rawValue)),
      destination.headers.isEmpty
        ? nil : ("headers", .mapping(destination.headers.map { ($0.name, .scalar(mask)) })),
      ("timeout", .scalar(DurationText.text(destination.timeout ?? .zero))),
      ("compression", .scalar(destination.compression.rawValue)),
      destination.temporality == .cumulative
        ? nil : ("temporality_preference", .scalar(destination.temporality.rawValue)),
      destination.histograms == .explicitBuckets
        ? nil : ("default_histogram_aggregation", .scalar(destination.histograms.rawValue)),
      destination.requestLimit.map { ("max_request_bytes", .scalar("\($0)")) },
      destination.certificate.map { ("certificate", .scalar($0)) },
      destination.clientCertificate.map { ("client_certificate", .scalar($0)) },
      destination.clientKey.map { ("client_key", .scalar($0)) },
    ]
    return .mapping(entries.compactMap { $0 })
  }
}
