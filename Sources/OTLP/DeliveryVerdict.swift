internal import GRPCClient
internal import HTTPClient
internal import Outbox

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
  /// True where the request is larger than the receiver takes.
  package var isTooLarge = false
  /// True where the receiver answered, so that it is there.
  package var isAnswer: Bool
  /// True where the refusal is about what this one request holds. Another refusal would meet the next request too.
  package var isForContent = false

  /// A failure.
  package init(errorType: String, status: Int? = nil, message: String) {
    self.errorType = errorType
    self.status = status
    self.message = message
    isAnswer = status != nil
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

  /// Judges the outcome of one attempt. A pure function.
  ///
  /// - Parameters:
  ///   - endpoint: the URL that was used, for the advice.
  ///   - now: the wall-clock time, for dates in `Retry-After`.
  init(_ outcome: AttemptOutcome, endpoint: String, now: Timestamp) {
    switch outcome {
    case .http(let response): self.init(response, endpoint: endpoint, now: now)
    case .grpc(let answer): self.init(answer)
    case .noAnswer(let error): self.init(error, endpoint: endpoint)
    }
  }

  /// Judges an answer by HTTP (OTLP specification, "OTLP/HTTP Response").
  init(_ response: HTTPResponse, endpoint: String, now: Timestamp) {
    guard !(200..<300).contains(response.status) else {
      // Receivers answer with an empty body, another type, or something unreadable. They have the data all the same.
      let partial =
        switch response.bodyDefect == nil ? response.mediaType : nil {
        case OTLPEncoding.protobuf.mediaType: ServerMessage.partialSuccess(response.body)
        case OTLPEncoding.json.mediaType: JSONServerMessage.partialSuccess(response.body)
        default: nil as (rejected: Int64, message: String)?
        }
      self = .delivered(rejected: partial?.rejected ?? 0, message: excerpt(partial?.message ?? ""))
      return
    }
    var failure = DeliveryFailure(
      errorType: String(response.status), status: response.status,
      message: DeliveryAdvice.message(response, endpoint: endpoint))
    failure.isForAge = DeliveryAdvice.isForAge(response)
    failure.isTooLarge = response.status == 413
    // These are about the content of one request; every other answer would be given to the next one too.
    failure.isForContent = [400, 413, 415, 422].contains(response.status)
    self =
      RetryPolicy.retryableStatuses.contains(response.status)
      ? .retry(failure, serverDelay: RetryAfter.delay(response.values("retry-after"), now: now)) : .drop(failure)
  }

  /// Judges an answer by gRPC (OTLP specification, "OTLP/gRPC Response" and "OTLP/gRPC Throttling").
  init(_ answer: GRPCAnswer) {
    guard answer.status != .ok else {
      let partial = ServerMessage.partialSuccess(answer.response)
      self = .delivered(rejected: partial?.rejected ?? 0, message: excerpt(partial?.message ?? ""))
      return
    }
    var failure = DeliveryFailure(
      errorType: answer.status.name, message: DeliveryAdvice.message(answer))
    failure.isAnswer = true
    failure.isForAge = DeliveryAdvice.isForAge(answer)
    failure.isForContent = answer.status == .invalidArgument
    let wish = ServerMessage.retryDelay(answer.details)
    switch answer.status {
    case .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss:
      self = .retry(failure, serverDelay: wish)
    case .resourceExhausted where wish != nil:
      self = .retry(failure, serverDelay: wish)
    case .resourceExhausted:
      // A server says so of a request that is larger than it takes, too (grpc-go, "received message larger than max").
      failure.isTooLarge = answer.message.contains("larger than max")
      failure.isForContent = failure.isTooLarge
      self = .drop(failure)
    default:
      self = .drop(failure)
    }
  }

  /// Judges an attempt without an answer: unless it must end the same way each time, another one may get one, and the
  /// receiver has nothing.
  init(_ error: HTTPError, endpoint: String) {
    let failure = DeliveryFailure(
      errorType: error.cause.rawValue, message: DeliveryAdvice.message(error, endpoint: endpoint))
    switch error.cause {
    case .invalidRequest, .responseTooLarge: self = .drop(failure)
    default: self = .retry(failure, serverDelay: nil)
    }
  }
}

