import Outbox
import SQLiteClient
import SampleSQL

extension SampleFailure {
  /// What an operator is told about a layout that does not fit a file.
  init(_ problem: LayoutProblem, path: String) {
    self.init(.schema, "\(path): \(problem.message)", hint: problem.hint)
  }

  /// What an operator is told about an error of SQLite's.
  init(_ error: SQLiteError, path: String) {
    let message = "\(path): \(error)"
    switch error.kind {
    case .cannotOpen where error.systemError == 13, .permission:
      self.init(.permission, message, hint: "run the exporter as the user who owns the file, or grant it read access")
    case .cannotOpen, .readOnly:
      self.init(
        .permission, message,
        hint: "a database in WAL mode needs its -shm file: keep the application running, or let the exporter write to "
          + "the directory")
    case .notADatabase:
      self.init(.corrupt, message, hint: "the file is no SQLite database: check the path of the outbox's DSN")
    case .corrupt: self.init(.corrupt, message, hint: "run `PRAGMA integrity_check` on a copy of the file")
    case .busy: self.init(.lockTimeout, message, hint: "another process keeps the database locked for long")
    case .interrupted:
      self.init(.timeout, message, hint: "the outbox is too large to count within the sample's time limit")
    case .inputOutput: self.init(.unreachable, message, hint: "check the file system that the file is on")
    case .statement:
      self.init(.schema, message, hint: "the table has changed, or a predicate of the layout is wrong")
    case .full, .other: self.init(.other, message)
    }
  }
}
