internal import DedicatedThreads
internal import HTTPClient

/// OTLP/HTTP: libcurl blocks the thread.
actor HTTPTransport: DeliveryTransport {
  private let executor = PinnedThreadExecutor()
  private let destination: OTLPDestination
  private let connection: HTTPConnection
  nonisolated let deadline = HTTPDeadline()

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  init(_ destination: OTLPDestination, version: String) {
    self.destination = destination
    connection = HTTPConnection(
      userAgent: OTLPDestination.userAgent(version), tls: destination.tls, deadline: deadline)
  }

  deinit {
    executor.stop()
  }

  func send(_ queued: QueuedRequest, timeout: Duration?) -> AttemptOutcome {
    var headers = [HTTPHeader("Content-Type", queued.encoding.mediaType)]
    if queued.compression == .gzip { headers.append(HTTPHeader("Content-Encoding", "gzip")) }
    let request = HTTPRequest(
      .post, destination.endpoint, headers: headers + destination.headers, body: queued.body, timeout: timeout)
    do throws(HTTPError) {
      return .http(try connection.perform(request))
    } catch {
      return .noAnswer(error)
    }
  }
}
