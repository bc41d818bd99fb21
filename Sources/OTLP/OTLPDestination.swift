internal import HTTPClient
package import Metrics

/// Where metrics go, as configured. Each destination has its own connection, queue and thread, so a slow one delays
/// no other.
package struct OTLPDestination: Sendable, Hashable {
  /// How requests travel (`OTEL_EXPORTER_OTLP_PROTOCOL`).
  package enum Transport: Sendable, Hashable {
    /// OTLP/HTTP.
    case http
    /// OTLP/HTTP with JSON instead of protobuf.
    case httpJSON
    /// OTLP/gRPC.
    case grpc

    /// The attribute `otel.component.type` (semantic conventions, "OTel component attributes").
    package var componentType: String {
      switch self {
      case .http: "otlp_http_metric_exporter"
      case .httpJSON: "otlp_http_json_metric_exporter"
      case .grpc: "otlp_grpc_metric_exporter"
      }
    }
  }

  /// How requests are compressed (`OTEL_EXPORTER_OTLP_COMPRESSION`).
  package enum Compression: Sendable, Hashable {
    /// As they are.
    case none
    /// gzip.
    case gzip
  }

  /// The whole URL, used as it is; for gRPC scheme, host and port.
  package let endpoint: String
  /// How requests travel.
  package let transport: Transport
  /// Headers of every request, or its metadata, credentials among them.
  let headers: [HTTPHeader]
  /// What one attempt may take (`OTEL_EXPORTER_OTLP_TIMEOUT`); nil for no limit. Retries are attempts of their own.
  package let timeout: Duration?
  /// How requests are compressed.
  package let compression: Compression
  /// Whom to trust and how to identify ourselves.
  let tls: TLSFiles
  /// The largest request in bytes before compression. Batches are split below it.
  package let requestLimit: Int
  /// Bytes that wait in memory while the destination does not answer; beyond it the oldest are dropped and counted.
  package let queueLimit: Int
  /// What waited longer is dropped and counted; nil for no limit.
  package let ageLimit: Duration?
  /// Which metrics say what came since the last time (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
  package let temporality: TemporalityPreference
  /// Which buckets distributions have (`OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`).
  package let histograms: HistogramAggregation

  /// A destination.
  ///
  /// - Parameters:
  ///   - headers: names with values, which are never shown.
  ///   - authorities: a PEM file with the only certificates to trust; nil for those of the system.
  ///   - clientCertificate: our certificate with its chain, PEM.
  ///   - clientKey: its key, PEM.
  package init(
    endpoint: String, transport: Transport = .http, headers: [(name: String, value: String)] = [],
    timeout: Duration? = .seconds(10), compression: Compression = .none, authorities: String? = nil,
    clientCertificate: String? = nil,
    clientKey: String? = nil, requestLimit: Int = OTLPSchema.requestLimit, queueLimit: Int = 16 << 20,
    ageLimit: Duration? = nil, temporality: TemporalityPreference = .cumulative,
    histograms: HistogramAggregation = .explicitBuckets
  ) {
    self.endpoint = endpoint
    self.transport = transport
    // The body is ours, so what describes it is too; a receiver could not read it otherwise.
    let ours: Set = ["content-type", "content-encoding", "content-length", "transfer-encoding"]
    self.headers = headers.filter { !ours.contains($0.name.lowercased()) }.map { HTTPHeader($0.name, $0.value) }
    self.timeout = timeout
    self.compression = compression
    tls = TLSFiles(authorities: authorities, certificate: clientCertificate, key: clientKey)
    self.requestLimit = requestLimit
    self.queueLimit = queueLimit
    self.ageLimit = ageLimit
    self.temporality = temporality
    self.histograms = histograms
  }

  /// How the messages are written.
  var encoding: OTLPEncoding { transport == .httpJSON ? .json : .protobuf }

  /// The endpoint as it may be shown: user information and query can hold secrets.
  package var shownEndpoint: String { urlWithoutSecrets(endpoint) }

  /// Host and port of the endpoint, for the attributes `server.address` and `server.port`.
  package var server: (address: String, port: Int)? {
    let shown = shownEndpoint
    guard let scheme = shown.firstRange(of: "://") else { return nil }
    let authority = shown[scheme.upperBound...].prefix { $0 != "/" }
    let defaultPort = shown.lowercased().hasPrefix("https:") ? 443 : 80
    // An IPv6 address has colons of its own, in brackets.
    let hostEnd = authority.lastIndex(of: "]").map { authority.index(after: $0) } ?? authority.startIndex
    guard let colon = authority[hostEnd...].firstIndex(of: ":") else { return (String(authority), defaultPort) }
    return (String(authority[..<colon]), Int(authority[authority.index(after: colon)...]) ?? defaultPort)
  }
}
