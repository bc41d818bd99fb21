package import Layouts
package import Outbox

/// The ledger beside one outbox, for whoever installs and removes it. Sampling never comes here.
package struct LedgerInstallation {
  /// The outbox that it counts.
  package let outbox: WatchedOutbox
  private let place: any LedgerPlace

  /// The ledgers that the outboxes of one definition have or may get, one for each of its tables.
  ///
  /// - Throws: the database cannot be asked, or the layout has no ledger.
  package static func all(
    of definition: OutboxDefinition, limits: PostgreSQLLimits
  ) throws(SampleFailure) -> [LedgerInstallation] {
    let places: [(suffixes: [String], place: any LedgerPlace)]
    switch definition.address {
    case .postgresql(let conninfo):
      places = try PostgreSQLLedgerPlace.all(of: definition, conninfo: conninfo, limits: limits)
    case .sqlite(let pattern):
      places = try SQLiteLedgerPlace.all(of: definition, pattern: pattern, lock: limits.lock)
    case .files:
      throw SampleFailure(
        .other, "a queue directory needs no ledger", hint: "each of its files is watched while the exporter runs")
    }
    return places.map { LedgerInstallation(outbox: definition.watched(suffixes: $0.suffixes), place: $0.place) }
  }

  /// How a ledger is.
  package struct Status: Sendable, Hashable {
    /// Whether there is one, and whether it works.
    package enum State: String, Sendable, Hashable {
      /// There is none.
      case absent
      /// It counts.
      case installed
      /// Something of it is missing, so that it is not read until it is installed again; or it does not fit the tables any
      /// more, and cannot write.
      case broken
      /// It counts by an older or another layout.
      case outdated
    }

    /// Whether there is one, and whether it works.
    package var state: State
    /// What is wrong, each in a few words.
    package var problems: [String]
    /// How large the journal is, in words.
    package var size: String
  }

  /// Looks how the ledger is.
  package func status() throws(SampleFailure) -> Status { try place.status() }

  /// Installs the ledger, mends it, or replaces an older one, in one transaction.
  ///
  /// - Parameter role: the role that samples, which is granted what it needs; nil for none but the installing one. SQLite
  ///   has no roles.
  /// - Returns: false where it was there already, as it should be.
  package func install(grantingTo role: String?) throws(SampleFailure) -> Bool { try place.install(grantingTo: role) }

  /// Removes the ledger and everything of it.
  ///
  /// - Returns: false where there was none.
  package func remove() throws(SampleFailure) -> Bool { try place.remove() }

  /// What an administrator would run instead, as text: installing and the grants, removing, and what to know before.
  package func text(grantingTo role: String?) throws(SampleFailure) -> String {
    try place.text(of: outbox, grantingTo: role)
  }
}

/// A table that has a ledger or may get one, in one kind of database.
protocol LedgerPlace {
  func status() throws(SampleFailure) -> LedgerInstallation.Status
  func install(grantingTo role: String?) throws(SampleFailure) -> Bool
  func remove() throws(SampleFailure) -> Bool
  func text(of outbox: WatchedOutbox, grantingTo role: String?) throws(SampleFailure) -> String
}
