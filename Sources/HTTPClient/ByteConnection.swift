internal import CCurl
internal import CSSL
internal import Glibc

/// A connection that libcurl opens, through a proxy and with TLS where asked to, and on which the caller speaks a protocol
/// of its own. Blocks the calling thread while it connects.
///
/// The proxy variables of the environment are honoured; a proxy is asked for a tunnel.
@safe package final class ByteConnection {
  private let handle: OpaquePointer
  private let message: UnsafeMutablePointer<CChar>
  private let offer: UnsafeMutablePointer<cssl_offer>
  private let url: String

  /// Opens a connection.
  ///
  /// - Parameters:
  ///   - url: scheme, host and port; the rest is not used.
  ///   - protocolName: what is offered, and has to be chosen, in TLS (ALPN, RFC 7301); nothing is asked of plain connections.
  ///   - timeout: how long it may take; 10 s where that is shorter.
  package init(
    url: String, tls: TLSFiles, protocolName: StaticString, timeout: Duration?, deadline: HTTPDeadline
  ) throws(HTTPError) {
    _ = HTTPConnection.isLibraryReady
    blockBrokenPipeSignal()
    // Fails only when memory is exhausted.
    let curl = unsafe curl_easy_init()!
    unsafe handle = OpaquePointer(curl)
    unsafe message = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    unsafe offer = .allocate(capacity: 1)
    unsafe offer.initialize(to: cssl_offer())
    self.url = url
    let name = Array("\(protocolName)".utf8)
    unsafe offer.pointee.length = UInt32(name.count + 1)
    unsafe withUnsafeMutableBytes(of: &offer.pointee.list) { unsafe $0.copyBytes(from: [UInt8(name.count)] + name) }
    unsafe ccurl_set_pointer(curl, CURLOPT_ERRORBUFFER, message)
    unsafe ccurl_set_text(curl, CURLOPT_URL, url)
    unsafe ccurl_set_text(curl, CURLOPT_PROTOCOLS_STR, "http,https")
    unsafe ccurl_set_long(curl, CURLOPT_CONNECT_ONLY, 1)
    unsafe ccurl_set_long(curl, CURLOPT_HTTPPROXYTUNNEL, 1)
    unsafe ccurl_set_long(curl, CURLOPT_NOSIGNAL, 1)
    unsafe ccurl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
    let milliseconds = min(max(1, (timeout ?? .seconds(10)) / .milliseconds(1)), 10_000)
    unsafe ccurl_set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, Int(milliseconds))
    unsafe tls.apply(to: curl)
    // libcurl would put a protocol layer of its own on a connection for which it negotiated h2.
    unsafe ccurl_set_long(curl, CURLOPT_SSL_ENABLE_ALPN, 0)
    unsafe ccurl_set_pointer(curl, CURLOPT_SSL_CTX_DATA, offer)
    unsafe ccurl_set_tls_callback(curl) { _, tlsContext, offer in
      let isMade = unsafe cssl_make_offer(
        OpaquePointer(tlsContext), offer?.assumingMemoryBound(to: cssl_offer.self))
      return isMade != 0 ? CURLE_OK : CURLE_SSL_CONNECT_ERROR
    }
    unsafe ccurl_set_long(curl, CURLOPT_NOPROGRESS, 0)
    unsafe ccurl_set_pointer(curl, CURLOPT_XFERINFODATA, Unmanaged.passUnretained(deadline).toOpaque())
    unsafe ccurl_set_progress_callback(curl) { context, _, _, _, _ in
      unsafe Unmanaged<HTTPDeadline>.fromOpaque(context!).takeUnretainedValue().hasPassed ? 1 : 0
    }
    let code = unsafe curl_easy_perform(curl)
    // Nothing after this calls it.
    unsafe ccurl_set_pointer(curl, CURLOPT_XFERINFODATA, nil)
    unsafe ccurl_set_long(curl, CURLOPT_NOPROGRESS, 1)
    guard code == CURLE_OK else { throw failure(code) }
    if unsafe offer.pointee.is_answered != 0, unsafe offer.pointee.is_chosen == 0 {
      throw HTTPError(.protocolNotOffered, url: url, detail: "in TLS it did not choose \(protocolName)")
    }
  }

  deinit {
    // Closes the connection, and with it whatever looks at the rest.
    unsafe curl_easy_cleanup(UnsafeMutableRawPointer(handle))
    unsafe message.deallocate()
    unsafe offer.deallocate()
  }

  /// Sends what the connection takes at once; 0 where it takes nothing at the moment.
  package func send(_ bytes: ArraySlice<UInt8>) throws(HTTPError) -> Int {
    var sent = 0
    let code = unsafe bytes.withUnsafeBytes { bytes in
      unsafe curl_easy_send(UnsafeMutableRawPointer(handle), bytes.baseAddress, bytes.count, &sent)
    }
    if code == CURLE_AGAIN { return 0 }
    guard code == CURLE_OK else { throw failure(code) }
    return sent
  }

  /// What has arrived, at most 16 KiB: empty where nothing has at the moment, nil at the end of the connection.
  package func receive() throws(HTTPError) -> [UInt8]? {
    var code = CURLE_OK
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
      unsafe code = curl_easy_recv(UnsafeMutableRawPointer(handle), buffer.baseAddress, buffer.count, &count)
      if code != CURLE_OK { count = 0 }
    }
    if code == CURLE_AGAIN { return [] }
    guard code == CURLE_OK else { throw failure(code) }
    return bytes.isEmpty ? nil : bytes
  }

  /// Waits until something can be received, or sent, but no longer than that.
  package func wait(toSend: Bool, atMost limit: Duration) {
    let socket = unsafe ccurl_socket(UnsafeMutableRawPointer(handle))
    var event = pollfd(fd: socket, events: Int16(POLLIN) | (toSend ? Int16(POLLOUT) : 0), revents: 0)
    let milliseconds = min(max(1, limit / .milliseconds(1)), 60_000)
    unsafe poll(&event, 1, Int32(milliseconds))
  }

  private func failure(_ code: CURLcode) -> HTTPError {
    var detail = unsafe String(cString: message)
    if detail.isEmpty { detail = unsafe String(cString: curl_easy_strerror(code)) }
    let cause = HTTPError.Cause(code, detail: detail)
    return HTTPError(cause, url: url, detail: cause == .interrupted ? HTTPDeadline.explanation : printable(detail))
  }
}
