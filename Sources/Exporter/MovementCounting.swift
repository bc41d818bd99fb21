import Accounting
import Metrics
import Outbox
import StateDirectory

/// Whether the movements of the outboxes are counted, and where what was counted is kept.
package enum MovementKeeping: Sendable, Hashable {
  /// They are not: a run that ends at once has nothing to go on from.
  case none
  /// They are, until the exporter ends.
  case inMemory
  /// They are, and a state directory keeps them over a restart. Only the sidecar that has locked it may name it.
  case directory(String)
}

/// Where the counting of movements stands between two cycles.
struct MovementCounting: Sendable {
  let keeper: AccountKeeper?
  var isOpen = false
  /// True while what lies before the marks is never asked for again: they are on the disk, or nothing is kept at all.
  var areMarksDurable = true
  /// False while whoever starts next would go on from less than was sent.
  var maySend = true

  init?(_ keeping: MovementKeeping) {
    switch keeping {
    case .none: return nil
    case .inMemory: keeper = nil
    case .directory(let path): keeper = AccountKeeper(directory: path)
    }
  }

  /// What the next samples go on from.
  func marks(_ accounts: [String: OutboxAccount]) -> [String: AccountingMark] {
    accounts.mapValues { account in
      AccountingMark(
        account.mark.method, account.mark.position, isDurable: areMarksDurable, isTransient: keeper == nil)
    }
  }
}

extension ExportCycle {
  /// Takes up what earlier runs have counted, once.
  ///
  /// - Returns: what an operator should know.
  func openAccounts() async -> [String] {
    guard let keeper = counting?.keeper, counting?.isOpen == false else { return [] }
    counting?.isOpen = true
    let found = await keeper.open(now: now())
    describer.restore(found.accounts)
    return found.notices
  }

  /// Commits what a part of a cycle has counted, before anything of it is sent: a backend never sees more than is kept.
  ///
  /// - Returns: what an operator should know.
  func keepAccounts(_ samples: ArraySlice<OutboxSample>, at time: Timestamp) async -> [String] {
    var notices = describer.restarts.sorted { $0.key < $1.key }.map {
      "\($0): what moves is counted anew from here: \($1)"
    }
    guard let keeper = counting?.keeper else { return notices }
    let restarts = samples.compactMap { sample in sample.accounting?.restart.map { (sample.outbox.name, $0) } }
    let saved = await keeper.save(
      describer.accounts, movements: describer.recorded, restarts: describer.restarts.merging(restarts) { $1 },
      at: time)
    counting?.areMarksDurable = saved.isDurable
    counting?.maySend = saved.mayBeSent
    if let notice = saved.notice { notices.append(notice) }
    return notices
  }
}
