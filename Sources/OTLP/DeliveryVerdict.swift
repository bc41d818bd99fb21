package import HTTPClient
package import Outbox

/// Why data points were not accepted.
package struct DeliveryFailure: Sendable, Hashable {
  /// The attribute `error.type`: a status code, a cause such as `timeout`, or `rejected`, `queue_full`, `too_large`,
  /// `invalid`, `shutdown`.
  package var errorType: String
  /// The status of the answer, where there was one.
  package var status: Int?
  /// What happened and what to do, in one line without secrets.
  package var message: String
  /// True where the receiver refuses samples because it has newer ones, or takes none of their age.
  package var isForAge = false

  /// A failure.
  package init(errorType: String, status: Int? = nil, message: String) {
    self.errorType = errorType
    self.status = status
    self.message = message
  }
}

/// What becomes of a request after an attempt.
package enum DeliveryVerdict: Sendable, Hashable {
  /// The receiver has it. It refused so many points and may have a warning.
  case delivered(rejected: Int64, message: String)
  /// The same bytes are sent again later.
  case retry(DeliveryFailure, serverDelay: Duration?)
  /// Sending it again would not help.
  case drop(DeliveryFailure)

  /// Judges the outcome of one attempt by HTTP (OTLP specification, "OTLP/HTTP Response"). A pure function.
  ///
  /// - Parameters:
  ///   - endpoint: the URL that was used, for the advice.
  ///   - now: the wall-clock time, for dates in `Retry-After`.
  package init(_ outcome: Result<HTTPResponse, HTTPError>, endpoint: String, now: Timestamp) {
    switch outcome {
    case .success(let response) where (200..<300).contains(response.status):
      // Receivers answer with an empty body, another type, or something unreadable. They have the data all the same.
      let isProtobuf = response.mediaType == "application/x-protobuf" && response.bodyDefect == nil
      let partial = isProtobuf ? ServerMessage.partialSuccess(response.body) : nil
      self = .delivered(rejected: partial?.rejected ?? 0, message: excerpt(partial?.message ?? ""))
    case .success(let response):
      var failure = DeliveryFailure(
        errorType: String(response.status), status: response.status,
        message: DeliveryAdvice.message(response, endpoint: endpoint))
      failure.isForAge = DeliveryAdvice.isForAge(response)
      self =
        RetryPolicy.retryableStatuses.contains(response.status)
        ? .retry(failure, serverDelay: RetryAfter.delay(response.values("retry-after"), now: now)) : .drop(failure)
    case .failure(let error):
      let failure = DeliveryFailure(
        errorType: error.cause.rawValue, message: DeliveryAdvice.message(error, endpoint: endpoint))
      switch error.cause {
      // A failed handshake took no data, and certificates are renewed: waiting may help.
      case .cannotResolve, .cannotConnect, .timedOut, .tls, .closedWithoutAnswer, .interrupted:
        self = .retry(failure, serverDelay: nil)
      case .invalidRequest, .tlsFiles, .notHTTP, .responseTooLarge, .other:
        self = .drop(failure)
      }
    }
  }
}

/// What an operator should look at after a failure.
enum DeliveryAdvice {
  static func message(_ response: HTTPResponse, endpoint: String) -> String {
    let shown = urlWithoutSecrets(endpoint)
    let said = serverText(response)
    let answer = "\(shown) answered \(response.status)" + (said.isEmpty ? "" : ": \(said)")
    let advice: String? =
      switch response.status {
      case 300..<400:
        "It redirects to \(response.value("location").map { excerpt(urlWithoutSecrets($0)) } ?? "nowhere"); redirects are "
          + "not followed, since credentials would go along. Configure the final URL"
      case 401, 403:
        "Check the credentials in OTEL_EXPORTER_OTLP_HEADERS (or OTEL_EXPORTER_OTLP_METRICS_HEADERS, or headers in the "
          + "configuration file)"
      case 404:
        shown.hasSuffix("/v1/metrics")
          ? "No OTLP receiver is at this path (Prometheus: /api/v1/otlp/v1/metrics, and only with "
            + "--web.enable-otlp-receiver)"
          : "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is used as it is, without /v1/metrics appended: give the whole path "
            + "(Prometheus: /api/v1/otlp/v1/metrics), or set OTEL_EXPORTER_OTLP_ENDPOINT, to which it is appended"
      case 400 where isForAge(response):
        "It takes no samples older than those it has; what waited longer than it allows is dropped (Prometheus: "
          + "storage.tsdb.out_of_order_time_window)"
      case 413: "The receiver takes only smaller requests"
      default: nil
      }
    return advice.map { "\(answer). \($0)" } ?? answer
  }

  static func message(_ error: HTTPError, endpoint: String) -> String {
    let advice: String? =
      switch error.cause {
      case .invalidRequest: "Check the endpoint and the headers"
      case .cannotResolve: "Check the host name in the endpoint"
      case .cannotConnect: "Check that a receiver listens there; OTLP over HTTP has port 4318"
      case .tls where error.detail.contains("alert") || error.detail.contains("certificate required"):
        "Where the receiver wants a client certificate, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
          + "OTEL_EXPORTER_OTLP_CLIENT_KEY"
      case .tls:
        "Where the receiver's certificate is signed by an authority of your own, set OTEL_EXPORTER_OTLP_CERTIFICATE to "
          + "its PEM file"
      case .tlsFiles:
        "Check the files in OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
          + "OTEL_EXPORTER_OTLP_CLIENT_KEY"
      case .notHTTP, .closedWithoutAnswer:
        urlWithoutSecrets(endpoint).contains(":4317")
          ? "Port 4317 is for gRPC; OTLP over HTTP has port 4318" : nil
      case .timedOut, .responseTooLarge, .interrupted, .other: nil
      }
    return advice.map { "\(error). \($0)" } ?? "\(error)"
  }

  /// Recognises how Prometheus, Mimir and VictoriaMetrics refuse what comes too late (prometheus/storage, "Err…";
  /// mimir "err-mimir-sample-…").
  static func isForAge(_ response: HTTPResponse) -> Bool {
    guard response.status == 400 else { return false }
    let said = serverText(response).lowercased()
    return ["out of order", "out-of-order", "out of bounds", "too old", "too-old"].contains { said.contains($0) }
  }

  /// What the body says: the message of a google.rpc.Status, or the beginning of a text.
  private static func serverText(_ response: HTTPResponse) -> String {
    if response.mediaType == "application/x-protobuf" {
      return excerpt(ServerMessage.status(response.body) ?? "")
    }
    return excerpt(String(decoding: response.body.prefix(2000), as: UTF8.self))
  }
}

/// Text from a server as it may stand in a log line: one line of at most 300 characters, no control characters.
func excerpt(_ text: String) -> String {
  let line = printable(String(text.prefix(301))).trimmingSpaces()
  return line.count > 300 ? line.prefix(300) + "…" : line
}
