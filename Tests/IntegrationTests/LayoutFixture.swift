import Layouts
import Outbox
import SampleSQL
import Stores
import TestSupport
import Testing

/// A database of a system that uses PostgreSQL, sampled through the real store.
///
/// Rows are written relative to `t`, the moment of the fixture, a whole second; ages are told as they were then. States
/// that time changes are minutes away from it.
struct LayoutFixture {
  let database: TemporaryDatabase
  let layout: Layout
  let moment: Timestamp

  init(_ layout: Layout, _ statements: String, encoding: String? = nil) throws {
    self.layout = layout
    database = try TemporaryPostgres.shared().createDatabase(
      "CREATE TABLE moment AS SELECT date_trunc('second', now()) AS t;" + statements, encoding: encoding)
    let seconds = try #require(Double(try database.psql("SELECT extract(epoch FROM t) FROM moment")))
    moment = Timestamp(seconds: seconds)
  }

  /// The store, as a role.
  func store(user: String = "postgres") -> PostgreSQLStore {
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(database.conninfo(user: user))), layout: layout)
    return PostgreSQLStore([definition], limits: PostgreSQLLimits(), now: { Timestamp(seconds: 1_800_000_000) })
  }

  /// What an owner grants to a role so that it can sample.
  func grants(to role: String) async throws -> [String] {
    let store = store(user: role)
    let statements = await store.statements(eventIDs: false)
    await store.close()
    return try statements.flatMap { try $0.result.get().grants }
  }

  func samples(user: String = "postgres", eventIDs: Bool = false) async -> [OutboxSample] {
    let store = store(user: user)
    let samples = await store.sample(eventIDs: eventIDs)
    await store.close()
    return samples
  }

  func snapshot(user: String = "postgres", eventIDs: Bool = false) async throws -> Snapshot {
    let samples = await samples(user: user, eventIDs: eventIDs)
    #expect(samples.count == 1)
    return try #require(samples.first?.snapshot, "\(String(describing: samples.first?.failure))")
  }

  func expectFigures(_ expected: String, user: String = "postgres") async throws {
    let sampled = figureLines(try await snapshot(user: user), at: moment)
    let expected = figureLines(expected)
    #expect(
      sampled == expected,
      "only sampled \(sampled.subtracting(expected).sorted()), only expected \(expected.subtracting(sampled).sorted())")
  }

  /// Every statement that a first sample sends, and one that counts movements and shows ids after it, with their plans.
  ///
  /// - Parameter settings: statements of the test's own, in force after those of the exporter.
  func sentStatements(_ settings: [String] = []) async throws -> [SentStatement] {
    try database.server.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
    let store = store()
    for request in [SampleRequest(), SampleRequest(eventIDs: true), SampleRequest(marks: [:])] {
      let sample = try #require(await store.sample(request).first)
      try #require(sample.snapshot != nil, "\(String(describing: sample.failure))")
    }
    await store.close()
    try database.server.psql("ALTER DATABASE \(database.name) RESET log_statement")
    let tables = Set(layout.queues.flatMap(\.tables.values).compactMap { SQLIdentifier.parts($0.name).last })
    var sent: [String: SentStatement] = [:]
    for message in Set(database.loggedMessages()) {
      for statement in try SentStatement.all(in: message, of: tables, settings, database) {
        sent[statement.sql] = statement
      }
    }
    return Array(sent.values)
  }
}
