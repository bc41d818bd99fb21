import Arguments
import Configuration
import Exporter
import Layouts
import Outbox
import Stores

/// Prints what a sample runs.
struct SQLCommand: Subcommand {
  static let command = Command(
    "sql", "Prints the exact statements that a sample runs, and the grants that they need.",
    discussion: """
      The statements depend on which tables and columns are there, so the database is asked; that needs no right but to \
      connect. Nothing of the outbox is read.
      """,
    groups: [
      SourceOptions.group,
      OptionGroup([CommandOption("--grant-to", "role", "The role that samples, if it is not the DSN's.")]),
    ])

  private let arguments: Arguments

  init(_ arguments: Arguments) { self.arguments = arguments }

  func run() async throws {
    let configuration = try ExporterConfiguration.loaded(SourceOptions.commandLine(arguments))
    var isComplete = true
    for (outbox, statements) in await ExporterAssembly.statements(of: configuration, role: arguments["--grant-to"]) {
      printOutput("-- \(outbox.name) (\(outbox.layout), \(outbox.system.rawValue))\n")
      switch statements {
      case .none:
        printOutput("-- A directory has no SQL: it and the files in it have to be readable.\n\n")
      case .success(let statements):
        if outbox.system == .sqlite {
          printOutput(
            "-- The clock is a parameter, set here as the sqlite3 shell does it:\n"
              + ".parameter set :now \"(julianday('now') - 2440587.5) * 86400.0\"\n"
              + ".parameter set :since \"(julianday('now') - 2440587.5) * 86400.0 - 300\"\n")
        }
        printOutput(statements.sample + ";\n\n")
        if let accounting = statements.accounting {
          printOutput(
            "-- Where movements are counted, this takes its place; later ones begin where the last one was:\n")
          printOutput(accounting + ";\n\n")
        }
        if let head = statements.head {
          printOutput(
            "-- Where counting every event would take more than its share of the database's time, this is what most "
              + "samples send:\n")
          printOutput(head + ";\n\n")
        }
        if let unchanged = statements.unchanged {
          printOutput(
            "-- Where no transaction has ended since the last count, this is all that is sent; from the second time on "
              + "without asking where the rows are kept:\n")
          printOutput(unchanged + ";\n\n")
        }
        if !statements.grants.isEmpty {
          printOutput(
            "-- What the role needs, and no more. Run by the owner of the tables:\n"
              + statements.grants.map { $0 + ";\n" }.joined() + "\n")
        }
        if !statements.ledgerGrants.isEmpty {
          let lead = statements.hasLedger ? "" : "-- "
          printOutput(
            (statements.hasLedger
              ? "-- And for its ledger:\n" : "-- And once `outbox-exporter ledger install` was run:\n")
              + statements.ledgerGrants.map { "\(lead)\($0);\n" }.joined() + "\n")
        }
      case .failure(let failure):
        isComplete = false
        printError("outbox-exporter: \(outbox.name): \(failure.message)" + (failure.hint.map { "; \($0)" } ?? ""))
      }
    }
    if !isComplete { throw ExitStatus.unknown }
  }
}
