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
    let transport = transportOfVariables()
    let url: EndpointURL?
    if let flag = options.endpoint {
      if flag.contains("?") {
        problem(
          .flag("--endpoint"),
          "a query, which may hold a token, must not stand in a flag, where every user of the machine can read it",
          "use OTEL_EXPORTER_OTLP_ENDPOINT, or `endpoint` in a configuration file")
      }
      url = endpoint(flag, transport, at: .flag("--endpoint"))?.appendingMetricsPath
    } else if let text = variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
      url = endpoint(text, transport, at: .variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))?.asIs
    } else {
      let text = variable("OTEL_EXPORTER_OTLP_ENDPOINT") ?? transport.standardEndpoint
      url = endpoint(text, transport, at: .variable("OTEL_EXPORTER_OTLP_ENDPOINT"))?.appendingMetricsPath
    }
    let headers = headersOfVariables(transport)
    let timeout = milliseconds(of: Self.otlpVariables("TIMEOUT"))
    let compression = word(of: Self.otlpVariables("COMPRESSION"), among: ["gzip", "none"])
    var destination = ExportDestination(
      url: Secret(url?.text ?? ""), displayName: url?.displayName ?? "", transport: transport)
    let certificate = file("CLIENT_CERTIFICATE")
    let key = file("CLIENT_KEY")
    readTLS(authorities: file("CERTIFICATE"), certificate: certificate, key: key, into: &destination)
    if let set = certificate ?? key, (certificate == nil) != (key == nil) {
      let missing = key == nil ? "CLIENT_KEY" : "CLIENT_CERTIFICATE"
      problem(set.place, "is set without its other half", "set OTEL_EXPORTER_OTLP_\(missing) too")
    }
    destination.headers = headers
    if let timeout { destination.timeout = timeout == .zero ? nil : timeout }
    destination.compression = compression == "gzip" ? .gzip : .none
    destination.temporality = choice(of: Self.temporality) ?? .cumulative
    destination.histograms = choice(of: Self.histograms) ?? .explicitBuckets
    return url == nil ? nil : destination
  }

  private static let temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
  private static let histograms = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

  private mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(of name: String) -> Choice? {
    word(of: [name], among: Choice.allCases.map(\.rawValue)).flatMap { Choice(rawValue: $0) }
  }

  private mutating func transportOfVariables() -> ExportDestination.Transport {
    let known = ExportDestination.Transport.allCases.map(\.rawValue)
    return word(of: Self.otlpVariables("PROTOCOL"), among: known).flatMap { .init(rawValue: $0) } ?? .http
  }

  private mutating func headersOfVariables(_ transport: ExportDestination.Transport) -> [ExportHeader] {
    guard let (name, text) = firstSet(Self.otlpVariables("HEADERS")) else { return [] }
    var list = HeaderList.parse(text)
    if transport == .grpc { list.keepMetadata() }
    for message in list.problems {
      warn(.variable(name), "\(message), so it is ignored", "write name=value,name=value")
    }
    return list.headers
  }

  private func file(_ option: String) -> NamedFile? {
    firstSet(Self.otlpVariables(option)).map { NamedFile(path: $0.text, place: .variable($0.name)) }
  }

  private mutating func warnAboutUnsupportedVariables() {
    if variable("OTEL_CONFIG_FILE") != nil {
      warn(
        .variable("OTEL_CONFIG_FILE"), "is not supported and is ignored", "use --config with a file of this exporter")
    }
  }

  private mutating func warnAboutUnusedVariables() {
    let options = [
      "PROTOCOL", "INSECURE", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY",
    ]
    let names = options.flatMap { Self.otlpVariables($0).reversed() } + [Self.temporality, Self.histograms]
    for name in names where variable(name) != nil {
      warn(
        .variable(name), "is not used, since the file's `export` is in force",
        "write it there, or set OTEL_EXPORTER_OTLP_ENDPOINT")
    }
  }

  // MARK: The endpoints of the file

  private mutating func destination(_ item: FileValue) -> ExportDestination? {
    guard let keys = mapping(item) else { return nil }
    let transport = transport(keys["protocol"])
    let headers = headers(keys, transport)
    let timeout = duration(keys["timeout"])
    let compression: ExportDestination.Compression? = choice(keys["compression"])
    let url = url(keys, transport, at: place(item))
    var destination = ExportDestination(
      url: Secret(url?.text ?? ""), displayName: url?.displayName ?? "", transport: transport)
    readTLS(
      authorities: file(keys["certificate"]), certificate: file(keys["client_certificate"]),
      key: file(keys["client_key"]), into: &destination)
    if (keys["client_certificate"] == nil) != (keys["client_key"] == nil) {
      problem(place(item), "`client_certificate` and `client_key` belong together", "set both, or none")
    }
    destination.headers = headers
    if let timeout { destination.timeout = timeout == .zero ? nil : timeout }
    destination.compression = compression ?? .none
    destination.temporality = choice(keys["temporality_preference"]) ?? .cumulative
    destination.histograms = choice(keys["default_histogram_aggregation"]) ?? .explicitBuckets
    destination.requestLimit = integer(keys["max_request_bytes"], from: 1_000)
    return url == nil ? nil : destination
  }

  private mutating func transport(_ value: FileValue?) -> ExportDestination.Transport {
    guard let value, let text = text(value) else { return .http }
    let word = text.text.lowercased()
    if let transport = ExportDestination.Transport(rawValue: word) { return transport }
    problem(text.place, "`\(text.shown)` is not a protocol", "use http/protobuf, http/json or grpc")
    return .http
  }

  private mutating func url(
    _ keys: [String: FileValue], _ transport: ExportDestination.Transport, at place: ConfigurationPlace
  ) -> EndpointURL? {
    switch (keys["endpoint"], keys["url"]) {
    case (let value?, nil):
      return string(value).flatMap { endpoint($0, transport, at: self.place(value)) }?.appendingMetricsPath
    case (nil, let value?) where transport == .grpc:
      problem(self.place(value), "`url` is for OTLP over HTTP", "for example endpoint: \(transport.standardEndpoint)")
    case (nil, let value?): return string(value).flatMap { endpoint($0, transport, at: self.place(value)) }?.asIs
    case (nil, nil): problem(place, "`endpoint` is missing", "for example endpoint: \(transport.standardEndpoint)")
    case (_?, let url?): problem(self.place(url), "both `endpoint` and `url` are set", "keep one of them")
    }
    return nil
  }

  /// The headers of `headers_file`, then those written in the file, which win.
  private mutating func headers(
    _ keys: [String: FileValue], _ transport: ExportDestination.Transport
  ) -> [ExportHeader] {
    var list = HeaderList.Result()
    if let value = keys["headers_file"], let path = string(value),
      let text = textOfFile(path, named: place(value))
    {
      list = HeaderList.parse(lines: text)
      if transport == .grpc { list.keepMetadata() }
      for message in list.problems { problem(place(value), message, "one `Name: value` a line") }
    }
    for (name, place, value) in namedEntries(keys["headers"], "<name>") {
      guard let text = text(value) else { continue }
      list.problems = []
      list.add(name, text.text, at: "the header")
      if transport == .grpc { list.keepMetadata() }
      for message in list.problems { problem(place, message) }
    }
    return list.headers
  }

  private mutating func file(_ value: FileValue?) -> NamedFile? {
    guard let value, let path = string(value) else { return nil }
    return NamedFile(path: path, place: place(value))
  }

  // MARK: Both

  private mutating func endpoint(
    _ text: String, _ transport: ExportDestination.Transport, at place: ConfigurationPlace
  ) -> EndpointURL? {
    do throws(EndpointURL.Problem) {
      guard transport == .grpc else { return try EndpointURL(text) }
      let url: EndpointURL
      if case .file = place {
        url = try EndpointURL(grpc: text, schemeWhereMissing: nil)
      } else {
        let isInsecure = firstSet(Self.otlpVariables("INSECURE")).map { isTrue($0.name) } ?? false
        url = try EndpointURL(grpc: text, schemeWhereMissing: isInsecure ? "http" : "https")
      }
      if !url.namesPort {
        warn(
          place, "the endpoint names no port, which means \(url.scheme.lowercased() == "http" ? 80 : 443)",
          "receivers of OTLP over gRPC mostly listen on 4317")
      }
      return url
    } catch {
      problem(place, error.message, error.hint)
      return nil
    }
  }
}
