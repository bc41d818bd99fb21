import CStagedSystem

/// What a test lets the process see of the machine, without changing the machine. One test at a time has a stage.
package enum StagedSystem {
  /// Runs a closure while a host name has no address for so many look-ups, and then that of the loopback interface.
  ///
  /// - Returns: how often it was looked up.
  package static func withHost(_ name: String, failures: Int, _ body: () async throws -> Void) async rethrows -> Int {
    unsafe staged_host(name, Int32(truncatingIfNeeded: min(failures, 1_000_000)))
    defer { staged_host(nil, 0) }
    try await body()
    return Int(staged_lookups())
  }

  /// Runs a closure while the system trusts an authority: its certificate is in the system's directory of certificates,
  /// under the name by which OpenSSL finds it.
  package static func trusting(_ authority: TestAuthority, _ body: () async throws -> Void) async throws {
    let hash = try run("openssl", ["x509", "-hash", "-noout", "-in", authority.file])
    let directory = try TemporaryDirectory()
    let name = hash.output.prefix { $0 != "\n" } + ".0"
    try directory.write(contents(of: authority.file) ?? "", to: String(name))
    unsafe staged_certificates(directory.path)
    defer { staged_certificates(nil) }
    try await body()
  }
}
