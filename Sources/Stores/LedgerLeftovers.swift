import Outbox

/// The ledgers that tables left which are not there any more, where nothing else of the layout is there either.
struct LedgerLeftovers: LedgerPlace {
  /// The tables that are gone.
  let tables: [String]
  /// Why no ledger can be installed.
  let failure: SampleFailure
  /// Takes them away.
  let removing: () throws(SampleFailure) -> Void

  func status() -> LedgerInstallation.Status {
    .init(
      state: .broken,
      problems: tables.map {
        "the ledger of the table \($0), which is not there any more, is left; `outbox-exporter ledger remove` takes it away"
      }, size: "")
  }

  func install(grantingTo role: String?) throws(SampleFailure) -> Bool { throw failure }

  func remove() throws(SampleFailure) -> Bool {
    try removing()
    return true
  }

  func text(of outbox: WatchedOutbox, grantingTo role: String?) throws(SampleFailure) -> String { throw failure }
}
