import Layouts
import Outbox
import SampleSQL
import Testing

/// Where looks at the head begin, and what is left out of them.
@Suite struct `The beginning of a look` {
  private static let noon = Timestamp(seconds: 1_800_000_000)
  /// Waiting events come in no order that tells anything, claims in that of the time from which on they are overdue.
  private let queue = TableQueue(
    tables: ["events": TableName("ev")],
    columns: [
      "state": .column("st"), "due": .column("due_at", encoding: .unixSeconds),
      "claimed": .column("claimed_at", encoding: .unixSeconds),
    ],
    selections: [
      Selection(rows: "{state} = 'new'", state: .ready, since: "COALESCE({due.seconds}, 0)"),
      Selection(
        rows: "{state} = 'claimed'", state: .claimed, since: "COALESCE({due.seconds}, 0)",
        stuck: .init(.leaseExpired, since: "{claimed.seconds} + 300")),
    ])

  private func paths(_ queue: TableQueue) throws -> [HeadPath] {
    let schema = QueueSchema(
      tables: [
        "events": QueueSchema.Table(
          reference: "\"ev\"", columns: ["st": "integer", "due_at": "integer", "claimed_at": "integer"],
          indexedColumns: ["st"])
      ])
    return try SampleQuery(queue: queue, schema: schema, dialect: .sqlite).head().paths.map { try #require($0.first) }
  }

  private func snapshot(stuckFor: Int64? = nil) -> Snapshot {
    Snapshot(
      storeTime: Self.noon,
      stuck: stuckFor.map {
        [.init(destination: "mail", reason: .leaseExpired, count: 1, oldest: .seconds($0))]
      } ?? [])
  }

  private func row(_ selection: Int, count: Int, stuck: Bool = false) -> HeadRow {
    HeadRow(
      selection: selection, destination: "mail", retry: false, reason: stuck ? .leaseExpired : nil, count: count,
      oldest: Self.noon.seconds - 1000, stuckSince: stuck ? Self.noon.seconds - 7 : nil)
  }

  @Test func `claims are looked for from the one on that is overdue for longest, less a minute`() throws {
    let paths = try paths(queue)
    #expect(paths.map(\.order) == [.none, .stuck])
    var floor = HeadFloor()
    #expect(try #require(HeadQuery.statement(paths, .sqlite, from: floor)).contains("claimed_at\" >=") == false)
    for (stuckFor, beginning) in [(nil as Int64?, "1799999640.0"), (1000, "1799998640.0")] {
      floor.note(snapshot(stuckFor: stuckFor))
      let statement = try #require(HeadQuery.statement(paths, .sqlite, from: floor))
      #expect(statement.contains("\"claimed_at\" >= CAST(\(beginning) AS"), "\(statement)")
      #expect(!statement.contains("\"due_at\" >= "))
    }
  }

  @Test func `what a claim has to fulfil besides may come late, so that the index is read from its beginning`() throws {
    var queue = queue
    queue.selections[1].stuck?.rows = "{due} > 0"
    var floor = HeadFloor()
    floor.note(snapshot())
    let statement = try #require(HeadQuery.statement(try paths(queue), .sqlite, from: floor))
    #expect(!statement.contains("\"claimed_at\" >= "))
  }

  @Test func `what is longer than a look and tells nothing is passed over until the next count`() throws {
    let paths = try paths(queue)
    var floor = HeadFloor()
    floor.note(snapshot())
    floor.note([row(0, count: 60), row(0, count: 39), row(1, count: 200)], of: paths)
    #expect(floor.worthLooking(at: paths) == [0, 1])
    floor.note([row(0, count: 60), row(0, count: 40)], of: paths)
    #expect(floor.worthLooking(at: paths) == [1])
    let statement = try #require(HeadQuery.statement(paths, .sqlite, from: floor))
    #expect(statement.contains("SELECT 1 AS n") && !statement.contains("SELECT 0 AS n"))
    // Nothing is claimed to be known of what was not looked at.
    let head = QueueHead(
      storeTime: Self.noon, rows: [row(1, count: 3, stuck: true)], paths: paths, looked: floor.worthLooking(at: paths))
    #expect(!head.isComplete && head.ages.isEmpty && head.stuckAges == [.leaseExpired: .seconds(7)])
    floor.note(snapshot())
    #expect(floor.worthLooking(at: paths) == [0, 1])
  }

  @Test func `so is what tells nothing after a look that was given up`() throws {
    let paths = try paths(queue)
    var floor = HeadFloor()
    floor.noteGivenUp(paths)
    #expect(floor.worthLooking(at: paths) == [1])
  }

  @Test func `where nothing can be told any more there is no look`() throws {
    var queue = queue
    queue.selections[1].stuck = nil
    let paths = try paths(queue)
    var floor = HeadFloor()
    floor.note([row(1, count: 100)], of: paths)
    #expect(floor.worthLooking(at: paths).isEmpty)
    #expect(HeadQuery.statement(paths, .sqlite, from: floor) == nil)
  }
}
