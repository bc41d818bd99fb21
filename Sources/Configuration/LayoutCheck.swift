import Layouts
import Outbox
import SampleSQL

extension ConfigurationReader {
  /// Finds mistakes in a queue's templates before there is a database: its statements are written as for one that has
  /// everything the queue names. What one of the layout's systems can be asked is no mistake.
  mutating func checkTemplates(of queue: TableQueue, for systems: [StoreSystem], at place: ConfigurationPlace) {
    var problem: LayoutProblem?
    for dialect in systems.compactMap({ Self.dialects[$0] }) {
      do throws(LayoutProblem) {
        let query = try SampleQuery(queue: queue, schema: Self.schema(of: queue, dialect), dialect: dialect)
        _ = try query.columns()
        _ = try query.accounting()
        _ = try query.head()
        return
      } catch {
        problem = error
      }
    }
    guard let problem else { return }
    // The text of a template may hold what a variable put there, so only what is wrong with it is shown.
    if case .template(_, let cause) = problem {
      self.problem(place, "a template of the queue is wrong: \(cause)", problem.hint)
    } else {
      self.problem(place, problem.message, problem.hint)
    }
  }

  private static let dialects: [StoreSystem: SQLDialect] = [.postgresql: .postgresql, .sqlite: .sqlite]

  private static func schema(of queue: TableQueue, _ dialect: SQLDialect) -> QueueSchema {
    // PostgreSQL recognises a time by its type, so every column may turn out to be one.
    let type = dialect == .postgresql ? "timestamp with time zone" : ""
    let tables = queue.tables.map { role, table in
      let names = queue.columns.values.compactMap { column in
        if column.table == role, case .column(let name) = column.value { name } else { nil as String? }
      }
      let columns = Dictionary(names.map { ($0, type) }, uniquingKeysWith: { first, _ in first })
      return (role, QueueSchema.Table(reference: SQLIdentifier.quotedPath(table.name), columns: columns))
    }
    return QueueSchema(tables: Dictionary(uniqueKeysWithValues: tables))
  }
}
