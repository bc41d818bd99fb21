package import Outbox
import SampleSQL

/// A store that is read with SQL, which can be shown to whoever has to allow it.
package protocol SQLStore: OutboxStore {
  /// What a sample of each outbox sends, and what its role needs for it; or why that cannot be said.
  func statements(eventIDs: Bool) async -> [OutboxStatements]

  /// The statements of one outbox, or why there are none.
  typealias OutboxStatements = (outbox: WatchedOutbox, result: Result<SampleStatements, SampleFailure>)
}

/// What `outbox-exporter sql` shows of an outbox.
package struct SampleStatements: Sendable, Hashable {
  /// The message that each sample sends, to the letter.
  package let sample: String
  /// What it sends instead where the movements of the outbox are counted: that of a sample that begins with it.
  package let accounting: String?
  /// The statements by which an owner lets the exporter's role read what a sample reads, and nothing else. Empty where
  /// the store has no grants.
  package let grants: [String]

  init(_ query: SampleQuery, accounting: String, eventIDs: Bool) {
    self.accounting = accounting
    sample = query.figures + (eventIDs ? query.eventIDs.map { ";\n\($0)" } ?? "" : "")
    grants = []
  }

  init(_ queue: PostgreSQLQueues.Prepared, eventIDs: Bool, role: String, _ limits: PostgreSQLLimits) {
    sample = eventIDs ? queue.messageWithIDs : queue.message
    accounting = queue.accounting.map { queue.message(counting: $0.statements(nil), eventIDs: false, limits) }
    let grantee = SQLIdentifier.quoted(role)
    let references = queue.schema.tables.values.map(\.reference).sorted()
    var schemas: [String] = []
    for reference in references {
      let schema = SQLIdentifier.quoted(SQLIdentifier.parts(reference)[0])
      if !schemas.contains(schema) { schemas.append(schema) }
    }
    grants =
      schemas.map { "GRANT USAGE ON SCHEMA \($0) TO \(grantee)" }
      + references.map { reference in
        let read = Set(queue.query.columns[reference, default: []])
          .union(queue.query.accounting.columns[reference, default: []])
        let columns = read.sorted().map(SQLIdentifier.quoted)
        let list = columns.isEmpty ? "" : " (\(columns.joined(separator: ", ")))"
        return "GRANT SELECT\(list) ON \(reference) TO \(grantee)"
      }
  }
}
