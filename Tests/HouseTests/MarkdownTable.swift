/// A table in a Markdown document, so that a document can be compared with the code that it describes.
struct MarkdownTable: Equatable {
  /// The cells of the first row.
  var header: [String]
  /// The cells below it. Every row has as many as the header: missing ones are empty, further ones are dropped, as
  /// GitHub renders them.
  var rows: [[String]]

  /// Every table of a document, in order. Fenced code is no table.
  static func all(in document: String) -> [MarkdownTable] {
    var tables: [MarkdownTable] = []
    var isFenced = false
    var isInTable = false
    var previous: [String]?
    for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
      let text = line.trimmed
      if text.hasPrefix("```") { isFenced.toggle() }
      guard !isFenced, text.hasPrefix("|") else {
        (isInTable, previous) = (false, nil)
        continue
      }
      let cells = cells(of: text)
      if isInTable {
        let width = tables[tables.count - 1].header.count
        tables[tables.count - 1].rows.append((0..<width).map { $0 < cells.count ? cells[$0] : "" })
      } else if let header = previous, cells.allSatisfy({ $0.wholeMatch(of: /:?-+:?/) != nil }) {
        tables.append(MarkdownTable(header: header, rows: []))
        isInTable = true
      }
      previous = cells
    }
    return tables
  }

  /// The first table of a document that has a column of that name.
  static func first(in document: String, withColumn column: String) -> MarkdownTable? {
    all(in: document).first { $0.header.contains(column) }
  }

  /// The cells of one column from top to bottom; nil where there is no such column.
  func column(_ name: String) -> [String]? {
    guard let index = header.firstIndex(of: name) else { return nil }
    return rows.map { $0[index] }
  }

  /// What stands in backticks in a cell, in order.
  static func codeSpans(in cell: String) -> [String] {
    cell.matches(of: /`([^`]+)`/).map { String($0.output.1) }
  }

  private static func cells(of row: String) -> [String] {
    var cells: [String] = []
    var cell = ""
    var previous: Character?
    for character in row.dropFirst() {
      if character != "|" {
        cell.append(character)
      } else if previous == "\\" {
        cell = cell.dropLast() + "|"
      } else {
        cells.append(cell.trimmed)
        cell = ""
      }
      previous = character
    }
    return cell.trimmed.isEmpty ? cells : cells + [cell.trimmed]
  }
}

extension StringProtocol {
  /// The text without white space at either end.
  var trimmed: String {
    var text = drop { $0.isWhitespace }
    while text.last?.isWhitespace == true { text = text.dropLast() }
    return String(text)
  }
}
