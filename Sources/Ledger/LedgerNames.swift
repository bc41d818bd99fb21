import SampleSQL

/// What the ledger's objects are called, quoted as they stand in a statement.
///
/// Everything but the triggers is in a schema of the ledger's own; what belongs to one watched table bears its name.
package struct LedgerNames: Sendable, Hashable {
  /// The schema, as it is.
  package static let schema = "outbox_ledger"
  /// The tables that all watched tables share.
  package static let watched = "\(schema).watched"
  static let readers = "\(schema).readers"
  /// What the name of a reader begins with that keeps its mark nowhere: when it has ended nobody goes on from there.
  package static let transientReader = "transient-"
  /// What could not be written down, and why.
  package static let losses = "\(schema).\(lossesTable)"
  /// Its name without the schema.
  package static let lossesTable = "losses"
  /// What counts the losses that could not even be noted: no lock of a table keeps anybody from a sequence.
  package static let unnoted = "\(schema).\(unnotedSequence)"
  /// Its name without the schema.
  package static let unnotedSequence = "unnoted"
  /// What one such loss takes: the server's log has one in 33 of what is taken (`SEQ_LOG_VALS`), and replicas see no other.
  package static let unnotedStep = 33
  /// The function that throws away what every reader has kept.
  package static let purge = "\(schema).purge"
  /// The beginning of every trigger's name.
  private static let triggerPrefix = "outbox_ledger_"

  /// The watched table without quotes, shortened where it is long: what its journal is called.
  package let label: String

  /// The names for one watched table.
  ///
  /// - Parameter reference: the table with its schema, quoted part by part.
  package init(reference: String) {
    let parts = SQLIdentifier.parts(reference)
    let name = parts.joined(separator: ".")
    // PostgreSQL cuts names at 63 bytes, and two that were cut might be the same, as might two with a dot elsewhere.
    label =
      name.utf8.count <= 44 && !parts.contains { $0.contains(".") }
      ? name
      : String(name.unicodeScalars.prefix { $0.isASCII }.prefix(24).map(Character.init)) + "~" + fingerprint(reference)
  }

  /// The journal: a row for each movement.
  package var journal: String { "\(Self.schema).\(SQLIdentifier.quoted(label))" }
  var index: String { SQLIdentifier.quoted("\(label) by txid") }
  func function(_ change: LedgerChange) -> String {
    "\(Self.schema).\(SQLIdentifier.quoted(functionName(change)))"
  }

  /// The function of a term, quoted.
  func function(_ term: LedgerTerm) -> String { "\(Self.schema).\(SQLIdentifier.quoted(functionName(term)))" }

  /// The name of a term's function, without its schema.
  func functionName(_ term: LedgerTerm) -> String { "\(label) \(term.rawValue)" }

  /// The name of a change's trigger. Two outboxes may bury their dead letters in one table.
  package func trigger(_ change: LedgerChange) -> String {
    let name = Self.triggerPrefix + (change.rawValue.split(separator: " ").last.map(String.init) ?? change.rawValue)
    return change.tableRole == "dead" ? "\(name)_\(fingerprint(label))" : name
  }

  /// The name of a trigger's function, without its schema.
  package func functionName(_ change: LedgerChange) -> String { "\(label) \(change.rawValue)" }
}

/// A change of a table that a trigger writes down.
package enum LedgerChange: String, Sendable, Hashable, CaseIterable {
  /// Events are written.
  case insert
  /// Events are claimed, delivered, failed, dead-lettered, brought back.
  case update
  /// Events leave.
  case delete
  /// All events leave at once.
  case truncate
  /// Dead letters arrive in a table of their own.
  case deadInsert = "dead insert"
  /// Dead letters leave it.
  case deadDelete = "dead delete"

  /// The role of the table that the trigger is on.
  package var tableRole: String { self == .deadInsert || self == .deadDelete ? "dead" : "events" }
}

/// Something that the layout says of a row, in a function of its own.
enum LedgerTerm: String, CaseIterable {
  /// Whether a row waits.
  case waiting
  /// What became of a row that waits as it did before; see ``LedgerTerms/kept(from:to:)``.
  case kept
  /// How a row ended that does not wait any more.
  case ended
  /// What became of a row that waited and was deleted.
  case removed
  /// When a row was first due, in unix seconds.
  case due = "first due"
  /// A row's destination.
  case destination

  /// What its function answers, by a name that no search path changes.
  var type: String {
    switch self {
    case .waiting: "pg_catalog.bool"
    case .kept, .ended, .removed: "pg_catalog.\"char\""
    case .due: "pg_catalog.float8"
    case .destination: "pg_catalog.text"
    }
  }
}

/// A short text that differs where the given one does (FNV-1a, 64 bits).
func fingerprint(_ text: String) -> String {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
  let digits = String(hash, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
