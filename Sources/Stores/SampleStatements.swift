import Layouts
import Ledger
package import Outbox
import SampleSQL

/// A store that is read with SQL, which can be shown to whoever has to allow it.
package protocol SQLStore: OutboxStore {
  /// What a sample of each outbox sends, and what its role needs for it; or why that cannot be said.
  ///
  /// - Parameter role: the role that samples; nil for the one that is connected.
  func statements(eventIDs: Bool, role: String?) async -> [OutboxStatements]

  /// The statements of one outbox, or why there are none.
  typealias OutboxStatements = (outbox: WatchedOutbox, result: Result<SampleStatements, SampleFailure>)
}

extension SQLStore {
  /// What a sample of each outbox sends, and what the connected role needs for it; or why that cannot be said.
  package func statements(eventIDs: Bool) async -> [OutboxStatements] {
    await statements(eventIDs: eventIDs, role: nil)
  }
}

/// What `outbox-exporter sql` shows of an outbox.
package struct SampleStatements: Sendable, Hashable {
  /// The message that each sample sends, to the letter; but for those that find nothing changed.
  package let sample: String
  /// What it sends instead where the movements of the outbox are counted: that of a sample that begins with it.
  package let accounting: String?
  /// What it sends where the exact counts are not due: a look at the first rows; nil where no index leads to them.
  package let head: String?
  /// What it sends first where no transaction seems to have ended since the last count, and nothing else if none has; nil
  /// where what is counted may change without one.
  package let unchanged: String?
  /// The statements by which an owner lets the exporter's role read what a sample reads, and nothing else. Empty where
  /// the store has no grants.
  package let grants: [String]
  /// What the role needs besides where movements are read from a ledger. Empty where the layout has none.
  package let ledgerGrants: [String]
  /// True where a ledger is installed.
  package let hasLedger: Bool

  init(_ query: SampleQuery, accounting: String, head: String?, eventIDs: Bool) throws(LayoutProblem) {
    self.accounting = accounting
    self.head = head
    sample = query.figures + (eventIDs ? try query.eventIDs().map { ";\n\($0)" } ?? "" : "")
    unchanged = nil
    grants = []
    ledgerGrants = []
    hasLedger = false
  }

  init(
    _ queue: PostgreSQLQueues.Prepared, head: String?, eventIDs: Bool, role: String, _ limits: PostgreSQLLimits
  ) throws(LayoutProblem) {
    self.head = head
    sample = queue.message(counting: [queue.query.figures], eventIDs: eventIDs, limits)
    accounting = queue.accounting.map { queue.message(counting: $0.statements(nil), eventIDs: false, limits) }
    unchanged =
      queue.query.isSteady
      ? PostgreSQLMessage.sample(queue.unchanged(counters: queue.accounting?.counters, isLocal: false), limits) : nil
    ledgerGrants = (try? LedgerScript(queue: queue.queue, schema: queue.schema).grants(to: role)) ?? []
    hasLedger = queue.ledger.isThere
    let grantee = SQLIdentifier.quoted(role)
    let columns = try queue.query.columns()
    let counted = try queue.query.accounting().columns
    let references = queue.schema.tables.values.map(\.reference).sorted()
    var schemas: [String] = []
    for reference in references {
      let schema = SQLIdentifier.quoted(SQLIdentifier.parts(reference)[0])
      if !schemas.contains(schema) { schemas.append(schema) }
    }
    grants =
      schemas.map { "GRANT USAGE ON SCHEMA \($0) TO \(grantee)" }
      + references.map { reference in
        let read = Set(columns[reference, default: []]).union(counted[reference, default: []])
        let names = read.sorted().map(SQLIdentifier.quoted)
        let list = names.isEmpty ? "" : " (\(names.joined(separator: ", ")))"
        return "GRANT SELECT\(list) ON \(reference) TO \(grantee)"
      }
  }
}

extension PostgreSQLQueues {
  /// What is sent for a queue, and what a role needs for it; nil is the one that is connected.
  func statements(_ queue: Prepared, eventIDs: Bool, role: String?) throws(SampleFailure) -> SampleStatements {
    // Where the ledger cannot be looked for, the rest can still be said.
    _ = try? queue.ledger.current(queue.queue, queue.schema, objective: definition.objective?.age)
    let head = headMessage(queue)
    do throws(LayoutProblem) {
      return try SampleStatements(queue, head: head, eventIDs: eventIDs, role: role ?? session.userName, limitsInForce)
    } catch {
      throw failure(error)
    }
  }
}