/// What an operator should look at after a failure.
enum DeliveryAdvice {
  static func message(_ response: HTTPResponse, endpoint: String) -> String {
    let shown = urlWithoutSecrets(endpoint)
    let said = serverText(response)
    let answer = "it answered \(response.status)" + (said.isEmpty ? "" : ": \(said)")
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
      case 400 where said.contains("HTTP request to an HTTPS server"):
        "The receiver expects TLS: begin the endpoint with https://"
      case 407:
        "A proxy wants credentials: http://user:password@host in http_proxy; hosts in no_proxy are reached without it"
      case 400 where said.contains("json encoding isn't supported"):
        "It takes no JSON: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
      case 400... where said.contains("invalid temporality"):
        "It takes no deltas: leave OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE at cumulative (or start Prometheus "
          + "with --enable-feature=otlp-deltatocumulative)"
      case 400... where said.contains("native histograms are disabled"):
        "Start Prometheus with --enable-feature=native-histograms, or leave "
          + "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION at explicit_bucket_histogram"
      case 413: "The receiver takes only smaller requests"
      case 415: "Where it takes OTLP over gRPC only, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
      default: nil
      }
    return advice.map { "\(answer). \($0)" } ?? answer
  }

  static func message(_ answer: GRPCAnswer) -> String {
    let said = excerpt(answer.message)
    let text = "it answered \(answer.status.name)" + (said.isEmpty ? "" : ": \(said)")
    let advice: String? =
      switch answer.status {
      case .unauthenticated, .permissionDenied:
        "Check the credentials in OTEL_EXPORTER_OTLP_HEADERS (or OTEL_EXPORTER_OTLP_METRICS_HEADERS, or headers in the "
          + "configuration file)"
      case .unimplemented: "No receiver of OTLP metrics over gRPC is there, or it does not take this compression"
      case .invalidArgument where isForAge(answer):
        "It takes no samples older than those it has; what waited longer than it allows is dropped"
      case .resourceExhausted: "The receiver has no room, or takes only smaller requests"
      default: nil
      }
    return advice.map { "\(text). \($0)" } ?? text
  }

  static func message(_ error: HTTPError, endpoint: String) -> String {
    let shown = urlWithoutSecrets(endpoint)
    let advice: String? =
      switch error.cause {
      case .invalidRequest: "Check the endpoint and the headers"
      case .cannotResolve: "Check the host name in the endpoint"
      case .cannotConnect: "Check that a receiver listens there; OTLP over HTTP has port 4318, over gRPC 4317"
      case .tls, .tlsFiles: TLSAdvice.text(for: error.detail)
      case .proxy: "Check http_proxy and https_proxy in the environment; hosts in no_proxy are reached without it"
      case .protocolNotOffered where error.detail.contains("HTTP/1.1"):
        "Where it takes OTLP over HTTP, set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf; for gRPC use its port, mostly 4317"
      case .protocolNotOffered:
        "OTLP over gRPC needs HTTP/2: check that a gRPC receiver listens there"
          + (shown.hasPrefix("http:") ? ", and where it expects TLS, begin the endpoint with https://" : "")
      // libcurl's words for HTTP/2 frames where it expected text, and for frames that gRPC means otherwise.
      case .notHTTP where error.detail.contains("HTTP/0.9") || error.detail.contains("HTTP/2 framing layer"):
        "Where it takes OTLP over gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc; for HTTP use its port, mostly 4318"
      case .notHTTP, .closedWithoutAnswer:
        shown.hasPrefix("http:")
          ? "Where the receiver expects TLS, begin the endpoint with https://"
          // With TLS 1.3 the server's complaint may come too late to be read.
          : error.cause == .closedWithoutAnswer
            ? "Where the receiver demands a client certificate, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" : nil
      case .timedOut, .responseTooLarge, .interrupted, .other: nil
      }
    return advice.map { "\(error.explanation). \($0)" } ?? error.explanation
  }

  /// Recognises how Prometheus, Mimir and VictoriaMetrics refuse what comes too late (prometheus/storage, "Err…";
  /// mimir "err-mimir-sample-…").
  static func isForAge(_ response: HTTPResponse) -> Bool {
    response.status == 400 && isForAge(serverText(response))
  }

  static func isForAge(_ answer: GRPCAnswer) -> Bool {
    answer.status == .invalidArgument && isForAge(answer.message)
  }

  private static func isForAge(_ text: String) -> Bool {
    let said = text.lowercased()
    return ["out of order", "out-of-order", "out of bounds", "too old", "too-old"].contains { said.contains($0) }
  }

  /// What the body says: the message of a google.rpc.Status, or the beginning of a text.
  private static func serverText(_ response: HTTPResponse) -> String {
    if response.mediaType == OTLPEncoding.protobuf.mediaType {
      return excerpt(ServerMessage.status(response.body) ?? "")
    }
    if response.mediaType == OTLPEncoding.json.mediaType, let said = JSONServerMessage.status(response.body),
      !said.isEmpty
    {
      return excerpt(said)
    }
    return excerpt(String(decoding: response.body.prefix(2000), as: UTF8.self))
  }
}

/// Text from a server as it may stand in a log line: one line of at most 300 characters, no control characters.
func excerpt(_ text: String) -> String {
  // Counted in scalars: a character may have any number of them.
  let line = printable(String(text.unicodeScalars.prefix(301))).trimmingSpaces()
  return line.unicodeScalars.count > 300 ? String(line.unicodeScalars.prefix(300)) + "…" : line
}
