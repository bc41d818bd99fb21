import TestSupport
import Testing

/// A statement as the exporter sent it, with the plan that the server has for it.
struct SentStatement {
  let sql: String
  let plan: ParsedJSON
  private let nodes: [ParsedJSON]

  /// Runs a statement under EXPLAIN, after those that come before it in its transaction.
  init(_ sql: String, after settings: [String], in database: TemporaryDatabase) throws {
    self.sql = sql
    let explained = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) \(sql)"
    let output = try database.psql((settings + [explained, "COMMIT"]).joined(separator: ";\n") + ";")
    // What the settings printed comes before the plan.
    let begin = try #require(output.firstRange(of: "[\n"))
    plan = try ParsedJSON(String(output[begin.lowerBound...]))
    nodes = Self.nodes(try #require(plan.elements.first?["Plan"]))
  }

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
