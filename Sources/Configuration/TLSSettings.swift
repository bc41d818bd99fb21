import CryptoClient

/// A file that a setting names.
struct NamedFile {
  var path: String
  /// Where the path was written.
  var place: ConfigurationPlace
}

extension ConfigurationReader {
  /// Whom to trust and how to identify ourselves. A file that is missing, or does not hold what it should, is found at
  /// the start rather than at the first push.
  mutating func readTLS(
    authorities: NamedFile?, certificate: NamedFile?, key: NamedFile?, into destination: inout ExportDestination
  ) {
    destination.certificate = authorities?.path
    destination.clientCertificate = certificate?.path
    destination.clientKey = key?.path
    if let authorities { _ = certificates(authorities) }
    let certificates = certificate.flatMap { self.certificates($0) }
    guard let key, let text = textOfFile(key.path, named: key.place) else { return }
    do throws(PEMText.Problem) {
      if let certificates {
        try PEMText.check(key: text, belongsTo: certificates)
      } else {
        try PEMText.checkKey(text)
      }
    } catch {
      complain(error, at: key.place)
    }
  }

  private mutating func certificates(_ file: NamedFile) -> String? {
    guard let text = textOfFile(file.path, named: file.place) else { return nil }
    do throws(PEMText.Problem) {
      try PEMText.checkCertificates(text)
      return text
    } catch {
      complain(error, at: file.place)
      return nil
    }
  }

  private mutating func complain(_ error: PEMText.Problem, at place: ConfigurationPlace) {
    switch error {
    case .noCertificate:
      problem(
        place, "the file does not hold certificates in PEM form, or one of them is damaged",
        "each begins with `-----BEGIN CERTIFICATE-----`")
    case .noKey:
      problem(
        place, "the file does not hold a private key in PEM form", "it begins with `-----BEGIN PRIVATE KEY-----`")
    case .encryptedKey:
      problem(
        place, "the private key is encrypted, and there is no setting for its passphrase",
        "write it without one: openssl pkey -in KEY -out FILE, with mode 0600")
    case .keyOfAnother:
      problem(
        place, "the private key does not belong to the client certificate",
        "the certificate that comes first in its file has to be the one that the key was made for")
    }
  }
}
