import Arguments
import Configuration
import Exporter
import Layouts
import Outbox
import Stores

/// Puts a ledger beside an outbox and takes it away again.
struct LedgerCommand: Subcommand {
  static let command = Command(
    "ledger", "Installs, shows, prints or removes the triggers that count every movement of an outbox.",
    discussion: """
      A ledger is opt-in: triggers on the outbox's table, and tables of their own: in PostgreSQL a schema outbox_ledger, \
      in SQLite tables outbox_ledger… in the same file. With it, deliveries, failed attempts and dead letters are \
      counted exactly, also where success deletes the row. The exporter reads it within a minute. In PostgreSQL \
      sampling needs no more than the grants that `print` shows, and installing the owner of the tables; in SQLite \
      installing needs whoever may write the file. `print` says what a ledger cannot keep from the application.
      """,
    subcommands: [
      action(
        .install, "Installs the ledger of an outbox, mends it, or brings it up to date, in one transaction.",
        grantee: "Grant the role that samples what it needs."),
      action(.status, "Says whether the ledger is installed and works."),
      action(.remove, "Removes the ledger of an outbox; nothing of it is left."),
      action(
        .print, "Prints the SQL of installing and removing, and the grants, for an administrator.",
        grantee: "The role that samples."),
    ], standardSubcommand: Action.status.rawValue)

  private enum Action: String {
    case install
    case status
    case remove
    case print
  }

  private static func action(_ action: Action, _ abstract: String, grantee: String? = nil) -> Command {
    var options = [CommandOption("--outbox", "name", "The outbox, where several are configured.")]
    if let grantee { options.append(CommandOption("--grant-to", "role", grantee)) }
    if action == .install || action == .remove {
      options.append(
        CommandOption(flag: "--all", "All outboxes that are configured, or all of the one that --outbox names."))
    }
    return Command(action.rawValue, abstract, groups: [SourceOptions.group, OptionGroup(options)])
  }

  private let action: Action
  private let arguments: Arguments

  init(_ arguments: Arguments) {
    action = arguments.path.last.flatMap(Action.init) ?? .status
    self.arguments = arguments
  }

  func run() throws {
    switch action {
    case .install:
      try change { ledger throws(SampleFailure) in
        let isNew = try ledger.install(grantingTo: arguments["--grant-to"])
        return isNew ? "the ledger is installed" : "the ledger was there already"
      }
    case .remove:
      try change { ledger throws(SampleFailure) in
        try ledger.remove() ? "the ledger is removed" : "there was no ledger"
      }
    case .status: try showStatus()
    case .print:
      for ledger in try ledgers() {
        do throws(SampleFailure) {
          printOutput(try ledger.text(grantingTo: arguments["--grant-to"]) + "\n")
        } catch {
          throw error.ending(ledger.outbox.name)
        }
      }
    }
  }

  private func change(_ body: (LedgerInstallation) throws(SampleFailure) -> String) throws {
    let ledgers = try ledgers()
    guard arguments.has("--all") || ledgers.count == 1 else {
      let names = ledgers.map(\.outbox.name).joined(separator: ", ")
      throw UsageMistake("there are several outboxes: say --all, or --outbox and one of \(names)")
    }
    for ledger in ledgers {
      do throws(SampleFailure) {
        printOutput("\(ledger.outbox.name): \(try body(ledger))\n")
      } catch {
        throw error.ending(ledger.outbox.name)
      }
    }
  }

  private func showStatus() throws {
    var isBroken = false
    for ledger in try ledgers() {
      do throws(SampleFailure) {
        let status = try ledger.status()
        if status.state == .broken { isBroken = true }
        let size = status.state == .absent || status.size.isEmpty ? "" : ", journal \(status.size)"
        printOutput("\(ledger.outbox.name): \(status.state.rawValue)\(size)\n")
        for problem in status.problems { printOutput("  ! \(problem)\n") }
      } catch {
        throw error.ending(ledger.outbox.name)
      }
    }
    if isBroken { throw ExitStatus.critical }
  }

  /// The ledgers of the outboxes that are meant. What cannot be asked is said and ends the process.
  private func ledgers() throws -> [LedgerInstallation] {
    let configuration = try ExporterConfiguration.loaded(SourceOptions.commandLine(arguments))
    let outbox = arguments["--outbox"]
    var ledgers: [LedgerInstallation] = []
    for definition in configuration.outboxes where definition.address.system != .files {
      if let outbox, outbox != definition.name, !outbox.hasPrefix(definition.name + "/") { continue }
      do throws(SampleFailure) {
        ledgers += try LedgerInstallation.all(of: definition, limits: configuration.postgreSQLLimits)
          .filter { outbox == nil || outbox == definition.name || outbox == $0.outbox.name }
      } catch {
        throw error.ending(definition.name)
      }
    }
    if ledgers.isEmpty {
      throw UsageMistake(
        (outbox.map { "no outbox in PostgreSQL or SQLite is called \($0)" }
          ?? "no outbox in PostgreSQL or SQLite is configured") + "; queue directories need no ledger")
    }
    return ledgers
  }
}

extension SampleFailure {
  /// Says what went wrong, and ends the process with the status for it.
  fileprivate func ending(_ outbox: String) -> any Error {
    printError("outbox-exporter: \(outbox): \(message)" + (hint.map { "; \($0)" } ?? ""))
    return ExitStatus.unknown
  }
}
