import SampleSQL
import TestSupport
import Testing

/// A statement as the exporter sent it, with the plan that the server has for it.
struct SentStatement {
  let sql: String
  let plan: ParsedJSON
  private let nodes: [ParsedJSON]

  private init(_ sql: String, plan: String) throws {
    self.sql = sql
    self.plan = try ParsedJSON(plan)
    nodes = Self.nodes(try #require(self.plan.elements.first?["Plan"]))
  }

  /// Runs the statements of a message that read one of some tables under EXPLAIN, all of them in its transaction.
  ///
  /// - Parameter settings: statements of the test's own, in force after those of the exporter.
  static func all(
    in message: String, of tables: Set<String>, _ settings: [String], _ database: TemporaryDatabase
  ) throws -> [SentStatement] {
    let statements = message.split(separator: ";\n").map(String.init)
    let explained = statements.filter { sql in
      (sql.hasPrefix("SELECT") || sql.hasPrefix("WITH"))
        && tables.contains { sql.contains("\(SQLIdentifier.quoted($0)) e") }
    }
    if explained.isEmpty { return [] }
    let script = statements.flatMap { sql -> [String] in
      guard explained.contains(sql) else { return [sql] }
      return settings + [
        "SELECT '\(mark)'", "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) \(sql)", "SELECT '\(mark)'",
      ]
    }
    let output = try database.psql(script.joined(separator: ";\n") + ";")
    let plans = output.split(separator: mark, omittingEmptySubsequences: false)
    // What other statements print stands before, between and after.
    return try zip(explained, plans.indices.filter { $0 % 2 == 1 }.map { plans[$0] }).map {
      try SentStatement($0, plan: String($1))
    }
  }

  private static let mark = "-- plan --"

  private static func nodes(_ node: ParsedJSON) -> [ParsedJSON] {
    [node] + (node["Plans"]?.elements ?? []).flatMap(nodes)
  }

  private func number(_ node: ParsedJSON, _ key: String) -> Int { node[key]?.text.flatMap(Int.init) ?? 0 }

  private func nodes(on table: String) -> [ParsedJSON] { nodes.filter { $0["Relation Name"]?.text == table } }

  /// True where a table is read from one end to the other.
  func scansTable(_ table: String) -> Bool { nodes(on: table).contains { $0["Node Type"]?.text == "Seq Scan" } }

  /// The rows of a table that were looked at, those that its filters removed among them.
  func rowsRead(_ table: String) -> Int {
    nodes(on: table).reduce(0) { sum, node in
      let read = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"].map { number(node, $0) }
      return sum + read.reduce(0, +) * number(node, "Actual Loops")
    }
  }

  /// True where a table is read from an index alone.
  func readsIndexOnly(_ table: String) -> Bool {
    nodes(on: table).contains { $0["Node Type"]?.text == "Index Only Scan" }
  }

  /// Pages that the statement asked the server's buffers for.
  var buffers: Int {
    ["Shared Hit Blocks", "Shared Read Blocks"].reduce(0) { $0 + number(nodes[0], $1) }
  }
}
