import CLibPQ
import Glibc
import Synchronization

/// Asks a server, or a pooler in front of it, to stop what a session does. The protocol has a connection of its own for that.
///
/// libpq opens it with calls that block for as long as the network lets them, so that a thread of its own does it. Nobody
/// waits for that thread: whether the request has helped shows on the session itself.
enum CancelRequest {
  /// A server that takes connections and never answers must not collect threads.
  private static let most = 64
  private static let underWay = Atomic<Int>(0)

  /// Sends the request for the session of a handle, which may be closed meanwhile.
  @unsafe static func send(for handle: OpaquePointer) {
    guard underWay.load(ordering: .relaxed) < most, let request = unsafe PQgetCancel(handle) else { return }
    underWay.add(1, ordering: .relaxed)
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { request in
        var reason = [CChar](repeating: 0, count: 256)
        let size = Int32(reason.count)
        _ = unsafe PQcancel(OpaquePointer(request), &reason, size)
        unsafe PQfreeCancel(OpaquePointer(request))
        CancelRequest.underWay.subtract(1, ordering: .relaxed)
        return nil
      }, UnsafeMutableRawPointer(request))
    if status == 0 {
      pthread_detach(thread)
    } else {
      unsafe PQfreeCancel(request)
      underWay.subtract(1, ordering: .relaxed)
    }
  }
}
