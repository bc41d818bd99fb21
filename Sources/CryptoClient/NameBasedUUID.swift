import CCrypto

/// UUIDs that are made from a name, so that the same name always gives the same one.
package enum NameBasedUUID {
  /// A version 5 UUID (RFC 9562 §5.5) in the namespace of `service.instance.id`.
  ///
  /// The namespace is the one of OpenTelemetry's semantic conventions (`docs/resource/service.md`).
  package static func serviceInstance(_ name: String) -> String {
    let namespace: [UInt8] = [
      0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20,
    ]
    let message = namespace + Array(name.utf8)
    var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
    unsafe SHA1(message, message.count, &digest)
    digest[6] = digest[6] & 0x0f | 0x50
    digest[8] = digest[8] & 0x3f | 0x80
    return formatted(digest.prefix(16))
  }

  /// A version 4 UUID (RFC 9562 §5.4) from 16 random bytes.
  package static func random(_ bytes: [UInt8]) -> String {
    var bytes = bytes
    bytes[6] = bytes[6] & 0x0f | 0x40
    bytes[8] = bytes[8] & 0x3f | 0x80
    return formatted(bytes.prefix(16))
  }

  private static func formatted(_ bytes: some Collection<UInt8>) -> String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
  }
}
