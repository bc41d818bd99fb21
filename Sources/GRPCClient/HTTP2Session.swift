internal import CNGHTTP2
internal import HTTPClient

/// Where bytes go and come from without blocking; see ``ByteConnection``.
protocol ByteStream: AnyObject {
  func send(_ bytes: ArraySlice<UInt8>) throws(HTTPError) -> Int
  func receive() throws(HTTPError) -> [UInt8]?
  func wait(toSend: Bool, atMost limit: Duration)
}

extension ByteConnection: ByteStream {}

/// One nghttp2 session as a client on a connection of its own, with one request at a time.
@safe final class HTTP2Session {
  private let connection: any ByteStream
  private let handle: OpaquePointer
  private let url: String
  private var unsent: [UInt8] = []
  private var stream: HTTP2Stream?
  private var hasReceived = false
  private var isAtEnd = false
  // More has arrived than was taken.
  private var hasMore = false

  /// Takes over a connection and introduces itself on it.
  init(_ connection: any ByteStream, url: String) {
    self.connection = connection
    self.url = url
    var callbacks: OpaquePointer?
    var session: OpaquePointer?
    // These fail only when memory is exhausted.
    unsafe nghttp2_session_callbacks_new(&callbacks)
    defer { unsafe nghttp2_session_callbacks_del(callbacks) }
    unsafe Self.set(callbacks!)
    unsafe nghttp2_session_client_new(&session, callbacks, nil)
    unsafe handle = session!
    unsafe nghttp2_session_set_user_data(handle, Unmanaged.passUnretained(self).toOpaque())
    let settings = [
      nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
      nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: 65_536),
    ]
    unsafe nghttp2_submit_settings(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
  }

  deinit {
    unsafe nghttp2_session_del(handle)
  }

  /// Reads what came while nothing was asked. False where no other request can be made on this connection.
  func isUsable() -> Bool {
    do throws(HTTPError) {
      try receive()
      try flush()
    } catch {
      return false
    }
    return unsafe !isAtEnd && !hasMore && nghttp2_session_check_request_allowed(handle) != 0
  }

  /// Sends a request and waits for the end of its answer. After an error the connection cannot be used again.
  func exchange(_ stream: HTTP2Stream, until end: ContinuousClock.Instant?, _ deadline: HTTPDeadline) throws(HTTPError)
  {
    self.stream = stream
    defer { self.stream = nil }
    let id = try submit(stream)
    while stream.endCode == nil {
      do throws(HTTPError) {
        try flush()
        try receive()
        try flush()
      } catch {
        // The server may have answered before it went away.
        isAtEnd = true
        if stream.endCode == nil { throw error }
      }
      if stream.isTooLarge {
        cancel(id)
        throw HTTPError(
          .responseTooLarge, url: url, detail: "more than \(HTTPConnection.responseLimit) bytes")
      }
      if stream.endCode != nil { break }
      if isAtEnd || !wantsMore {
        throw HTTPError(.closedWithoutAnswer, url: url, detail: "the connection ended before the answer did")
      }
      let left = end.map { $0 - .now } ?? .seconds(3600)
      if left <= .zero || deadline.hasPassed {
        cancel(id)
        throw HTTPError(
          deadline.hasPassed ? .interrupted : .timedOut, url: url,
          detail: deadline.hasPassed ? HTTPDeadline.explanation : "the call was cancelled")
      }
      // Now and then the deadline is looked at, which can be set meanwhile.
      if !hasMore { connection.wait(toSend: !unsent.isEmpty, atMost: min(left, .milliseconds(250))) }
    }
    // Acknowledgements that the last packets ask for.
    _ = try? flush()
  }

  private var wantsMore: Bool {
    unsafe nghttp2_session_want_read(handle) != 0 || nghttp2_session_want_write(handle) != 0 || !unsent.isEmpty
  }

