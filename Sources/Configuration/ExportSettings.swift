import Outbox

extension ConfigurationReader {
  mutating func readExport(_ value: FileValue?, into configuration: inout ExporterConfiguration) {
    configuration.telemetryDisabled = isTrue("OTEL_SDK_DISABLED")
    if let exporter = word(of: ["OTEL_METRICS_EXPORTER"], among: MetricsExporter.allCases.map(\.rawValue)) {
      configuration.metricsExporter = MetricsExporter(rawValue: exporter) ?? .otlp
    }
    if let timeout = milliseconds(of: ["OTEL_METRIC_EXPORT_TIMEOUT"]) {
      configuration.exportTimeout = timeout == .zero ? nil : timeout
    }
    warnAboutUnsupportedVariables()

    let endpoint = Self.otlpVariables("ENDPOINT")
    if options.endpoint == nil, firstSet(endpoint) == nil, let value {
      warnAboutUnusedVariables()
      let items = items(value)
      if value.isEmptyList {
        problem(place(value), "`export` names no endpoint", "leave the key away, or name one")
      }
      configuration.destinations = items.compactMap { destination($0) }
      configuration.endpointIsConfigured = true
    } else {
      configuration.endpointIsConfigured = options.endpoint != nil || firstSet(endpoint) != nil
      configuration.destinations = destinationOfVariables().map { [$0] } ?? []
    }
  }

  // MARK: The one endpoint of flag and variables

