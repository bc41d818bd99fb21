internal import CZlib

/// The bytes as one gzip member (RFC 1952), as `Content-Encoding: gzip` wants them.
///
/// Level 1: metrics repeat themselves so much that higher levels save a few per cent and cost twice the time.
package func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = unsafe z_stream()
  // Both calls fail only when memory is exhausted or the arguments are wrong.
  let initialized = unsafe czlib_gzip_init(&stream, 1)
  precondition(initialized == Z_OK, "zlib cannot start: \(initialized)")
  defer { unsafe deflateEnd(&stream) }
  let capacity = unsafe Int(deflateBound(&stream, uLong(bytes.count)))
  return unsafe bytes.withUnsafeBufferPointer { input in
    unsafe [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
      unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
      unsafe stream.avail_in = uInt(input.count)
      unsafe stream.next_out = output.baseAddress
      unsafe stream.avail_out = uInt(capacity)
      let status = unsafe deflate(&stream, Z_FINISH)
      precondition(status == Z_STREAM_END, "zlib cannot compress: \(status)")
      count = unsafe Int(stream.total_out)
    }
  }
}
