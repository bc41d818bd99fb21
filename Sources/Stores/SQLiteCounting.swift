import Outbox
import SQLiteClient
import SampleSQL

/// A way to count the movements of one queue in an SQLite file, worked out for one version of its schema.
protocol SQLiteCounting: AnyObject {
  /// What a look that begins to count sends.
  func statement(at now: Timestamp) -> String

  /// Reads the figures and counts what has moved since the mark of a request, at one moment.
  func look(
    from given: AccountingMark?, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (rows: [FigureRow], reading: AccountingReading)

  /// What a look at an unchanged file brings, if the request's mark is that of the last look.
  func unchanged(_ mark: AccountingMark?) -> AccountingReading?

  /// True where figures and movements of the last look do not agree. Rows in states that nobody has looked for yet are
  /// the harmless cause.
  var isInDoubt: Bool { get }
}
