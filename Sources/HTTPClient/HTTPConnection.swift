internal import CCurl
internal import Glibc

/// One libcurl handle, which keeps its connection between requests. Blocks the calling thread: give it one of its own.
///
/// Redirects are not followed: custom headers, which hold credentials, would go to the other host. The proxy variables
/// of the environment (`http_proxy`, `https_proxy`, `no_proxy`) are honoured. TLS offers HTTP/2 and falls back to 1.1.
@safe package struct HTTPConnection: ~Copyable {
  /// The largest answer that is read, before and after decompression: what OTLP asks clients to enforce (specification,
  /// "OTLP/HTTP Response", 4 MiB).
  package static let responseLimit = 4 << 20

  private let handle: OpaquePointer
  private let collector = ResponseCollector()
  private let files: TLSFiles
  private let userAgent: String

  /// A connection that is opened by the first request.
  ///
  /// - Parameters:
  ///   - userAgent: the product and version that servers see.
  ///   - tls: what to trust and how to identify ourselves; ignored for `http`.
  ///   - deadline: ends an exchange from outside.
  package init(userAgent: String, tls: TLSFiles = TLSFiles(), deadline: HTTPDeadline = HTTPDeadline()) {
    _ = Self.isLibraryReady
    // Fails only when memory is exhausted.
    unsafe handle = OpaquePointer(curl_easy_init()!)
    self.userAgent = userAgent
    files = tls
    collector.deadline = deadline
  }

  deinit {
    unsafe curl_easy_cleanup(UnsafeMutableRawPointer(handle))
  }

  static let isLibraryReady: Bool = ccurl_global_init() == CURLE_OK

  /// Sends a request and reads the answer.
  ///
  /// - Throws: `HTTPError` when there is no complete response head. A defective body after it is part of the answer.
  package func perform(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
    if let bad = request.headers.first(where: { !$0.isValid }) {
      throw HTTPError(
        .invalidRequest, url: request.url, detail: "the header \"\(printable(bad.name))\" has characters HTTP forbids")
    }
    blockBrokenPipeSignal()
    let curl = unsafe UnsafeMutableRawPointer(handle)
    // Forgets the options of the last request and keeps the connection.
    unsafe curl_easy_reset(curl)
    collector.reset()
    var message = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
    let code = unsafe message.withUnsafeMutableBufferPointer { message in
      unsafe request.body.withUnsafeBytes { body in
        unsafe transfer(curl, request, body, message.baseAddress!)
      }
    }
    // The next reset must not find pointers into this call.
    unsafe ccurl_set_pointer(curl, CURLOPT_ERRORBUFFER, nil)
    return try answer(code, detail: errorText(code, message), url: request.url)
  }

  private func transfer(
    _ curl: UnsafeMutableRawPointer, _ request: HTTPRequest, _ body: UnsafeRawBufferPointer,
    _ message: UnsafeMutablePointer<CChar>
  ) -> CURLcode {
    unsafe ccurl_set_pointer(curl, CURLOPT_ERRORBUFFER, message)
    unsafe ccurl_set_text(curl, CURLOPT_URL, request.url)
    unsafe ccurl_set_text(curl, CURLOPT_PROTOCOLS_STR, "http,https")
    unsafe ccurl_set_text(curl, CURLOPT_USERAGENT, userAgent)
    unsafe ccurl_set_text(curl, CURLOPT_ACCEPT_ENCODING, "gzip")
    unsafe ccurl_set_long(curl, CURLOPT_NOSIGNAL, 1)
    unsafe ccurl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
    // What a proxy answers to CONNECT is not the answer.
    unsafe ccurl_set_long(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    if let timeout = request.timeout {
      // 0 would mean no limit to libcurl.
      let milliseconds = min(max(1, timeout / .milliseconds(1)), 1e12)
      unsafe ccurl_set_long(curl, CURLOPT_TIMEOUT_MS, Int(milliseconds))
    }
    unsafe ccurl_set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, 10_000)
    unsafe files.apply(to: curl)
    if request.method == .post {
      unsafe ccurl_set_long(curl, CURLOPT_POST, 1)
      unsafe ccurl_set_bytes(curl, CURLOPT_POSTFIELDS, body.baseAddress ?? UnsafeRawPointer(message))
      unsafe ccurl_set_size(curl, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
    }
    var lines: UnsafeMutablePointer<curl_slist>?
    defer { unsafe curl_slist_free_all(lines) }
    // "Expect: 100-continue" costs a second with servers that do not answer it.
    unsafe lines = curl_slist_append(lines, "Expect:")
    for header in request.headers {
      // libcurl's notation for an empty value ends in a semicolon; "Name:" would remove the header.
      let line = header.value.isEmpty ? header.name + ";" : "\(header.name): \(header.value)"
      unsafe lines = curl_slist_append(lines, line)
    }
    unsafe ccurl_set_list(curl, CURLOPT_HTTPHEADER, lines)

    let context = unsafe Unmanaged.passUnretained(collector).toOpaque()
    unsafe ccurl_set_pointer(curl, CURLOPT_WRITEDATA, context)
    unsafe ccurl_set_data_callback(curl, CURLOPT_WRITEFUNCTION) { data, size, count, context in
      let collector = unsafe Unmanaged<ResponseCollector>.fromOpaque(context!).takeUnretainedValue()
      return unsafe collector.takeBody(UnsafeRawBufferPointer(start: data, count: size * count).bytes)
        ? size * count : 0
    }
    unsafe ccurl_set_pointer(curl, CURLOPT_HEADERDATA, context)
    unsafe ccurl_set_data_callback(curl, CURLOPT_HEADERFUNCTION) { data, size, count, context in
      let collector = unsafe Unmanaged<ResponseCollector>.fromOpaque(context!).takeUnretainedValue()
      return unsafe collector.takeHeaderLine(UnsafeRawBufferPointer(start: data, count: size * count).bytes)
        ? size * count : 0
    }
    unsafe ccurl_set_long(curl, CURLOPT_NOPROGRESS, 0)
    unsafe ccurl_set_pointer(curl, CURLOPT_XFERINFODATA, context)
    unsafe ccurl_set_progress_callback(curl) { context, _, received, _, _ in
      let collector = unsafe Unmanaged<ResponseCollector>.fromOpaque(context!).takeUnretainedValue()
      return collector.deadline.hasPassed || !collector.hasRoom(forCompressed: Int(received)) ? 1 : 0
    }
    return unsafe curl_easy_perform(curl)
  }

  private func answer(_ code: CURLcode, detail: String, url: String) throws(HTTPError) -> HTTPResponse {
    if collector.isTooLarge {
      throw HTTPError(
        .responseTooLarge, url: url, detail: "status \(collector.status), more than \(Self.responseLimit) bytes")
    }
    guard collector.isHeadComplete else {
      // libcurl takes the end of the connection for the end of the head.
      let cause = code == CURLE_OK ? .closedWithoutAnswer : HTTPError.Cause(code, detail: detail)
      let detail =
        switch cause {
        case .interrupted: HTTPDeadline.explanation
        case .closedWithoutAnswer where code == CURLE_OK: "within the response head"
        default: printable(detail)
        }
      throw HTTPError(cause, url: url, detail: detail)
    }
    return HTTPResponse(
      status: collector.status, headers: collector.headers, body: collector.body,
      bodyDefect: code == CURLE_OK ? nil : printable(detail))
  }
}

extension HTTPError.Cause {
  /// What libcurl's code means to an operator.
  init(_ code: CURLcode, detail: String) {
    switch code {
    case CURLE_URL_MALFORMAT: self = .invalidRequest
    // The same code for a scheme that is not spoken and for an answer that is not HTTP.
    case CURLE_UNSUPPORTED_PROTOCOL: self = detail.hasPrefix("Protocol ") ? .invalidRequest : .notHTTP
    case CURLE_WEIRD_SERVER_REPLY, CURLE_HTTP2, CURLE_HTTP2_STREAM: self = .notHTTP
    case CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY: self = .proxy
    // libcurl has no code of its own for a refused tunnel.
    case _ where detail.contains("CONNECT tunnel failed") || detail.contains("from proxy after CONNECT"): self = .proxy
    case CURLE_COULDNT_RESOLVE_HOST: self = .cannotResolve
    case CURLE_COULDNT_CONNECT: self = .cannotConnect
    // The first words stay: a server may have refused the handshake before the time was over.
    case CURLE_OPERATION_TIMEDOUT: self = detail.contains("SSL routines") ? .tls : .timedOut
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CIPHER,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
      self = .tls
    case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE: self = .tlsFiles
    // A server that wants a client certificate says so only after the handshake in TLS 1.3: the next write or read fails.
    case CURLE_SEND_ERROR, CURLE_RECV_ERROR: self = detail.contains("SSL") ? .tls : .closedWithoutAnswer
    case CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE: self = .closedWithoutAnswer
    case CURLE_ABORTED_BY_CALLBACK: self = .interrupted
    default: self = .other
    }
  }
}

/// What libcurl says about a failure: its error buffer, else the name of the code.
func errorText(_ code: CURLcode, _ buffer: [CChar]) -> String {
  let end = buffer.firstIndex(of: 0) ?? buffer.endIndex
  let text = String(decoding: buffer[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return unsafe text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
}

/// OpenSSL writes to closed connections with SIGPIPE armed, and CURLOPT_NOSIGNAL leaves that to the caller. The signal is
/// raised on the writing thread only.
func blockBrokenPipeSignal() {
  var pipe = sigset_t()
  unsafe sigemptyset(&pipe)
  unsafe sigaddset(&pipe, SIGPIPE)
  unsafe pthread_sigmask(SIG_BLOCK, &pipe, nil)
}

/// Text from outside as it may be shown in one line: control characters, other ends of lines and what turns the direction
/// of writing become spaces.
package func printable(_ text: String) -> String {
  let scalars = text.unicodeScalars.map { scalar -> Unicode.Scalar in
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: " "
    default: scalar
    }
  }
  return String(String.UnicodeScalarView(scalars))
}
