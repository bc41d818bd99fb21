internal import CCrypto

/// Certificates and keys in PEM form (RFC 7468), as far as they can be judged without a connection.
package enum PEMText {
  /// Why a text is not what it should be. Holds nothing of it.
  package enum Problem: Error, Sendable, Hashable {
    /// No certificate that can be read is in it.
    case noCertificate
    /// No private key that can be read is in it.
    case noKey
    /// The key can be read with a passphrase only.
    case encryptedKey
    /// The key is not the one of the certificate.
    case keyOfAnother
  }

  /// Checks that the text holds certificates, each of which can be read.
  package static func checkCertificates(_ text: String) throws(Problem) {
    let blocks =
      text.ranges(of: "-----BEGIN CERTIFICATE-----").count
      + text.ranges(of: "-----BEGIN TRUSTED CERTIFICATE-----").count
    let readable = unsafe read(text) { source in
      var count = 0
      while let certificate = unsafe PEM_read_bio_X509_AUX(source, nil, nil, nil) {
        unsafe X509_free(certificate)
        count += 1
      }
      return count
    }
    if readable == 0 || readable < blocks { throw .noCertificate }
  }

  /// Checks that the text holds a private key that can be used as it is.
  package static func checkKey(_ text: String) throws(Problem) {
    unsafe try use(key: text) { _ in }
  }

  /// Checks that a private key belongs to the first certificate of another text.
  package static func check(key: String, belongsTo certificates: String) throws(Problem) {
    try checkCertificates(certificates)
    let isPair = unsafe try use(key: key) { key in
      unsafe read(certificates) { source in
        guard let certificate = unsafe PEM_read_bio_X509_AUX(source, nil, nil, nil) else { return false }
        defer { unsafe X509_free(certificate) }
        return unsafe X509_check_private_key(certificate, key) == 1
      }
    }
    if !isPair { throw .keyOfAnother }
  }

  private static func use<Result>(key text: String, _ body: (OpaquePointer) -> Result) throws(Problem) -> Result {
    var wasAsked = false
    let key = unsafe read(text) { source in
      unsafe withUnsafeMutablePointer(to: &wasAsked) { wasAsked in
        // Without a function of its own OpenSSL would ask on the terminal.
        unsafe PEM_read_bio_PrivateKey(
          source, nil,
          { _, _, _, context in
            unsafe context?.assumingMemoryBound(to: Bool.self).pointee = true
            return -1
          }, wasAsked)
      }
    }
    guard let key = unsafe key else { throw wasAsked ? .encryptedKey : .noKey }
    defer { unsafe EVP_PKEY_free(key) }
    return unsafe body(key)
  }

  private static func read<Result>(_ text: String, _ body: (OpaquePointer) -> Result) -> Result {
    let bytes = Array(text.utf8)
    // What cannot be read leaves its reason behind, for the next caller of OpenSSL on this thread to stumble over.
    defer { ERR_clear_error() }
    return unsafe bytes.withUnsafeBytes { bytes in
      // Fails only when memory is exhausted.
      let source = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count))!
      defer { unsafe BIO_free(source) }
      return unsafe body(source)
    }
  }
}
