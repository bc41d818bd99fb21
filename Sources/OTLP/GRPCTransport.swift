internal import DedicatedThreads
internal import GRPCClient
internal import HTTPClient

/// OTLP/gRPC: unary calls, which block the thread.
actor GRPCTransport: DeliveryTransport {
  private static let method = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

  private let executor = PinnedThreadExecutor()
  private let destination: OTLPDestination
  private let connection: GRPCConnection
  nonisolated let deadline: HTTPDeadline

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  init(_ destination: OTLPDestination, version: String) {
    self.destination = destination
    let deadline = HTTPDeadline()
    self.deadline = deadline
    connection = GRPCConnection(
      url: destination.endpoint, userAgent: OTLPDestination.userAgent(version), tls: destination.tls,
      deadline: deadline)
  }

  deinit {
    executor.stop()
  }

  func send(_ queued: QueuedRequest, timeout: Duration?) -> AttemptOutcome {
    let call = GRPCCall(
      Self.method, metadata: destination.headers, message: queued.body, isCompressed: queued.compression == .gzip,
      timeout: timeout)
    do throws(HTTPError) {
      return .grpc(try connection.perform(call))
    } catch {
      return .noAnswer(error)
    }
  }
}
