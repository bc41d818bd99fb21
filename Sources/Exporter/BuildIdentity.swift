import SystemCalls

/// Which program is running.
package struct BuildIdentity: Sendable, Hashable {
  /// The version, without a `v`.
  package var version: String
  /// The commit it was built from, or `unknown`.
  package var revision: String

  /// This program.
  package static let current = BuildIdentity(version: "0.1.0", revision: ThisProcess.sourceRevision)
}
