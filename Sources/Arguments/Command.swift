/// One command of a program: what it is called, what it takes, and what it tells about itself.
///
/// Only the words that parsing needs are made at once; the sentences are closures, since most runs print none of them.
package struct Command: Sendable {
  /// What is typed; for the root the program's name.
  package let name: String
  /// What it does, in one sentence.
  package let abstract: String
  /// What else there is to know, in paragraphs of one line each; a line that begins with a blank is printed as it is.
  package let discussion: @Sendable () -> String
  /// The options, in the groups in which they are listed.
  package let groups: [OptionGroup]
  /// The one word that may stand without an option before it; nil where none may.
  package let operand: Operand?
  /// What may follow as a command of its own.
  package let subcommands: [Command]
  /// The subcommand that is meant where none is named.
  package let standardSubcommand: String?

  /// A command.
  package init(
    _ name: String, _ abstract: String, discussion: @escaping @Sendable @autoclosure () -> String = "",
    groups: [OptionGroup] = [], operand: Operand? = nil, subcommands: [Command] = [],
    standardSubcommand: String? = nil
  ) {
    self.name = name
    self.abstract = abstract
    self.discussion = discussion
    self.groups = groups
    self.operand = operand
    self.subcommands = subcommands
    self.standardSubcommand = standardSubcommand
  }

  var options: [CommandOption] { groups.flatMap(\.options) }
}

/// Options that are listed together.
package struct OptionGroup: Sendable {
  /// What they are about.
  package let title: String
  /// The options.
  package let options: [CommandOption]

  /// A group of options.
  package init(_ options: [CommandOption], title: String = "Options") {
    self.title = title
    self.options = options
  }
}

/// One option.
package struct CommandOption: Sendable {
  /// The name with its two dashes.
  package let name: String
  /// What stands for its value in the help; nil for a flag, which has none.
  package let value: String?
  /// The only values that it takes; empty for any.
  package let choices: [String]
  /// What it means, in one sentence.
  package let help: @Sendable () -> String

  /// An option with a value.
  package init(
    _ name: String, _ value: String, choices: [String] = [], _ help: @escaping @Sendable @autoclosure () -> String
  ) {
    self.name = name
    self.value = value
    self.choices = choices
    self.help = help
  }

  /// A flag.
  package init(flag name: String, _ help: @escaping @Sendable @autoclosure () -> String) {
    self.name = name
    value = nil
    choices = []
    self.help = help
  }

  /// As it is shown: `--dsn <dsn>`.
  var shown: String { value.map { "\(name) <\($0)>" } ?? name }
}

/// The word that may stand without an option before it.
package struct Operand: Sendable {
  /// What stands for it in the help.
  package let value: String
  /// What it means, in one sentence.
  package let help: String

  /// A word without an option.
  package init(_ value: String, _ help: String) {
    self.value = value
    self.help = help
  }
}

/// What was given to a command.
package struct Arguments: Sendable, Hashable {
  /// The names of the command and of those above it, without the program's.
  package internal(set) var path: [String] = []
  /// The word without an option, if one was given.
  package internal(set) var operand: String?
  var values: [String: String] = [:]
  var flags: Set<String> = []

  /// The value of an option by its name with the dashes; nil where it was not given. Of several the last one counts.
  package subscript(name: String) -> String? { values[name] }

  /// Whether a flag was given.
  package func has(_ flag: String) -> Bool { flags.contains(flag) }
}

/// Why no command is to be run.
package enum ArgumentsEnding: Error, Sendable, Hashable {
  /// Something was asked for that is not there: the whole message.
  case usage(String)
  /// The help was asked for: its text.
  case help(String)
  /// The version was asked for.
  case version
}
