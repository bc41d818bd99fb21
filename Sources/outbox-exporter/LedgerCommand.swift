import ArgumentParser
import Configuration
import Exporter
import Layouts
import Outbox
import Stores

/// Puts a ledger beside an outbox and takes it away again.
struct LedgerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledger",
    abstract: "Installs, shows, prints or removes the triggers that count every movement of an outbox.",
    discussion: """
      A ledger is opt-in: triggers on the outbox's table and a schema of their own, outbox_ledger. With it, deliveries, \
      failed attempts and dead letters are counted exactly, also where success deletes the row. The exporter reads it \
      as soon as it is there. Sampling needs no more than the grants that `print` shows; installing needs the owner of \
      the tables.
      """,
    subcommands: [Install.self, Status.self, Remove.self, Print.self], defaultSubcommand: Status.self)

  /// Which ledgers are meant.
  struct Choice: ParsableArguments {
    @OptionGroup var source: SourceOptions
    @Option(help: ArgumentHelp("The outbox, where several are configured.", valueName: "name")) var outbox: String?

    /// The ledgers of the outboxes that are meant. What cannot be asked is said and ends the process.
    func ledgers() throws -> [LedgerInstallation] {
      let configuration = try ExporterConfiguration.loaded(source.commandLine)
      var ledgers: [LedgerInstallation] = []
      for definition in configuration.outboxes where definition.address.system == .postgresql {
        if let outbox, outbox != definition.name, !outbox.hasPrefix(definition.name + "/") { continue }
        do throws(SampleFailure) {
          ledgers += try LedgerInstallation.all(of: definition, limits: configuration.postgreSQLLimits)
            .filter { outbox == nil || outbox == definition.name || outbox == $0.outbox.name }
        } catch {
          throw error.ending(definition.name)
        }
      }
      if ledgers.isEmpty {
        throw ValidationError(
          (outbox.map { "no outbox in PostgreSQL is called \($0)" } ?? "no outbox in PostgreSQL is configured")
            + "; a ledger needs PostgreSQL, in SQLite and in directories there is none")
      }
      return ledgers
    }

    /// The one ledger that is to be changed.
    func ledger() throws -> LedgerInstallation {
      let ledgers = try ledgers()
      guard ledgers.count == 1 else {
        let names = ledgers.map(\.outbox.name).joined(separator: ", ")
        throw ValidationError("there are several outboxes: say --outbox and one of \(names)")
      }
      return ledgers[0]
    }
  }

  struct Install: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Installs the ledger of an outbox, mends it, or brings it up to date, in one transaction.")

    @OptionGroup var choice: Choice
    @Option(help: ArgumentHelp("Grant the role that samples what it needs.", valueName: "role")) var grantTo: String?

    func run() throws {
      let ledger = try choice.ledger()
      do throws(SampleFailure) {
        let isNew = try ledger.install(grantingTo: grantTo)
        printOutput("\(ledger.outbox.name): \(isNew ? "the ledger is installed" : "the ledger was there already")\n")
      } catch {
        throw error.ending(ledger.outbox.name)
      }
    }
  }

  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Says whether the ledger is installed and works.")

    @OptionGroup var choice: Choice

    func run() throws {
      var isBroken = false
      for ledger in try choice.ledgers() {
        do throws(SampleFailure) {
          let status = try ledger.status()
          if status.state == .broken { isBroken = true }
          let size = status.state == .absent ? "" : ", journal \((status.bytes + 1023) / 1024) kB"
          printOutput("\(ledger.outbox.name): \(status.state.rawValue)\(size)\n")
          let lead = status.state == .broken ? "missing: " : ""
          for problem in status.problems { printOutput("  ! \(lead)\(problem)\n") }
        } catch {
          throw error.ending(ledger.outbox.name)
        }
      }
      if isBroken { throw ExitStatus.critical.code }
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes the ledger of an outbox; nothing of it is left.")

    @OptionGroup var choice: Choice

    func run() throws {
      let ledger = try choice.ledger()
      do throws(SampleFailure) {
        let wasThere = try ledger.remove()
        printOutput("\(ledger.outbox.name): \(wasThere ? "the ledger is removed" : "there was no ledger")\n")
      } catch {
        throw error.ending(ledger.outbox.name)
      }
    }
  }

  struct Print: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the SQL of installing and removing, and the grants, for an administrator.")

    @OptionGroup var choice: Choice
    @Option(help: ArgumentHelp("The role that samples.", valueName: "role")) var grantTo: String?

    func run() throws {
      for ledger in try choice.ledgers() { printOutput(ledger.text(grantingTo: grantTo) + "\n") }
    }
  }
}

extension SampleFailure {
  /// Says what went wrong, and ends the process with the status for it.
  fileprivate func ending(_ outbox: String) -> any Error {
    printError("outbox-exporter: \(outbox): \(message)" + (hint.map { "; \($0)" } ?? ""))
    return ExitStatus.unknown.code
  }
}
