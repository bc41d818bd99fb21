import TestSupport

/// A dashboard as it is shipped.
struct Dashboard: Sendable, CustomStringConvertible {
  let uid: String
  let json: ParsedJSON

  init(uid: String) throws {
    self.uid = uid
    json = try ParsedJSON(try ProjectFiles.text(of: "dashboards/\(uid).json"))
  }

  static let uids = ["outbox-overview", "outbox-delivery", "outbox-exporter"]

  static func all() throws -> [Dashboard] { try uids.map(Dashboard.init) }

  var description: String { uid }

  /// All panels, those of closed rows included.
  var panels: [Panel] {
    (json["panels"]?.elements ?? []).flatMap { [$0] + ($0["panels"]?.elements ?? []) }.map(Panel.init)
  }

  /// Its variables.
  var variables: [ParsedJSON] { json["templating"]?["list"]?.elements ?? [] }

  /// Its annotations that ask the data source.
  var annotations: [ParsedJSON] { (json["annotations"]?["list"]?.elements ?? []).filter { $0["expr"] != nil } }

  /// Every expression, with the place that it stands at.
  var expressions: [(place: String, text: String)] {
    let ofPanels = panels.flatMap { panel in
      panel.targets.map { ("\(uid): \(panel.title) \($0["refId"]?.text ?? "")", $0["expr"]?.text ?? "") }
    }
    return ofPanels + annotations.map { ("\(uid): \($0["name"]?.text ?? "")", $0["expr"]?.text ?? "") }
  }

  /// What the variables look for their values in, with the place that it stands at.
  var variableSelectors: [(place: String, text: String)] {
    variables.compactMap { variable in
      (variable["query"]?["query"]?.text).map { query in
        let end = query.lastIndex(of: ",") ?? query.endIndex
        return ("\(uid): $\(variable["name"]?.text ?? "")", String(query[..<end].dropFirst("label_values(".count)))
      }
    }
  }
}

/// One panel.
struct Panel {
  let json: ParsedJSON

  var id: String { json["id"]?.text ?? "" }
  var title: String { json["title"]?.text ?? "" }
  var type: String { json["type"]?.text ?? "" }
  var text: String { json["description"]?.text ?? "" }
  var targets: [ParsedJSON] { json["targets"]?.elements ?? [] }
  var defaults: ParsedJSON { json["fieldConfig"]?["defaults"] ?? .null }
  var overrides: [ParsedJSON] { json["fieldConfig"]?["overrides"]?.elements ?? [] }

  /// The columns and rows of the grid that it covers.
  var place: (x: Range<Int>, y: Range<Int>) {
    func number(_ key: String) -> Int { json["gridPos"]?[key]?.text.flatMap { Int($0) } ?? -1 }
    return (number("x")..<(number("x") + number("w")), number("y")..<(number("y") + number("h")))
  }
}

extension ParsedJSON {
  /// Every text below this value, keys aside.
  var texts: [String] {
    switch self {
    case .string(let text): [text]
    case .array(let elements): elements.flatMap(\.texts)
    case .object(let members): members.values.flatMap(\.texts)
    default: []
    }
  }
}

/// An expression with what Grafana would fill in.
func filledIn(_ expression: String) -> String {
  var text = expression
  for (macro, value) in [
    ("$__rate_interval", "2m"), ("$__interval", "30s"), ("$__range", "3h"), ("$environment", ".*"), ("$outbox", ".*"),
    ("$destination", ".*"),
  ] {
    text = text.split(separator: macro, omittingEmptySubsequences: false).joined(separator: value)
  }
  return text
}
