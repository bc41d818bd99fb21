import Outbox
import SQLiteClient

extension SampleFailure {
  /// Says what an error means for an outbox.
  init(_ error: SQLiteError, path: String) {
    let message = "\(path): \(error)"
    self =
      switch error.kind {
      case .cannotOpen where error.systemError == 13, .permission:
        SampleFailure(
          .permission, message, hint: "run the exporter as the user who owns the file, or grant it read access")
      case .cannotOpen, .readOnly:
        SampleFailure(
          .permission, message,
          hint:
            "a database in WAL mode needs its -shm file: keep the application running, or let the exporter write to "
            + "the directory")
      case .notADatabase:
        SampleFailure(.corrupt, message, hint: "the file is no SQLite database: check the path of the outbox's DSN")
      case .corrupt:
        SampleFailure(.corrupt, message, hint: "run `PRAGMA integrity_check` on a copy of the file")
      case .busy:
        SampleFailure(.lockTimeout, message, hint: "another process keeps the database locked for long")
      case .interrupted:
        SampleFailure(.timeout, message, hint: "the outbox is too large to count within the sample's time limit")
      case .inputOutput: SampleFailure(.unreachable, message, hint: "check the file system that the file is on")
      case .statement:
        SampleFailure(.schema, message, hint: "the table has changed, or a predicate of the layout is wrong")
      case .full, .other: SampleFailure(.other, message)
      }
  }
}
