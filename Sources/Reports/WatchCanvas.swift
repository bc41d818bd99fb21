/// What the picture of `watch` is drawn on.
package struct WatchCanvas: Sendable, Hashable {
  /// Columns of the terminal; nil in a pipe, where nothing is cut.
  package var columns: Int?
  /// Rows of the terminal; nil in a pipe, where everything is shown.
  package var rows: Int?
  /// Whether colours are shown.
  package var isColoured: Bool
  /// Whether nothing but ASCII can be shown.
  package var isASCII: Bool

  /// A canvas; a pipe unless a size is named.
  package init(columns: Int? = nil, rows: Int? = nil, isColoured: Bool = false, isASCII: Bool = false) {
    self.columns = columns
    self.rows = rows
    self.isColoured = isColoured
    self.isASCII = isASCII
  }

  /// Whether a terminal with this environment shows more than ASCII: the first of LC_ALL, LC_CTYPE and LANG that is set
  /// names its encoding (POSIX.1-2017, Base Definitions 8.2).
  package static func isASCII(_ environment: [String: String]) -> Bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? "C"
    let encoding = locale.lowercased().filter { $0 != "-" }
    return !encoding.contains("utf8")
  }

  var cutMark: String { isASCII ? ">" : "…" }
  var more: String { isASCII ? "..." : "…" }
  /// What stands before a line that belongs to the row above.
  var indentation: String { isNarrow ? "  " : "    " }
  /// A terminal of less than this has room for the most important columns only.
  var isNarrow: Bool { columns.map { $0 < 60 } ?? false }
}
