/// An OTLP endpoint taken apart by the rules of the OTLP exporter specification §Endpoint URLs. No error repeats the
/// text, in which a token may stand.
struct EndpointURL: Equatable {
  /// `http` or `https`, as written.
  var scheme: Substring
  /// Host and port, as written.
  var authority: Substring
  /// Empty, or begins with a slash.
  var path: String
  /// What stands behind the question mark.
  var query: Substring?
  /// gRPC's method is part of the protocol: no path is put into the URL.
  private var isForGRPC = false

  /// Why a text is no endpoint.
  struct Problem: Error, Equatable {
    var message: String
    var hint: String?
  }

  /// Where metrics go below a base URL.
  static let metricsPath = "v1/metrics"
  /// Where a collector listens for OTLP over HTTP unless the user says otherwise.
  static let standard = "http://localhost:4318"

  /// An endpoint's URL, checked but not changed.
  init(_ text: String) throws(Problem) {
    let isVisible = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    guard isVisible else {
      throw Problem(
        message: "the URL holds a blank or another character that a URL cannot hold", hint: "percent-encode it")
    }
    guard let separator = text.firstRange(of: "://") else {
      throw Problem(message: "the URL has no scheme", hint: "begin it with http:// or https://")
    }
    scheme = text[..<separator.lowerBound]
    guard ["http", "https"].contains(scheme.lowercased()) else {
      throw Problem(message: "the URL's scheme is neither http nor https", hint: "for example \(Self.standard)")
    }
    guard !text.contains("#") else {
      throw Problem(message: "the URL has a fragment", hint: "leave `#` and the rest away")
    }
    var rest = text[separator.upperBound...]
    authority = rest.prefix { $0 != "/" && $0 != "?" }
    rest = rest.dropFirst(authority.count)
    path = String(rest.prefix { $0 != "?" })
    query = rest.dropFirst(path.count).isEmpty ? nil : rest.dropFirst(path.count + 1)
    guard !authority.contains("@") else {
      throw Problem(
        message: "the URL holds a user or password",
        hint: "send them as a header: OTEL_EXPORTER_OTLP_HEADERS=\"Authorization=Basic …\", or headers_file in the file"
      )
    }
    try Self.check(authority: authority)
  }

  /// The endpoint of OTLP over gRPC: scheme, host and port. As for HTTP, a URL without a port means that of its scheme, and
  /// 4317 is where nothing is configured (OTLP exporter specification, "Configuration Options"; OTLP specification,
  /// "OTLP/gRPC Default Port").
  ///
  /// - Parameter schemeWhereMissing: what `host:port` alone means; nil where the scheme has to be there.
  init(grpc text: String, schemeWhereMissing: String?) throws(Problem) {
    let isTarget = !text.contains("://") && !text.hasPrefix("/") && schemeWhereMissing != nil
    try self.init(isTarget ? "\(schemeWhereMissing ?? "")://\(text)" : text)
    guard path.isEmpty || path == "/", query == nil else {
      throw Problem(
        message: "the URL of a gRPC endpoint has neither path nor query",
        hint: "scheme, host and port, for example http://localhost:4317")
    }
    path = ""
    isForGRPC = true
  }

  /// False where the port is that of the scheme.
  var namesPort: Bool { authority[(authority.lastIndex(of: "]") ?? authority.startIndex)...].contains(":") }

  /// The URL of the POST below this base: `v1/metrics` is appended to its path, nothing else is changed.
  var appendingMetricsPath: EndpointURL {
    if isForGRPC { return self }
    var url = self
    url.path = (path.hasSuffix("/") ? path : path + "/") + Self.metricsPath
    return url
  }

  /// The URL of the POST where it is used as it is: only an empty path becomes `/`.
  var asIs: EndpointURL {
    var url = self
    if path.isEmpty, !isForGRPC { url.path = "/" }
    return url
  }

  /// The whole URL.
  var text: String { "\(scheme)://\(authority)\(path)" + (query.map { "?\($0)" } ?? "") }

  /// The URL for people.
  var displayName: String { "\(scheme)://\(authority)\(path)" + (query == nil ? "" : "?•••") }

  private static func check(authority: Substring) throws(Problem) {
    let port: Substring?
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]"), authority.dropFirst().first != "]" else {
        throw Problem(message: "the URL's IPv6 address has no `]`", hint: nil)
      }
      let rest = authority[authority.index(after: end)...]
      guard rest.isEmpty || rest.first == ":" else { throw Problem(message: "the URL's host is malformed", hint: nil) }
      port = rest.isEmpty ? nil : rest.dropFirst()
    } else {
      let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count <= 2 else {
        throw Problem(
          message: "the URL's host is malformed", hint: "write an IPv6 address in brackets: http://[::1]:4318")
      }
      guard let host = parts.first, !host.isEmpty else { throw Problem(message: "the URL has no host", hint: nil) }
      port = parts.count == 2 ? parts[1] : nil
    }
    if let port {
      let isNumber = port.allSatisfy { $0.isASCII && $0.isNumber }
      guard isNumber, let number = Int(port), (1...65535).contains(number) else {
        throw Problem(message: "the URL's port is not a number from 1 to 65535", hint: nil)
      }
    }
  }
}
