/// Why a request got no answer.
package struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The ways in which an exchange fails. The raw value is stable and short: it becomes `error.type` in metrics.
  package enum Cause: String, Sendable, Hashable, CaseIterable {
    /// The URL or a header field cannot be used as it is.
    case invalidRequest = "invalid_request"
    /// The host name has no address.
    case cannotResolve = "cannot_resolve"
    /// Nobody accepts connections there.
    case cannotConnect = "cannot_connect"
    /// No complete answer in time.
    case timedOut = "timeout"
    /// The TLS handshake failed: certificate, host name, protocol.
    case tls = "tls"
    /// A certificate or key file of ours cannot be used.
    case tlsFiles = "tls_files"
    /// The connection ended before an answer.
    case closedWithoutAnswer = "closed_without_answer"
    /// The proxy that the environment names has no address, or makes no tunnel.
    case proxy = "proxy"
    /// What came back is not HTTP.
    case notHTTP = "not_http"
    /// The server does not speak the protocol that was asked for in TLS.
    case protocolNotOffered = "protocol_not_offered"
    /// The answer was larger than the limit, after decompression.
    case responseTooLarge = "response_too_large"
    /// The caller ended the exchange: the time for all it has to do was over.
    case interrupted = "interrupted"
    /// Anything else that libcurl reports.
    case other = "_OTHER"
  }

  /// What kind of failure.
  package var cause: Cause
  /// Where the request went, without user information and query.
  package var url: String
  /// What libcurl says about it. Holds host names, never header values.
  package var detail: String

  /// A failure.
  package init(_ cause: Cause, url: String, detail: String) {
    self.cause = cause
    self.url = urlWithoutSecrets(url)
    self.detail = detail
  }

  package var description: String { "\(url): \(explanation)" }

  /// What happened, without the URL.
  package var explanation: String {
    let what =
      switch cause {
      case .invalidRequest: "the request cannot be made"
      case .cannotResolve: "the host name has no address"
      case .cannotConnect: "nobody accepts connections"
      case .timedOut: "no answer in time"
      case .tls: "the TLS connection failed"
      case .tlsFiles: "a certificate or key file cannot be used"
      case .closedWithoutAnswer: "the connection ended without an answer"
      case .notHTTP: "what answers does not speak HTTP"
      case .proxy: "the proxy does not pass it on"
      case .protocolNotOffered: "the server does not speak HTTP/2"
      case .responseTooLarge: "the answer is too large"
      case .interrupted: "no answer in time"
      case .other: "the request failed"
      }
    return "\(what) (\(detail))"
  }
}

/// A URL as it may be shown: user information, query and fragment can hold secrets and are left out.
package func urlWithoutSecrets(_ url: String) -> String {
  var shown = String(url.prefix { $0 != "?" && $0 != "#" })
  if let scheme = shown.firstRange(of: "://") {
    let authority = shown[scheme.upperBound...].prefix { $0 != "/" }
    if let at = authority.lastIndex(of: "@") {
      shown.removeSubrange(scheme.upperBound...at)
    }
  }
  return shown
}
