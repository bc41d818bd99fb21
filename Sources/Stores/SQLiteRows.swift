import Outbox
import SQLiteClient
import SampleSQL

extension SQLiteStatement {
  /// The numbers of a column that group_concat wrote, none of them negative.
  borrowing func wholeNumbers(_ column: Int) -> [Int64] {
    guard let list = text(column), !list.isEmpty else { return [] }
    var numbers: [Int64] = []
    var number: Int64 = 0
    for byte in list.utf8 {
      if byte == UInt8(ascii: ",") {
        numbers.append(number)
        number = 0
      } else {
        number = number &* 10 &+ Int64(byte &- UInt8(ascii: "0"))
      }
    }
    return numbers + [number]
  }
}

extension FigureRow {
  /// Reads the columns in the order of ``SampleQuery/figures``, and those of the accounting where they are there.
  init(_ row: borrowing SQLiteStatement) {
    self.init(
      destination: row.text(0) ?? Snapshot.defaultDestination,
      state: row.text(1).flatMap(EventState.init) ?? .unknown, retry: row.integer(2) == 1,
      stuck: row.text(3).flatMap(StuckReason.init), count: Int(row.integer(4) ?? 0), oldest: row.double(5),
      median: nil, p99: nil, stuckSince: row.double(8), implausible: Int(row.integer(9) ?? 0),
      nextChange: [row.double(10), row.double(11), row.double(12), row.double(14)].compactMap { $0 }.min())
    if state == .dead { (cell, isElsewhere) = CountingCells.died(Int(row.integer(2) ?? 0)) }
    overdue = Int(row.integer(13) ?? 0)
    // Columns that a statement does not have read as NULL.
    retries = Int(row.integer(15) ?? 0)
    created = CountingCells.written(row.text(16) ?? "")
    died = CountingCells.finished(row.text(17) ?? "")
  }
}
