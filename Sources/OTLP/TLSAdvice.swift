/// What to do about a TLS handshake that failed, by the words of libcurl 7.88 and OpenSSL 3 for it.
enum TLSAdvice {
  /// One sentence.
  static func text(for detail: String) -> String {
    advice.first { entry in entry.words.contains { detail.contains($0) } }?.text
      ?? "The receiver ended the handshake: check that it speaks TLS on this port, and look into its log"
  }

  private static let advice: [(words: [String], text: String)] = [
    (
      ["certificate required"],
      "Where the receiver wants a client certificate, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
        + "OTEL_EXPORTER_OTLP_CLIENT_KEY"
    ),
    (
      // TLS 1.2 has no alert of its own for a client certificate that is missing.
      ["alert handshake failure"],
      "Where the receiver wants a client certificate, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
        + "OTEL_EXPORTER_OTLP_CLIENT_KEY; otherwise it shares no cipher with this machine's OpenSSL"
    ),
    (
      ["alert unknown ca", "alert bad certificate", "alert certificate", "alert unsupported certificate"],
      "The receiver does not accept our client certificate: check that OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is signed "
        + "by an authority that it trusts, holds the whole chain, and is still valid"
    ),
    (
      ["certificate has expired"],
      "The receiver's certificate, or its authority's, is too old: renew it, or set this machine's clock"
    ),
    (
      ["not yet valid"],
      "The receiver's certificate begins later: set the clock of the machine that is wrong"
    ),
    (
      ["subject name", "hostname mismatch", "IP address mismatch"],
      "The receiver's certificate is for other names: use one of them in the endpoint"
    ),
    (
      ["local issuer certificate", "self-signed certificate", "self signed certificate", "unable to verify"],
      "Where the receiver's certificate is signed by an authority of your own, set OTEL_EXPORTER_OTLP_CERTIFICATE to "
        + "its PEM file"
    ),
    (
      ["certificate purpose"],
      "The receiver's certificate is not made for servers: issue one with the extended key usage serverAuth"
    ),
    (
      ["too weak", "too small"],
      "The receiver's certificate, or its authority's, has a key or a digest that is too weak: issue one with RSA of 2048 "
        + "bits or P-256, and SHA-256"
    ),
    (
      ["certificate problem"],
      "The receiver's certificate, or one in its chain, cannot be accepted: openssl s_client -showcerts shows them"
    ),
    (
      ["wrong version number", "packet length too long", "unexpected message", "http request"],
      "The receiver does not speak TLS on this port: begin the endpoint with http://, or use its TLS port"
    ),
    (
      ["unsupported protocol", "alert protocol version", "legacy sigalg", "no protocols available", "version too low"],
      "The receiver speaks no TLS of version 1.2 or later"
    ),
    (
      ["private key"],
      "Check the file in OTEL_EXPORTER_OTLP_CLIENT_KEY: a PEM key without passphrase that belongs to the certificate in "
        + "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
    ),
    (
      ["client certificate"],
      "Check the file in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certificates in PEM form, our own first"
    ),
    (
      ["certificate file", "certificate verify locations", "CAfile"],
      "Check the file in OTEL_EXPORTER_OTLP_CERTIFICATE: certificates in PEM form"
    ),
  ]
}
