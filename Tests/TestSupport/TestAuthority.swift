/// A certificate authority of a test's own, with the certificates that it signs, as PEM files made by the openssl command.
package final class TestAuthority {
  /// A certificate and its key.
  package struct Identity: Sendable {
    /// The path of the certificate.
    package let certificate: String
    /// The path of its key.
    package let key: String
  }

  /// The path of the authority's certificate.
  package var file: String { directory.path + "/ca.pem" }
  private let directory: TemporaryDirectory

  /// An authority that nobody knows yet.
  package init() throws {
    directory = try TemporaryDirectory()
    try openssl(
      "req",
      ["-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test Authority", "-days", "9"])
  }

  /// A certificate for names such as `IP:127.0.0.1`; with -1 days it is too old.
  ///
  /// - Parameters:
  ///   - extensions: further lines of an extension file.
  ///   - issuer: who signs it; nil for the authority.
  ///   - key: what `-newkey` takes, where it is not the usual one.
  package func identity(
    _ name: String, for names: String = "IP:127.0.0.1,DNS:localhost", days: Int = 9, extensions: String = "",
    issuer: Identity? = nil, key: String? = nil, digest: String = "-sha256"
  ) throws -> Identity {
    let request = ["-nodes", "-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=\(name)"]
    if let key { _ = try checked(["req", "-newkey", key] + request) } else { try openssl("req", request) }
    try directory.write("subjectAltName=\(names)\n\(extensions)\n", to: "\(name).ext")
    _ = try checked([
      "x509", "-req", "-in", "\(name).csr", "-CA", issuer?.certificate ?? "ca.pem", "-CAkey", issuer?.key ?? "ca.key",
      "-CAcreateserial", "-extfile", "\(name).ext", "-out", "\(name).pem", "-days", "\(days)", digest,
    ])
    return Identity(certificate: "\(directory.path)/\(name).pem", key: "\(directory.path)/\(name).key")
  }

  /// A certificate that is valid from the year 2040 on.
  package func futureIdentity() throws -> Identity {
    let identity = try identity("future")
    try directory.write(
      """
      [ca]
      default_ca = own
      [own]
      database = index.txt
      new_certs_dir = .
      rand_serial = yes
      default_md = sha256
      policy = any
      [any]
      commonName = supplied

      """, to: "ca.conf")
    try directory.write("", to: "index.txt")
    _ = try checked([
      "ca", "-config", "ca.conf", "-batch", "-notext", "-in", "future.csr", "-out", "future.pem", "-cert", "ca.pem",
      "-keyfile", "ca.key", "-extfile", "future.ext", "-startdate", "20400101000000Z", "-enddate", "20410101000000Z",
    ])
    return identity
  }

  /// The path of a copy of a key that has a passphrase.
  package func encrypted(_ key: String, passphrase: String) throws -> String {
    _ = try checked(["pkey", "-in", key, "-aes256", "-passout", "pass:\(passphrase)", "-out", "encrypted.key"])
    return directory.path + "/encrypted.key"
  }

  private func openssl(_ command: String, _ arguments: [String]) throws {
    _ = try checked([command, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] + arguments)
  }

  private func checked(_ arguments: [String]) throws -> String {
    let result = try run("openssl", arguments, directory: directory.path)
    guard result.code == 0 else { throw CannotMake(description: "openssl \(arguments): \(result.error)") }
    return result.output
  }

  /// openssl did not do what it was asked to.
  package struct CannotMake: Error, CustomStringConvertible {
    package let description: String
  }
}

/// A server that finishes the handshake of TLS, or refuses to, and never answers a POST: `openssl s_server`.
package final class TLSServer {
  /// The port that it listens on.
  package let port = freePort()
  private let process: ChildProcess
  /// What it has said so far about its connections.
  package var output: String { process.standardOutput + process.standardError }

  /// Starts a server with further arguments of `s_server`.
  package init(_ identity: TestAuthority.Identity, _ arguments: [String] = []) throws {
    process = try ChildProcess(
      "openssl",
      ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", identity.certificate, "-key", identity.key, "-www"]
        + arguments)
    let process = process
    guard eventually({ !process.isRunning || process.standardOutput.contains("ACCEPT") }), process.isRunning else {
      throw TestAuthority.CannotMake(description: "openssl s_server: \(process.standardError)")
    }
  }
}
