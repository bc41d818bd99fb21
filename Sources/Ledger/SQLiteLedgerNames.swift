import SampleSQL

/// What the objects of a ledger in an SQLite file are called, as they are.
///
/// Triggers can only write to tables of their own file, so all of it is beside the outbox under names of its own.
package struct SQLiteLedgerNames: Sendable, Hashable {
  /// The beginning of every name.
  package static let prefix = "outbox_ledger"
  /// The table that says which ledgers there are.
  package static let registry = prefix

  /// The watched table's name, without quotes.
  package let table: String

  /// The names for one watched table.
  ///
  /// - Parameter table: the table, with or without quotes and the name of the main database.
  package init(table: String) { self.table = SQLIdentifier.parts(table).last ?? table }

  /// The journal: a row for each movement.
  package var journal: String { "\(Self.prefix)_of_\(table)" }
  /// The destinations of the rows that events belong to, where the events do not have them.
  package var parents: String { "\(Self.prefix)_parents_of_\(table)" }
  var parentsIndex: String { "\(Self.prefix)_parents_of_\(table)_by_id" }
  /// The trigger of a change.
  package func trigger(_ change: SQLiteLedgerChange) -> String { "\(Self.prefix)_\(change.rawValue)_of_\(table)" }
}

/// A change that a trigger in SQLite writes down.
package enum SQLiteLedgerChange: String, Sendable, Hashable, CaseIterable {
  /// An event is written.
  case insert
  /// An event is claimed, delivered, fails, dies, comes back.
  case update
  /// An event leaves.
  case delete
  /// A row is written into the journal, whose oldest may then go.
  case prune
  /// A row that events will belong to is written.
  case parentInsert = "parent_insert"
  /// Such a row is changed.
  case parentUpdate = "parent_update"
  /// Such a row leaves.
  case parentDelete = "parent_delete"
}
