import Layouts
import Outbox

/// The part of a table that an estimate reads.
package enum TablePart: Sendable, Hashable {
  /// All of it.
  case whole
  /// Blocks that PostgreSQL draws: a share of them in percent, and the seed of the draw.
  case blocks(percent: Double, seed: Int)
  /// Rows of SQLite by ranges of their `rowid`, and the share of all rowids that the ranges are.
  case ranges([Range<Int64>], share: Double)

  /// How many rows of the table one row of the part stands for.
  var weight: Double {
    switch self {
    case .whole: 1
    case .blocks(let percent, _): 100 / percent
    case .ranges(_, let share): 1 / share
    }
  }
}

/// The figures of a sample, estimated from a part of each table.
///
/// The database's own statistics are not asked: a table that was never analysed has none, one that was small when it was
/// analysed keeps those of then until a tenth of it has changed, and none of them knows a destination. What is read is
/// drawn anew each time from the table as it is.
package struct EstimateQuery: Sendable, Hashable {
  /// The tables that are read, by role: their quoted names.
  package let tables: [String: String]
  private let queue: TableQueue
  private let schema: QueueSchema
  private let dialect: SQLDialect
  private let unknownStates: [StoredState]
  private let objective: Duration?

  init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, unknownStates: [StoredState], objective: Duration?
  ) {
    self.queue = queue
    self.schema = schema
    self.dialect = dialect
    self.unknownStates = unknownStates
    self.objective = objective
    let roles = Set(queue.selections.map(\.table))
    tables = schema.tables.filter { roles.contains($0.key) }.mapValues(\.reference)
  }

  /// One row for each group as in ``SampleQuery/figures``. Counts are what the parts stand for, quantiles those of the
  /// rows that were read, and the oldest is the oldest of those.
  ///
  /// - Parameter parts: what to read of each table, by role; whole where nothing is said.
  /// - Throws: what the statements of a sample throw.
  package func statement(_ parts: [String: TablePart]) throws(LayoutProblem) -> String {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect, parts: parts)
    let picked = queue.selections.filter { schema.tables[$0.table] != nil }.map(PickedRows.init)
    let unknown = try SampleQuery.unknownRows(queue, schema, unknownStates, &writer)
    return SampleQuery.figures(
      try writer.selects(picked + unknown), nil, dialect, objective: objective, isWeighted: true)
  }
}
