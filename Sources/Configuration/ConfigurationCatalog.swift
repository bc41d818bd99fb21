/// One setting: what it is called, what it is unless it is set, what it does.
package struct ConfigurationKey: Sendable, Hashable {
  /// The flag with its dashes, the variable, or the path of the key in the file: `outboxes[].limits.age.warning`.
  package let name: String
  /// What holds where it is not set; nil where that is nothing.
  package let standard: String?
  /// One sentence for the README and for `--help`.
  package let meaning: String

  init(_ name: String, _ standard: String? = nil, _ meaning: String) {
    self.name = name
    self.standard = standard
    self.meaning = meaning
  }
}

/// Every flag, variable and file key that there is, once. The README's tables, `--help` and the check for unknown keys
/// all come from here.
package enum ConfigurationCatalog {
  /// The flags of `outbox-exporter run`.
  package static let flags: [ConfigurationKey] = [
    .init("--once", nil, "Run one cycle, say why, and exit with 0, 1, 2 or 3."),
    .init(
      "--window", nil,
      "`--once` samples over and over for so long, 1s to 1h, and judges by that alone instead of by earlier runs."),
    .init("--config", nil, "The configuration file, in YAML."),
    .init(
      "--dsn", nil, "Where the outbox is: a libpq URL or conninfo without a password, `sqlite:PATH` or `files:DIR`."),
    .init("--layout", nil, "How the outbox is laid out; `outbox-exporter layouts` lists them."),
    .init("--name", "the layout's name", "What the outbox is called in metrics."),
    .init("--environment", nil, "Stands on every data point as `outbox.environment`."),
    .init("--state-dir", "none; with `--once` `$XDG_STATE_HOME/outbox-exporter`", "What is kept between runs."),
    .init("--liveness-file", nil, "A file that every completed cycle touches."),
    .init("--interval", "15s", "Time between the starts of two cycles."),
    .init(
      "--database-share", "1%",
      "The most of a database's time that the sidecar takes. Counts that cost more are taken less often, every 4m at "
        + "the least; `100%` counts in every cycle."),
    .init("--endpoint", nil, "As `OTEL_EXPORTER_OTLP_ENDPOINT`."),
    .init("--exit-after-failed-cycles", nil, "End with status 69 after so many cycles in a row without any success."),
    .init("--log-level", "info", "trace, debug, info, notice, warning, error or critical."),
    .init("--format", "text", "What `--once` prints: text, json or nagios."),
    .init("--no-ids", nil, "`--once` names no event."),
    .init("--quiet", nil, "`--once` prints nothing on standard output where it ends with 0."),
    .init("--no-push", nil, "`--once` pushes nothing, whatever endpoint is configured."),
    .init("--require-push", nil, "`--once` is CRITICAL where its push fails; without an endpoint it is a mistake."),
    .init("--print-config", nil, "Print the configuration in force, secrets masked, and exit."),
  ]

  /// The environment variables. An empty one is as good as unset.
  package static let variables: [ConfigurationKey] = [
    .init("OUTBOX_DSN", nil, "As `--dsn`; a password may stand in it."),
    .init("OUTBOX_LAYOUT", nil, "As `--layout`."),
    .init("OUTBOX_NAME", "the layout's name", "As `--name`."),
    .init("OUTBOX_ENVIRONMENT", "`deployment.environment.name`", "As `--environment`."),
    .init("OUTBOX_CONFIG", nil, "As `--config`."),
    .init("OUTBOX_STATE_DIR", nil, "As `--state-dir`."),
    .init("OUTBOX_WINDOW", nil, "As `--window`."),
    .init("OUTBOX_LIVENESS_FILE", nil, "As `--liveness-file`."),
    .init("OUTBOX_DATABASE_SHARE", "1%", "As `--database-share`."),
    .init(
      "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318, with gRPC http://localhost:4317",
      "Base URL of the endpoint; `/v1/metrics` is appended. With gRPC scheme, host and port."
    ),
    .init(
      "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", nil, "URL of the endpoint, used as it is; beats the one above."),
    .init("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "`http/protobuf`, `http/json` or `grpc`."),
    .init("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", nil, "Beats the one above."),
    .init(
      "OTEL_EXPORTER_OTLP_INSECURE", "false",
      "`true`: a gRPC endpoint without a scheme, `host:port`, is spoken to without TLS."),
    .init("OTEL_EXPORTER_OTLP_METRICS_INSECURE", nil, "Beats the one above."),
    .init("OTEL_EXPORTER_OTLP_HEADERS", nil, "`name=value,…`, sent with every request; values percent-encoded."),
    .init("OTEL_EXPORTER_OTLP_METRICS_HEADERS", nil, "Replaces the one above as a whole."),
    .init("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "The most milliseconds that one attempt takes; 0 for no limit."),
    .init("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", nil, "Beats the one above."),
    .init("OTEL_EXPORTER_OTLP_COMPRESSION", "none", "`gzip` or `none`."),
    .init("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", nil, "Beats the one above."),
    .init(
      "OTEL_EXPORTER_OTLP_CERTIFICATE", nil, "PEM file with the only authorities to trust, instead of the system's."),
    .init("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", nil, "Beats the one above."),
    .init("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", nil, "PEM file with the client's certificate and its chain."),
    .init("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", nil, "Beats the one above."),
    .init("OTEL_EXPORTER_OTLP_CLIENT_KEY", nil, "PEM file with the client's key, not encrypted."),
    .init("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", nil, "Beats the one above."),
    .init(
      "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative",
      "`delta`: counters and histograms say what came since the last time; `lowmemory`: histograms, and the counters that "
        + "are not read from a store."),
    .init(
      "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram",
      "`base2_exponential_bucket_histogram`: buckets that grow by a constant factor, at most 160."),
    .init(
      "OTEL_METRIC_EXPORT_INTERVAL", "15000 (the specification has 60000)", "As `--interval`, in milliseconds."),
    .init(
      "OTEL_METRIC_EXPORT_TIMEOUT", "30000", "The most milliseconds that the push of `--once` takes, 30000 at most."),
    .init(
      "OTEL_METRICS_EXPORTER", "otlp",
      "`otlp`, `console` (standard output; standard error with `--quiet` or a `--format` other than text) or `none`."),
    .init("OTEL_SDK_DISABLED", "false", "`true`: watch, but push nothing."),
    .init("OTEL_SERVICE_NAME", "outbox-exporter", "`service.name` of the exporter."),
    .init("OTEL_RESOURCE_ATTRIBUTES", nil, "`key=value,…`, percent-encoded; on any mistake all of it is ignored."),
    .init("OTEL_LOG_LEVEL", "info", "As `--log-level`."),
    .init("XDG_STATE_HOME", "`$HOME/.local/state`", "Where `--once` keeps its state directory."),
    .init("NO_COLOR", nil, "Set to anything: no colour on the terminal."),
    .init("NOTIFY_SOCKET", nil, "Set by systemd for a unit of `Type=notify`: it is told of start, health and end."),
  ]

  /// The keys of the file. `[]` is an item of a list, `<name>` a name of the user's choice.
  package static let fileKeys: [ConfigurationKey] = general + outboxKeys + exportKeys + layoutKeys

  /// The flag of that name, for `--help`.
  package static func flag(_ name: String) -> ConfigurationKey {
    flags.first { $0.name == name } ?? ConfigurationKey(name, nil, "")
  }

  /// The keys directly below a path, in the order of the list.
  static func children(of path: String) -> [String] {
    let prefix = path.isEmpty ? "" : path + "."
    var seen: Set<String> = []
    return fileKeys.compactMap { key in
      guard key.name.hasPrefix(prefix) else { return nil }
      let child = key.name.dropFirst(prefix.count).prefix { $0 != "." && $0 != "[" }
      return !child.isEmpty && seen.insert(String(child)).inserted ? String(child) : nil
    }
  }
}
