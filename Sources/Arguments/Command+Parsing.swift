import Configuration

extension Command {
  /// Reads the words after the program's name.
  ///
  /// Options stand anywhere behind their command, as `--name value` or `--name=value`. After `--` nothing is an option.
  ///
  /// - Parameter width: how wide a text of help may be.
  /// - Throws: there is nothing to run.
  package func parse(_ words: [String], width: Int = 80) throws(ArgumentsEnding) -> Arguments {
    if words.first == "help" {
      var trail = [self]
      for word in words.dropFirst() {
        guard let next = trail[trail.count - 1].subcommands.first(where: { $0.name == word }) else {
          let names = trail[trail.count - 1].subcommands.map(\.name)
          throw .usage(Self.message("There is no command '\(word)'\(suggestion(word, among: names))", trail))
        }
        trail.append(next)
      }
      throw .help(Self.help(trail, width: width))
    }
    var reading = Reading(root: self, words: words[...], width: width)
    try reading.run()
    return reading.arguments
  }

  /// The message about a mistake that shows only when a command runs.
  ///
  /// - Parameter path: the names of the command and of those above it, without the program's.
  package func message(_ sentence: String, path: [String]) -> String {
    let trail = path.reduce(into: [self]) { trail, name in
      if let next = trail[trail.count - 1].subcommands.first(where: { $0.name == name }) { trail.append(next) }
    }
    return Self.message(sentence, trail)
  }

  fileprivate static func message(_ sentence: String, _ trail: [Command]) -> String {
    "Error: \(sentence)\nUsage: \(usage(trail))\n  See '"
      + "\(trail.map(\.name).joined(separator: " ")) --help' for more information."
  }
}

private func suggestion(_ word: String, among names: [String]) -> String {
  Suggestion.nearest(to: word, among: names).map { ". Did you mean '\($0)'?" } ?? ""
}

/// One reading of a command line, from left to right.
private struct Reading {
  var words: ArraySlice<String>
  let width: Int
  /// The commands from the root down to the one that is meant.
  var trail: [Command]
  /// True where the last of them was not named.
  var isStandard = false
  var arguments = Arguments()
  private var optionsAreOver = false

  init(root: Command, words: ArraySlice<String>, width: Int) {
    self.words = words
    self.width = width
    trail = [root]
  }

  private var command: Command { trail[trail.count - 1] }

  mutating func run() throws(ArgumentsEnding) {
    enterSubcommands()
    while let word = words.popFirst() {
      if optionsAreOver || word == "-" || !word.hasPrefix("-") {
        try takeOperand(word)
      } else if word == "--" {
        optionsAreOver = true
      } else {
        try takeOption(word)
      }
    }
    enterStandard()
    arguments.path = trail.dropFirst().map(\.name)
  }

  private mutating func enterSubcommands() {
    while let word = words.first, let next = command.subcommands.first(where: { $0.name == word }) {
      words.removeFirst()
      trail.append(next)
    }
  }

  /// Goes on to the subcommand that needs no name.
  private mutating func enterStandard() {
    while let name = command.standardSubcommand, let next = command.subcommands.first(where: { $0.name == name }) {
      trail.append(next)
      isStandard = true
    }
  }

  private mutating func takeOption(_ word: String) throws(ArgumentsEnding) {
    if word == "--help" || word == "-h" { throw .help(Command.help(trail, width: width)) }
    if word == "--version" { throw .version }
    enterStandard()
    let name = String(word.prefix { $0 != "=" })
    guard let option = command.options.first(where: { $0.name == name }) else {
      let known = command.options.map(\.name) + ["--help", "--version"]
      throw mistake("Unknown option '\(name)'\(suggestion(name, among: known))")
    }
    let attached = word.count > name.count ? String(word.dropFirst(name.count + 1)) : nil
    guard option.value != nil else {
      if attached != nil { throw mistake("The flag '\(name)' takes no value", help: option) }
      arguments.flags.insert(name)
      return
    }
    if attached == nil, let next = words.first, next.count > 1, next.hasPrefix("-") {
      throw mistake(
        "Missing value for '\(option.shown)'; one that begins with a dash is written \(name)=VALUE", help: option)
    }
    guard let value = attached ?? words.popFirst() else {
      throw mistake("Missing value for '\(option.shown)'", help: option)
    }
    if !option.choices.isEmpty, !option.choices.contains(value) {
      let choices = option.choices.map { "'\($0)'" }
      let list = choices.dropLast().joined(separator: ", ") + " or " + (choices.last ?? "")
      throw mistake("The value '\(value)' is invalid for '\(option.shown)'. It is one of \(list)", help: option)
    }
    arguments.values[name] = value
  }

  private mutating func takeOperand(_ word: String) throws(ArgumentsEnding) {
    enterStandard()
    if command.operand != nil, arguments.operand == nil {
      arguments.operand = word
      return
    }
    // Where the command was not named, the word may have been meant as its name.
    let names = isStandard && trail.count > 1 ? trail[trail.count - 2].subcommands.map(\.name) : []
    throw mistake("Unexpected argument '\(word)'\(suggestion(word, among: names))")
  }

  private func mistake(_ sentence: String, help option: CommandOption? = nil) -> ArgumentsEnding {
    let help = option.map { "\n  \($0.shown)  \($0.help())" } ?? ""
    return .usage(Command.message(sentence + help, trail))
  }
}
