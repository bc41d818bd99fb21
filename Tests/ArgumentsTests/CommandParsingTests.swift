import Arguments
import Testing

private let program = Command(
  "prog", "Does things.", discussion: "First.\n\nExample:\n  prog --once   # as it stands",
  subcommands: [
    Command(
      "run", "Runs.",
      groups: [
        OptionGroup([CommandOption("--dsn", "dsn", "Where it is.")], title: "Where"),
        OptionGroup([
          CommandOption(flag: "--once", "One time only."),
          CommandOption("--format", "format", choices: ["text", "json", "nagios"], "How it is printed."),
        ]),
      ]),
    Command("layouts", "Lists layouts.", operand: Operand("name", "Which one.")),
    Command(
      "ledger", "Keeps a ledger.",
      subcommands: [
        Command("status", "Says how it is.", groups: [OptionGroup([CommandOption("--outbox", "name", "Which one.")])]),
        Command("install", "Installs it."),
      ], standardSubcommand: "status"),
  ], standardSubcommand: "run")

@Suite struct `Words of a command line` {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let words: [String]
    let path: [String]
    var values: [String: String] = [:]
    var flags: [String] = []
    var operand: String?

    init(
      _ line: String, _ path: [String], _ values: [String: String] = [:], flags: [String] = [], operand: String? = nil
    ) {
      testDescription = line
      words = line.split(separator: " ").map(String.init)
      (self.path, self.values, self.flags, self.operand) = (path, values, flags, operand)
    }
  }

  @Test(arguments: [
    Case("", ["run"]),
    Case("run", ["run"]),
    Case("--once", ["run"], flags: ["--once"]),
    Case("run --once --dsn a=b --once", ["run"], ["--dsn": "a=b"], flags: ["--once"]),
    Case("--dsn=a=b --format=json", ["run"], ["--dsn": "a=b", "--format": "json"]),
    Case("--dsn a --dsn b", ["run"], ["--dsn": "b"]),
    Case("--dsn=-x", ["run"], ["--dsn": "-x"]),
    Case("--dsn= --once", ["run"], ["--dsn": ""], flags: ["--once"]),
    Case("--dsn -", ["run"], ["--dsn": "-"]),
    Case("--dsn layouts", ["run"], ["--dsn": "layouts"]),
    Case("layouts", ["layouts"]),
    Case("layouts kaireon", ["layouts"], operand: "kaireon"),
    Case("layouts -- --once", ["layouts"], operand: "--once"),
    Case("ledger", ["ledger", "status"]),
    Case("ledger --outbox a", ["ledger", "status"], ["--outbox": "a"]),
    Case("ledger install", ["ledger", "install"]),
  ])
  func `are a command with its options`(_ expected: Case) throws {
    let arguments = try program.parse(expected.words)
    #expect(arguments.path == expected.path && arguments.operand == expected.operand)
    for name in ["--dsn", "--format", "--outbox"] { #expect(arguments[name] == expected.values[name]) }
    #expect(arguments.has("--once") == expected.flags.contains("--once"))
  }

  @Test(arguments: [
    ("--onse", "Error: Unknown option '--onse'. Did you mean '--once'?", "prog run"),
    ("--bogus=1", "Error: Unknown option '--bogus'\n", "prog run"),
    ("-x", "Error: Unknown option '-x'\n", "prog run"),
    ("--once=yes", "Error: The flag '--once' takes no value", "prog run"),
    ("--dsn", "Error: Missing value for '--dsn <dsn>'\n  --dsn <dsn>  Where it is.\n", "prog run"),
    (
      "--dsn --once", "Error: Missing value for '--dsn <dsn>'; one that begins with a dash is written --dsn=VALUE",
      "prog run"
    ),
    (
      "--format xml",
      "Error: The value 'xml' is invalid for '--format <format>'. It is one of 'text', 'json' or 'nagios'",
      "prog run"
    ),
    ("layout", "Error: Unexpected argument 'layout'. Did you mean 'layouts'?", "prog run"),
    ("run layout", "Error: Unexpected argument 'layout'\n", "prog run"),
    ("layouts a b", "Error: Unexpected argument 'b'\n", "prog layouts"),
    ("ledger instal", "Error: Unexpected argument 'instal'. Did you mean 'install'?", "prog ledger status"),
    ("layouts --once", "Error: Unknown option '--once'", "prog layouts"),
    ("help layout", "Error: There is no command 'layout'. Did you mean 'layouts'?", "prog"),
  ])
  func `that cannot be understood are a message that helps`(line: String, says: String, command: String) {
    let words = line.split(separator: " ").map(String.init)
    #expect {
      try program.parse(words)
    } throws: { error in
      guard case ArgumentsEnding.usage(let message)? = error as? ArgumentsEnding else { return false }
      return message.hasPrefix(says) && message.contains("\nUsage: \(command)")
        && message.hasSuffix("\n  See '\(command) --help' for more information.")
    }
  }

  @Test func `a mistake that shows later is told in the same form`() {
    #expect(
      program.message("there is none", path: ["ledger", "status"])
        == "Error: there is none\nUsage: prog ledger status [--outbox <name>]\n  See 'prog ledger status --help' for more information."
    )
  }
}

@Suite struct `Help` {
  private func help(_ words: String..., width: Int = 80) -> String? {
    do throws(ArgumentsEnding) {
      _ = try program.parse(words, width: width)
    } catch {
      if case .help(let text) = error { return text }
    }
    return nil
  }

  @Test func `is a page, in which examples stay as they stand`() {
    #expect(
      help("--help") == """
        OVERVIEW: Does things.

        First.

        Example:
          prog --once   # as it stands

        USAGE: prog [<command>]

        OPTIONS:
          --version               Show the version.
          --help, -h              Show this text.

        COMMANDS:
          run (default)           Runs.
          layouts                 Lists layouts.
          ledger                  Keeps a ledger.

          'prog help <command>' tells more.

        """)
  }

  @Test func `lists the options of a command in their groups, as wide as there is room`() {
    #expect(
      help("run", "-h", width: 40) == """
        OVERVIEW: Runs.

        USAGE: prog run [--dsn <dsn>] [--once]
        [--format <format>]

        WHERE:
          --dsn <dsn>             Where it is.

        OPTIONS:
          --once                  One time only.
          --format <format>       How it is
                                  printed.
          --version               Show the
                                  version.
          --help, -h              Show this
                                  text.

        """)
  }

  @Test func `is of the command that it is asked for, however that is written`() {
    #expect(help("help") == help("--help") && help("help", "run") == help("run", "--help"))
    #expect(help("--once", "--help") == help("run", "--help"))
    #expect(help("ledger", "--help")?.contains("status (default)") == true)
    #expect(help("ledger", "--help")?.contains("'prog help ledger <command>' tells more.") == true)
    #expect(help("help", "ledger", "install") == help("ledger", "install", "-h"))
    #expect(help("layouts", "--help")?.contains("USAGE: prog layouts [<name>]\n\nARGUMENTS:\n  <name>") == true)
  }

  @Test func `the version is asked for anywhere`() {
    for words in [["--version"], ["--once", "--version"], ["layouts", "--version"]] {
      #expect(throws: ArgumentsEnding.version) { try program.parse(words) }
    }
  }
}
