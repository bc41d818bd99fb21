/// Rows in columns that line up, for a terminal or a pipe.
package struct TextTable {
  /// How a column is aligned.
  package enum Alignment: Sendable {
    /// Text.
    case left
    /// Numbers.
    case right
  }

  private let columns: [(title: String, alignment: Alignment)]
  private var rows: [[String]] = []

  /// An empty table.
  package init(_ columns: [(title: String, alignment: Alignment)]) {
    self.columns = columns
  }

  /// Adds a row with one cell per column.
  package mutating func add(_ cells: [String]) {
    rows.append(cells)
  }

  /// The lines of the table where it is no wider than so many characters; else a few lines for each row, the first cell
  /// above the others.
  ///
  /// - Parameter width: nil for any width.
  package func lines(within width: Int?) -> [String] {
    let table = lines
    guard let width, table.contains(where: { $0.count > width }) else { return table }
    return rows.flatMap { cells in
      [cells[0]]
        + zip(columns, cells).dropFirst().filter { !$1.isEmpty }.flatMap { column, cell in
          "\(column.title): \(cell)".wrapped(within: width, indentation: "    ")
        }
    }
  }

  /// The lines, the titles first, without spaces at their ends.
  package var lines: [String] {
    let all = [columns.map(\.title)] + rows
    let widths = columns.indices.map { index in all.map { $0[index].count }.max() ?? 0 }
    return all.map { cells in
      var line = ""
      for (index, cell) in cells.enumerated() {
        let padding = String(repeating: " ", count: widths[index] - cell.count)
        line += (index == 0 ? "" : "  ") + (columns[index].alignment == .left ? cell + padding : padding + cell)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

extension String {
  /// The text in lines that begin with an indentation and are no wider than so many characters, as far as its words allow.
  ///
  /// - Parameter width: nil for one line.
  package func wrapped(within width: Int?, indentation: String) -> [String] {
    guard let width else { return [indentation + self] }
    var lines: [String] = []
    for word in split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] += " " + word
      } else {
        lines.append(indentation + word)
      }
    }
    return lines
  }
}
