internal import DedicatedThreads
internal import HTTPClient
internal import SystemCalls

/// Sends requests by HTTP, one at a time, on a thread of its own: libcurl blocks it.
actor HTTPTransport {
  private let executor = PinnedThreadExecutor()
  private let destination: OTLPDestination
  private let connection: HTTPConnection
  nonisolated let deadline = HTTPDeadline()

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  init(_ destination: OTLPDestination, version: String) {
    self.destination = destination
    // The form that the specification of the OTLP exporter asks for ("User Agent").
    connection = HTTPConnection(
      userAgent: "outbox-exporter/\(version) OTel-OTLP-Exporter-Swift/\(version)", tls: destination.tls,
      deadline: deadline)
  }

  deinit {
    executor.stop()
  }

  /// One attempt.
  func send(_ queued: QueuedRequest, timeout: Duration?) -> Result<HTTPResponse, HTTPError> {
    // Exactly this type, without parameters: Prometheus and Mimir compare the whole header.
    var headers = [HTTPHeader("Content-Type", "application/x-protobuf")]
    if queued.compression == .gzip { headers.append(HTTPHeader("Content-Encoding", "gzip")) }
    let request = HTTPRequest(
      .post, destination.endpoint, headers: headers + destination.headers, body: queued.body, timeout: timeout)
    do throws(HTTPError) {
      return .success(try connection.perform(request))
    } catch {
      return .failure(error)
    }
  }
}
