import Arguments
import Configuration
import Layouts
import Outbox
import Reports
import SystemCalls

/// Prints the known layouts.
struct LayoutsCommand: Subcommand {
  static let command = Command(
    "layouts", "Lists the known layouts, or prints one as YAML to copy and change.",
    discussion: """
      A layout says how a system stores its outbox: tables, columns, states, times. To use a changed one, put it under \
      `layouts:` in the configuration file and name it in the outbox's `layout:`.
      """, operand: Operand("name", "The layout to print; all are listed without it."))

  private let name: String?

  init(_ arguments: Arguments) { name = arguments.operand }

  func run() throws {
    guard let name else {
      var table = TextTable([("layout", .left), ("stores", .left), ("system", .left)])
      for layout in LayoutCatalog.builtIn {
        table.add([layout.name, layout.systems.map(\.rawValue).joined(separator: ", "), layout.summary])
      }
      printOutput(table.lines(within: StandardStream.output.widthForTables).joined(separator: "\n") + "\n")
      return
    }
    guard let layout = LayoutCatalog.builtIn.first(where: { $0.name == name }) else {
      let names = LayoutCatalog.builtIn.map(\.name)
      let nearest = Suggestion.nearest(to: name, among: names).map { "did you mean \($0)? " } ?? ""
      throw UsageMistake(
        "there is no layout \(name.printable); \(nearest)The layouts are \(names.joined(separator: ", "))")
    }
    printOutput(LayoutYAML.text(layout))
  }
}
