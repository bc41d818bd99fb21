import Reports

extension Command {
  /// How the last of the commands is written; one with many options in short.
  static func usage(_ trail: [Command]) -> String {
    let command = trail[trail.count - 1]
    var parts = trail.map(\.name)
    if !command.subcommands.isEmpty {
      parts.append(command.standardSubcommand == nil ? "<command>" : "[<command>]")
    }
    let options = command.options
    if options.count > 8 {
      parts.append("<options>")
    } else {
      parts += options.map { "[\($0.shown)]" }
    }
    if let operand = command.operand { parts.append("[<\(operand.value)>]") }
    return parts.joined(separator: " ")
  }

  /// Everything about the last of the commands.
  static func help(_ trail: [Command], width: Int) -> String {
    let command = trail[trail.count - 1]
    var parts = [
      (["OVERVIEW: " + command.abstract] + [command.discussion()].filter { !$0.isEmpty }).map { wrapped($0, width) }
        .joined(separator: "\n\n"),
      wrapped("USAGE: " + usage(trail), width),
    ]
    if let operand = command.operand {
      parts.append("ARGUMENTS:\n" + entry("<\(operand.value)>", operand.help, width))
    }
    let always = [
      CommandOption(flag: "--version", "Show the version."), CommandOption(flag: "--help, -h", "Show this text."),
    ]
    let groups = command.groups.last?.title == "Options" ? command.groups : command.groups + [OptionGroup([])]
    for (index, group) in groups.enumerated() {
      let options = group.options + (index == groups.count - 1 ? always : [])
      parts.append(
        "\(group.title.uppercased()):\n"
          + options.map { entry($0.shown, $0.help(), width) }.joined(separator: "\n"))
    }
    if !command.subcommands.isEmpty {
      let entries = command.subcommands.map { next in
        entry(next.name + (next.name == command.standardSubcommand ? " (default)" : ""), next.abstract, width)
      }
      let path = (["help"] + trail.dropFirst().map(\.name)).joined(separator: " ")
      parts.append(
        "COMMANDS:\n" + entries.joined(separator: "\n") + "\n\n  '\(trail[0].name) \(path) <command>' tells more.")
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// A term and what it means, in two columns.
  private static func entry(_ term: String, _ meaning: String, _ width: Int) -> String {
    let column = 26
    let lines = meaning.wrapped(within: width, indentation: String(repeating: " ", count: column))
    guard let first = lines.first else { return "  " + term }
    if term.count > column - 4 { return "  \(term)\n" + lines.joined(separator: "\n") }
    let lead = "  " + term + String(repeating: " ", count: column - 2 - term.count)
    return ([lead + first.dropFirst(column)] + lines.dropFirst()).joined(separator: "\n")
  }

  /// Paragraphs broken at blanks; lines that begin with one are examples and tables, and stay as they are.
  private static func wrapped(_ text: String, _ width: Int) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line in
      line.isEmpty || line.hasPrefix(" ") ? [String(line)] : String(line).wrapped(within: width, indentation: "")
    }.joined(separator: "\n")
  }
}
