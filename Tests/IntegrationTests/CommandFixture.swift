import SQLiteClient
import TestSupport
import Testing

/// The program in a home of its own. Whatever it prints is looked through for secrets and for signs of a crash.
final class CommandFixture {
  /// Stands in every place of the tests where a password or a token stands, and nowhere else.
  static let secret = "hunter2-never-shown"

  let exporter: ExporterCommand

  init() throws {
    exporter = try ExporterCommand()
  }

  /// Runs the program, with a token among the headers of its requests, and expects nothing of it in what is printed.
  func run(
    _ arguments: [String], environment: [String: String] = [:], obeysPermissions: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> ExporterCommand.Outcome {
    let outcome = try exporter.run(
      arguments, environment: Self.withToken(environment), obeysPermissions: obeysPermissions)
    Self.expectClean(outcome, sourceLocation: sourceLocation)
    return outcome
  }

  func start(_ arguments: [String], environment: [String: String] = [:]) throws -> ChildProcess {
    try exporter.start(arguments, environment: Self.withToken(environment))
  }

  /// Waits for the end of what was started, and looks through what it printed.
  static func outcome(
    of child: ChildProcess, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> ExporterCommand.Outcome {
    let outcome = try ExporterCommand.outcome(of: child)
    expectClean(outcome, sourceLocation: sourceLocation)
    return outcome
  }

  static func expectClean(_ outcome: ExporterCommand.Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
    for text in [outcome.output, outcome.error] {
      for trace in [secret, "Fatal error", "Crash", "Stack dump", "Thread 0", ".swift:", "Optional(", "Error("] {
        #expect(!text.contains(trace), "\(trace) in \(text)", sourceLocation: sourceLocation)
      }
    }
    // Whatever a test makes the program print as JSON is held to the schema, where there is a validator.
    if outcome.output.hasPrefix("{\n  \"health\""), OnceReportSchema.python != nil {
      #expect(throws: Never.self, sourceLocation: sourceLocation) {
        let problem = try OnceReportSchema.problem(with: outcome.output)
        #expect(problem == "", "\(outcome.output)", sourceLocation: sourceLocation)
      }
    }
  }

  private static func withToken(_ environment: [String: String]) -> [String: String] {
    environment.merging(["OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20\(secret)"]) { given, _ in given }
  }

  /// Writes a configuration file; the arguments that name it.
  func configured(_ yaml: String) throws -> [String] {
    try exporter.home.write(yaml, to: "outbox.yaml")
    return ["--config", "outbox.yaml"]
  }

  /// An outbox of PraisonAI with one event for each number: waiting for so many seconds.
  @discardableResult
  func writeOutbox(_ name: String = "outbox.sqlite", waiting ages: [Int] = [], more statements: String = "") throws
    -> [String]
  {
    let connection = try SQLiteConnection(path: exporter.path(name), access: .readWrite)
    try connection.execute(
      """
      PRAGMA journal_mode = WAL;
      CREATE TABLE outbound_queue (
        id TEXT PRIMARY KEY, target TEXT NOT NULL, content TEXT, status TEXT NOT NULL DEFAULT 'pending',
        attempts INTEGER NOT NULL DEFAULT 0, ts REAL NOT NULL, last_attempt REAL);
      """)
    for (index, age) in ages.enumerated() {
      try connection.execute(
        "INSERT INTO outbound_queue (id, target, ts) VALUES ('event-\(index)', 'telegram:1', unixepoch() - \(age))")
    }
    if !statements.isEmpty { try connection.execute(statements) }
    return ["--dsn", "sqlite:\(name)", "--layout", "praisonai"]
  }
}

extension ExporterCommand.Outcome {
  /// Expects that the outcome is UNKNOWN, said to people with these words.
  func expectUnknown(_ words: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(code == 3, "\(self)", sourceLocation: sourceLocation)
    #expect(output.hasPrefix("UNKNOWN"), "\(output)", sourceLocation: sourceLocation)
    #expect(output.contains("  ! not sampled: "), "\(output)", sourceLocation: sourceLocation)
    for word in words {
      #expect(output.contains(word), "\(word) is not in \(output)\(error)", sourceLocation: sourceLocation)
    }
  }
}
