internal import GRPCClient
internal import HTTPClient

/// Sends requests, one at a time, on a thread of its own.
protocol DeliveryTransport: Actor {
  /// Ends an attempt from outside.
  nonisolated var deadline: HTTPDeadline { get }

  /// One attempt.
  func send(_ queued: QueuedRequest, timeout: Duration?) -> AttemptOutcome
}

/// How one attempt ended.
enum AttemptOutcome: Sendable {
  case http(HTTPResponse)
  case grpc(GRPCAnswer)
  case noAnswer(HTTPError)

  /// The HTTP status of an answer.
  var status: Int? { if case .http(let response) = self { response.status } else { nil } }
}

extension OTLPDestination {
  /// The form that the specification of the OTLP exporter asks for ("User Agent").
  static func userAgent(_ version: String) -> String {
    "outbox-exporter/\(version) OTel-OTLP-Exporter-Swift/\(version)"
  }

  func makeTransport(version: String) -> any DeliveryTransport {
    switch transport {
    case .http, .httpJSON: HTTPTransport(self, version: version)
    case .grpc: GRPCTransport(self, version: version)
    }
  }
}
