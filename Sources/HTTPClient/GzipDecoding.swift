internal import CZlib

/// The content of a gzip member, or nil where it is none, is cut off, or is larger than the limit.
package func gunzip(_ bytes: some Collection<UInt8>, limit: Int) -> [UInt8]? {
  var stream = unsafe z_stream()
  guard unsafe czlib_gunzip_init(&stream) == Z_OK else { return nil }
  defer { unsafe inflateEnd(&stream) }
  var input = Array(bytes)
  var output: [UInt8] = []
  var status = Z_OK
  unsafe input.withUnsafeMutableBufferPointer { input in
    unsafe stream.next_in = input.baseAddress
    unsafe stream.avail_in = uInt(input.count)
    while status == Z_OK, output.count <= limit {
      let size = min(65_536, limit + 1 - output.count)
      output += unsafe [UInt8](unsafeUninitializedCapacity: size) { chunk, count in
        unsafe stream.next_out = chunk.baseAddress
        unsafe stream.avail_out = uInt(size)
        unsafe status = inflate(&stream, Z_NO_FLUSH)
        count = unsafe size - Int(stream.avail_out)
      }
    }
  }
  return status == Z_STREAM_END && output.count <= limit ? output : nil
}
