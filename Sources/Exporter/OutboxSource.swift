import Configuration
package import Layouts
import Outbox
import StateDirectory
import Stores
import SystemCalls

extension ExporterConfiguration {
  /// The samples of earlier runs; nil where there is no state directory.
  func memory(once: Bool) -> SampleMemory? {
    guard let stateDirectory else { return nil }
    let outboxes = outboxes
    let rhythm = once ? SampleRhythm.once : .sidecar(interval: interval)
    return SampleMemory(directory: stateDirectory, rhythm: rhythm) { outbox in
      // The outboxes of a glob, or of several tables, are called as their definition with something behind it.
      let definition = outboxes.filter { outbox.name == $0.name || outbox.name.hasPrefix($0.name + "/") }
        .max { $0.name.utf8.count < $1.name.utf8.count }
      return definition.map { fingerprint($0.source) } ?? ""
    }
  }
}

/// A short text that another source practically never has (FNV-1a, 64 bits). Nothing that is secret or could be forged
/// hangs on it, and a digest of libcrypto would begin with reading its configuration.
private func fingerprint(_ text: String) -> String {
  String(text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 36)
}

extension OutboxDefinition {
  /// Where the outbox is and how it is laid out, as text without secrets. Figures from another source are not
  /// comparable, even where it has the same name.
  fileprivate var source: String {
    let place =
      switch address {
      case .postgresql(let conninfo):
        PostgreSQLStore.place(ofConnectionString: conninfo, environment: ThisProcess.environment)
      case .sqlite(let path), .files(let path):
        path.hasPrefix("/") ? path : "\(ThisProcess.workingDirectory)/\(path)"
      }
    return "\(address.system.rawValue) \(place)\n\(layout.knownDigest ?? layout.schemaDigest)"
  }
}

extension Layout {
  /// What tells this layout from those that are called otherwise or read anything else.
  package var schemaDigest: String { fingerprint(LayoutYAML.schema(self)) }

  /// The same for a layout that is built in, as it is built in; nil for others. A health check need not write the
  /// layout down only to recognise it.
  package var knownDigest: String? {
    guard let digest = Self.knownDigests[name], LayoutCatalog.builtIn.contains(self) else { return nil }
    return digest
  }

  private static let knownDigests = [
    "praisonai": "3a2p200vro94d",
    "openclaw": "1zh86hjokc8hz",
    "openclaw-files": "395lvhc4kuzrf",
    "openclaw-session-files": "1ox20ifd5573p",
    "relaycast": "17fhj19s2ivlb",
    "kaireon": "2av77eg7j4hse",
    "aihummer": "2j4n5797o5fqw",
  ]
}
