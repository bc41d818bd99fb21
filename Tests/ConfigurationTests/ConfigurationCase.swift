import Configuration
import Layouts
import Outbox

/// A configuration's input: flags, variables, files. Nothing else reaches it.
struct ConfigurationCase {
  var flags = CommandLineOptions()
  var environment: [String: String] = [:]
  var files: [String: String] = [:]

  /// An input whose configuration file, where it has one, is `outbox.yaml`.
  init(
    file: String? = nil, _ environment: [String: String] = [:], files: [String: String] = [:],
    flags: (inout CommandLineOptions) -> Void = { _ in }
  ) {
    self.environment = environment
    self.files = files
    if let file {
      self.files["outbox.yaml"] = file
      self.flags.config = "outbox.yaml"
    }
    flags(&self.flags)
  }

  /// An input with one outbox in variables, so that nothing is missing.
  init(watching environment: [String: String], flags: (inout CommandLineOptions) -> Void = { _ in }) {
    self.init(environment.merging(Self.watched) { given, _ in given }, flags: flags)
  }

  static let watched = ["OUTBOX_DSN": "sqlite:outbox.sqlite", "OUTBOX_LAYOUT": "shop"]

  /// Layouts of three kinds, none of a real system.
  static let catalog: [Layout] = [
    Layout(
      name: "shop", summary: "a shop", systems: [.sqlite, .postgresql],
      queues: [
        TableQueue(
          tables: ["events": TableName("outbox"), "dead": TableName("dead_letters", optional: true)],
          columns: ["id": .column("id"), "destination": .column("topic", optional: true)],
          selections: [Selection(rows: "true", state: .ready, since: nil)])
      ],
      limits: Limits(age: .init(warning: .seconds(300), critical: .seconds(900)), dead: .init(warning: 1))),
    Layout(
      name: "twins", summary: "two queues", systems: [.postgresql],
      queues: ["first", "second"].map {
        TableQueue(
          suffix: $0, tables: ["events": TableName($0)], columns: ["destination": .expression("'\($0)'")],
          selections: [])
      }),
    Layout(
      name: "folder", summary: "a directory", systems: [.files],
      directory: DirectoryQueue(
        fileSuffix: ".json", deadDirectory: "failed",
        fields: .init(
          id: [], created: [], attempts: [], lastAttempt: [], claimed: [], recoveryState: [], destination: []),
        backoff: [], maxAttempts: nil, claimedStates: [:], lease: .seconds(60))),
  ]

  func load() throws(ConfigurationError) -> (configuration: ExporterConfiguration, warnings: [ConfigurationProblem]) {
    let files = files
    return try ExporterConfiguration.load(
      options: flags, environment: environment, catalog: Self.catalog,
      readFile: { (path) throws(FileReadFailure) in
        guard let text = files[path] else { throw FileReadFailure("No such file or directory") }
        return Array(text.utf8)
      })
  }

  /// The configuration, which has to be right.
  func configuration() throws -> ExporterConfiguration { try load().configuration }

  /// The warnings, one a line.
  func warnings() throws -> [String] { try load().warnings.map(\.description) }

  /// The mistakes, one a line; none where there is none.
  func problems() -> [String] {
    do throws(ConfigurationError) {
      _ = try load()
      return []
    } catch {
      return error.problems.map(\.description)
    }
  }
}