  private func submit(_ stream: HTTP2Stream) throws(HTTPError) -> Int32 {
    // nghttp2 copies names and values before it returns.
    var text: [UInt8] = []
    for header in stream.headers { text += Array(header.name.utf8) + Array(header.value.utf8) }
    let id = unsafe text.withUnsafeMutableBufferPointer { text -> Int32 in
      var position = text.baseAddress!
      var fields = unsafe [nghttp2_nv]()
      for header in stream.headers {
        let (name, value) = (header.name.utf8.count, header.value.utf8.count)
        // What is never indexed cannot be guessed from the sizes of later requests (RFC 7541 §7.1.3).
        let flags = header.isSecret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE
        let field = unsafe nghttp2_nv(
          name: position, value: position + name, namelen: name, valuelen: value, flags: UInt8(flags.rawValue))
        unsafe fields.append(field)
        unsafe position += name + value
      }
      var provider = unsafe nghttp2_data_provider(
        source: nghttp2_data_source(),
        read_callback: { _, _, buffer, length, flags, _, context in
          let session = unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue()
          guard let stream = session.stream else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
          let part = stream.body.prefix(length)
          _ = unsafe UnsafeMutableBufferPointer(start: buffer, count: length).update(fromContentsOf: part)
          stream.body = stream.body.dropFirst(part.count)
          if stream.body.isEmpty { unsafe flags!.pointee = UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue) }
          return part.count
        })
      return unsafe nghttp2_submit_request(handle, nil, fields, fields.count, &provider, nil)
    }
    guard id > 0 else { throw failure(id) }
    return id
  }

  private func cancel(_ id: Int32) {
    unsafe nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, UInt32(NGHTTP2_CANCEL.rawValue))
    _ = try? flush()
  }

  /// Sends what the connection takes.
  private func flush() throws(HTTPError) {
    while true {
      while !unsent.isEmpty {
        let sent: Int
        do throws(HTTPError) {
          sent = try connection.send(unsent[...])
        } catch {
          // The server may have said why before it closed: in TLS 1.3 that it wants a client certificate.
          try receive()
          throw error
        }
        if sent == 0 { return }
        unsent.removeFirst(sent)
      }
      var bytes: UnsafePointer<UInt8>?
      let count = unsafe nghttp2_session_mem_send(handle, &bytes)
      guard count >= 0 else { throw failure(Int32(count)) }
      if count == 0 { return }
      unsafe unsent += UnsafeBufferPointer(start: bytes, count: count)
    }
  }

  /// Takes what has arrived, at most a mebibyte of it: a server that never stops sending must not keep the deadline from
  /// being looked at.
  private func receive() throws(HTTPError) {
    hasMore = false
    for _ in 0..<64 where !isAtEnd {
      guard let bytes = try connection.receive() else {
        isAtEnd = true
        return
      }
      if bytes.isEmpty { return }
      if !hasReceived, bytes.starts(with: Array("HTTP/".utf8)) {
        throw HTTPError(.protocolNotOffered, url: url, detail: "it answers in HTTP/1.1")
      }
      hasReceived = true
      let count = unsafe nghttp2_session_mem_recv(handle, bytes, bytes.count)
      guard count >= 0 else { throw failure(Int32(count)) }
      if stream?.isTooLarge ?? false { return }
    }
    hasMore = !isAtEnd
  }

  private func failure(_ code: Int32) -> HTTPError {
    HTTPError(.protocolNotOffered, url: url, detail: unsafe String(cString: nghttp2_strerror(code)))
  }

  private static func set(_ callbacks: OpaquePointer) {
    unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, _, name, nameLength, value, valueLength, _, context in
      let session = unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue()
      session.stream?.takeHeader(
        unsafe String(decoding: UnsafeBufferPointer(start: name, count: nameLength), as: UTF8.self),
        unsafe String(decoding: UnsafeBufferPointer(start: value, count: valueLength), as: UTF8.self))
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
      guard unsafe frame!.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue) else { return 0 }
      unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue().stream?.endHeaders()
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, _, data, length, context in
      let session = unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue()
      guard let stream = session.stream, !stream.isTooLarge else { return 0 }
      _ = unsafe stream.takeData(UnsafeRawBufferPointer(start: data, count: length).bytes)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, _, code, context in
      unsafe Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue().stream?.end(code)
      return 0
    }
  }
}