  private mutating func destinationOfVariables() -> ExportDestination? {
    checkProtocolOfVariables()
    let url: EndpointURL?
    if let flag = options.endpoint {
      url = endpoint(flag, at: .flag("--endpoint"))?.appendingMetricsPath
    } else if let text = variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
      url = endpoint(text, at: .variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))?.asIs
    } else {
      let text = variable("OTEL_EXPORTER_OTLP_ENDPOINT") ?? EndpointURL.standard
      url = endpoint(text, at: .variable("OTEL_EXPORTER_OTLP_ENDPOINT"))?.appendingMetricsPath
    }
    let headers = headersOfVariables()
    let timeout = milliseconds(of: Self.otlpVariables("TIMEOUT"))
    let compression = word(of: Self.otlpVariables("COMPRESSION"), among: ["gzip", "none"])
    let certificate = pemFile("CERTIFICATE")
    let clientCertificate = pemFile("CLIENT_CERTIFICATE")
    let clientKey = pemFile("CLIENT_KEY")
    if (clientCertificate == nil) != (clientKey == nil) {
      let (set, missing) =
        clientKey == nil ? ("CLIENT_CERTIFICATE", "CLIENT_KEY") : ("CLIENT_KEY", "CLIENT_CERTIFICATE")
      let name = firstSet(Self.otlpVariables(set))?.name ?? ""
      problem(.variable(name), "is set without its other half", "set OTEL_EXPORTER_OTLP_\(missing) too")
    }
    guard let url else { return nil }
    var destination = ExportDestination(url: Secret(url.text), displayName: url.displayName)
    destination.headers = headers
    if let timeout { destination.timeout = timeout == .zero ? nil : timeout }
    destination.compression = compression == "gzip" ? .gzip : .none
    destination.certificate = certificate
    destination.clientCertificate = clientCertificate
    destination.clientKey = clientKey
    return destination
  }

  private mutating func checkProtocolOfVariables() {
    let names = Self.otlpVariables("PROTOCOL")
    guard let word = word(of: names, among: ["http/protobuf", "grpc", "http/json"]), word != "http/protobuf" else {
      return
    }
    let name = names.first { variable($0)?.lowercased() == word } ?? names[1]
    problem(
      .variable(name), "the protocol `\(word)` is not there yet", "use http/protobuf; a collector takes it on port 4318"
    )
  }

  private mutating func headersOfVariables() -> [ExportHeader] {
    guard let (name, text) = firstSet(Self.otlpVariables("HEADERS")) else { return [] }
    let list = HeaderList.parse(text)
    for message in list.problems {
      warn(.variable(name), "\(message), so it is ignored", "write name=value,name=value")
    }
    return list.headers
  }

  private mutating func pemFile(_ option: String) -> String? {
    guard let (name, path) = firstSet(Self.otlpVariables(option)) else { return nil }
    return checkPEM(path, at: .variable(name))
  }

  private mutating func warnAboutUnsupportedVariables() {
    if variable("OTEL_CONFIG_FILE") != nil {
      warn(
        .variable("OTEL_CONFIG_FILE"), "is not supported and is ignored", "use --config with a file of this exporter")
    }
    let temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    if let word = word(of: [temporality], among: ["cumulative", "delta", "lowmemory"]), word != "cumulative" {
      warn(.variable(temporality), "`\(word)` is not supported; counters are cumulative")
    }
    let aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    let known = ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]
    if let word = word(of: [aggregation], among: known), word != known[0] {
      warn(.variable(aggregation), "`\(word)` is not supported; histograms have explicit buckets")
    }
  }

  private mutating func warnAboutUnusedVariables() {
    let options = ["PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"]
    for name in options.flatMap({ Self.otlpVariables($0).reversed() }) where variable(name) != nil {
      warn(
        .variable(name), "is not used, since the file's `export` is in force",
        "write it there, or set OTEL_EXPORTER_OTLP_ENDPOINT")
    }
  }

  // MARK: The endpoints of the file

  private mutating func destination(_ item: FileValue) -> ExportDestination? {
    guard let keys = mapping(item) else { return nil }
    let headers = headers(keys)
    let timeout = duration(keys["timeout"])
    let compression: ExportDestination.Compression? = choice(keys["compression"])
    let certificate = pemFile(keys["certificate"])
    let clientCertificate = pemFile(keys["client_certificate"])
    let clientKey = pemFile(keys["client_key"])
    if (keys["client_certificate"] == nil) != (keys["client_key"] == nil) {
      problem(place(item), "`client_certificate` and `client_key` belong together", "set both, or none")
    }
    if let text = text(keys["protocol"]), text.text.lowercased() != "http/protobuf" {
      let known = ["grpc", "http/json"].contains(text.text.lowercased())
      problem(
        text.place, known ? "the protocol `\(text.shown)` is not there yet" : "`\(text.shown)` is not a protocol",
        "use http/protobuf; a collector takes it on port 4318")
    }
    guard let url = url(keys, at: place(item)) else { return nil }
    var destination = ExportDestination(url: Secret(url.text), displayName: url.displayName)
    destination.headers = headers
    if let timeout { destination.timeout = timeout == .zero ? nil : timeout }
    destination.compression = compression ?? .none
    destination.certificate = certificate
    destination.clientCertificate = clientCertificate
    destination.clientKey = clientKey
    return destination
  }

  private mutating func url(_ keys: [String: FileValue], at place: ConfigurationPlace) -> EndpointURL? {
    switch (keys["endpoint"], keys["url"]) {
    case (let value?, nil):
      return string(value).flatMap { endpoint($0, at: self.place(value)) }?.appendingMetricsPath
    case (nil, let value?): return string(value).flatMap { endpoint($0, at: self.place(value)) }?.asIs
    case (nil, nil): problem(place, "`endpoint` is missing", "for example endpoint: \(EndpointURL.standard)")
    case (_?, let url?): problem(self.place(url), "both `endpoint` and `url` are set", "keep one of them")
    }
    return nil
  }

  /// The headers of `headers_file`, then those written in the file, which win.
  private mutating func headers(_ keys: [String: FileValue]) -> [ExportHeader] {
    var list = HeaderList.Result()
    if let value = keys["headers_file"], let path = string(value),
      let text = textOfFile(path, named: place(value))
    {
      list = HeaderList.parse(lines: text)
      for message in list.problems { problem(place(value), message, "one `Name: value` a line") }
    }
    for (name, place, value) in namedEntries(keys["headers"], "<name>") {
      guard let text = text(value) else { continue }
      list.problems = []
      list.add(name, text.text, at: "the header")
      for message in list.problems { problem(place, message) }
    }
    return list.headers
  }

  private mutating func pemFile(_ value: FileValue?) -> String? {
    guard let value, let path = string(value) else { return nil }
    return checkPEM(path, at: place(value))
  }

  // MARK: Both

  private mutating func endpoint(_ text: String, at place: ConfigurationPlace) -> EndpointURL? {
    do throws(EndpointURL.Problem) {
      return try EndpointURL(text)
    } catch {
      problem(place, error.message, error.hint)
      return nil
    }
  }

  /// A certificate that is missing, or is none, is found at the start rather than at the first push.
  private mutating func checkPEM(_ path: String, at place: ConfigurationPlace) -> String? {
    guard let text = textOfFile(path, named: place) else { return nil }
    guard text.contains("-----BEGIN ") else {
      problem(place, "the file is not in PEM form", "it has to hold a line that begins with `-----BEGIN`")
      return nil
    }
    return path
  }
}
