import Configuration
import CryptoClient
import Layouts
import Outbox
import StateDirectory
import Stores
import SystemCalls

extension ExporterConfiguration {
  /// The samples of earlier runs; nil where there is no state directory.
  func memory(once: Bool) -> SampleMemory? {
    guard let stateDirectory else { return nil }
    let sources = outboxes.map { (name: $0.name, source: NameBasedUUID.serviceInstance($0.source)) }
    let rhythm = once ? SampleRhythm.once : .sidecar(interval: interval)
    return SampleMemory(directory: stateDirectory, rhythm: rhythm) { outbox in
      // The outboxes of a glob, or of several tables, are called as their definition with something behind it.
      sources.filter { outbox.name == $0.name || outbox.name.hasPrefix($0.name + "/") }
        .max { $0.name.utf8.count < $1.name.utf8.count }?.source ?? ""
    }
  }
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
    return "\(address.system.rawValue) \(place)\n" + LayoutYAML.schema(layout)
  }
}
