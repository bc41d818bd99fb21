internal import CCurl

/// What a connection trusts and how it names itself in TLS. All files are PEM.
package struct TLSFiles: Sendable, Hashable {
  /// The only certificates that are trusted; nil for those of the system.
  package var authorities: String?
  /// Our certificate, with its chain.
  package var certificate: String?
  /// The key of our certificate.
  package var key: String?

  /// TLS files.
  package init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
  }

  func apply(to curl: UnsafeMutableRawPointer) {
    // 1.0 and 1.1 are deprecated (RFC 8996); distributions differ in what OpenSSL still accepts.
    unsafe ccurl_set_long(curl, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let authorities {
      unsafe ccurl_set_text(curl, CURLOPT_CAINFO, authorities)
      // Without this the system's certificate directory stays trusted beside the file.
      unsafe ccurl_set_text(curl, CURLOPT_CAPATH, nil)
      // libcurl keeps what it read for a day, and a renewed file would go unnoticed.
      unsafe ccurl_set_long(curl, CURLOPT_CA_CACHE_TIMEOUT, 0)
    }
    if let certificate { unsafe ccurl_set_text(curl, CURLOPT_SSLCERT, certificate) }
    if let key {
      unsafe ccurl_set_text(curl, CURLOPT_SSLKEY, key)
      // Without a passphrase OpenSSL asks for one on the terminal and waits.
      unsafe ccurl_set_text(curl, CURLOPT_KEYPASSWD, "")
    }
  }
}
