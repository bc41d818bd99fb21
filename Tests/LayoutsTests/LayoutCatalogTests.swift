import Layouts
import Outbox
import SampleSQL
import Testing

@Suite struct `Built-in layouts` {
  private static let all = LayoutCatalog.builtIn

  @Test func `limit no dead letters where they never go away, and those that the vendor limits as it does`() {
    #expect(Layout.openClaw.limits.dead == .init())
    #expect(Layout.kaireon.limits.dead == .init(warning: 11, critical: 101))
    #expect(Layout.kaireon.limits.ready == .init(warning: 101))
  }

  @Test func `have names that no other has, as the command line wants them`() {
    #expect(Set(Self.all.map(\.name)).count == Self.all.count)
    for layout in Self.all {
      #expect(layout.name.allSatisfy { $0.isASCII && ($0.isLowercase || $0 == "-") })
    }
    #expect(["praisonai", "openclaw", "relaycast", "kaireon", "aihummer"].allSatisfy(Self.all.map(\.name).contains))
  }

  @Test(arguments: all.map(\.name)) func `say where they come from and what to know`(
    name: String
  ) throws {
    let layout = try layout(name)
    #expect(!layout.summary.isEmpty && !layout.sources.isEmpty && !layout.notes.isEmpty && !layout.systems.isEmpty)
    #expect(layout.systems.contains(.files) == (layout.directory != nil))
    #expect(layout.directory != nil || !layout.queues.isEmpty)
    #expect(layout.limits != Limits(), "a layout without limits never fails a health check")
    if layout.queues.count > 1 && layout.name != "praisonai" {
      #expect(Set(layout.queues.map(\.suffix)).count == layout.queues.count)
    }
  }

  /// A schema that has everything the queue names, in the given kind of store.
  private func completeSchema(_ queue: TableQueue) -> QueueSchema {
    var tables: [String: QueueSchema.Table] = [:]
    for (role, table) in queue.tables {
      var columns: [String: String] = [:]
      for case .column(let name) in queue.columns.values.filter({ $0.table == role }).map(\.value) {
        columns[name] = "text"
      }
      tables[role] = .init(
        reference: SQLIdentifier.quotedPath(table.name), columns: columns, indexedColumns: Set(columns.keys))
    }
    return QueueSchema(tables: tables)
  }

  @Test(arguments: all.map(\.name)) func `fit a database that has all they name, and one that lacks what is optional`(
    name: String
  ) throws {
    let layout = try layout(name)
    for dialect in layout.systems.compactMap({ dialect($0) }) {
      for queue in layout.queues {
        var schema = completeSchema(queue)
        let query = try SampleQuery(queue: queue, schema: schema, dialect: dialect)
        try writeAll(query)
        #expect(query.states != nil || queue.stateColumn == nil)
        for definition in queue.columns.values where definition.isOptional {
          if case .column(let name) = definition.value { schema.tables[definition.table]?.columns[name] = nil }
        }
        try writeAll(SampleQuery(queue: queue, schema: schema, dialect: dialect))
        for (role, table) in queue.tables where table.isOptional { schema.tables[role] = nil }
        try writeAll(SampleQuery(queue: queue, schema: schema, dialect: dialect))
      }
    }
  }

  private func writeAll(_ query: SampleQuery) throws {
    _ = try query.eventIDs()
    _ = try query.columns()
    _ = try query.accounting()
    _ = try query.head()
  }

  @Test(arguments: all.map(\.name)) func `name no column that they do not read`(
    name: String
  ) throws {
    let layout = try layout(name)
    for queue in layout.queues {
      for dialect in layout.systems.compactMap({ dialect($0) }) {
        let schema = completeSchema(queue)
        let query = try SampleQuery(queue: queue, schema: schema, dialect: dialect)
        let read = try query.columns().merging(query.accounting().columns) { $0 + $1 }
        for (role, definition) in queue.columns {
          guard case .column(let name) = definition.value, let table = schema.tables[definition.table] else { continue }
          #expect(read[table.reference]?.contains(name) == true, "\(layout.name): \(role)")
        }
      }
    }
  }

  @Test(arguments: all.map(\.name)) func `never read a payload, a recipient or an error text`(
    name: String
  ) throws {
    let layout = try layout(name)
    let personal = [
      "payload", "to", "account_id", "session_key", "reply_text", "prompt", "user_id", "chat_id", "error",
    ]
    for queue in layout.queues {
      for case .column(let name) in queue.columns.values.map(\.value) {
        #expect(!personal.contains(name), "\(layout.name): \(name)")
      }
    }
  }

  @Test(arguments: all.map(\.name)) func `count no delivered event and give each state the times it needs`(
    name: String
  ) throws {
    let layout = try layout(name)
    for queue in layout.queues {
      for selection in queue.selections {
        #expect(selection.state != .delivered)
        if [.ready, .claimed, .scheduled].contains(selection.state) {
          #expect(selection.since != nil, "\(layout.name): an age needs a first due time")
        }
      }
      #expect(queue.stateColumn == nil || !queue.knownStates.isEmpty)
    }
  }

  private func layout(_ name: String) throws -> Layout { try #require(Self.all.first { $0.name == name }) }

  private func dialect(_ system: StoreSystem) -> SQLDialect? {
    switch system {
    case .postgresql: .postgresql
    case .sqlite: .sqlite
    case .files: nil
    }
  }
}
