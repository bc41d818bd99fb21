/// A reader of plugin output, written from the Monitoring Plugins Development Guidelines and from nothing else: "Plugin
/// Output for Nagios" and "Performance data".
struct PluginOutput {
  /// `'label'=value[UOM];[warn];[crit];[min];[max]`
  struct Figure: Equatable {
    var label: String
    /// Nil for `U`, which could not be determined.
    var value: Double?
    var unit: String
    var warning: Double?
    var critical: Double?
    var minimum: Double?
    var maximum: Double?
  }

  struct Malformed: Error, CustomStringConvertible {
    var description: String
  }

  var service: String
  var status: String
  var text: String
  var figures: [Figure] = []
  var longLines: [String]

  init(_ output: String) throws {
    guard output.last == "\n" else { throw Malformed(description: "no line end") }
    let lines = output.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let first = lines.first else { throw Malformed(description: "no line") }
    // The first `|` ends the text, and there is no other in it.
    let halves = first.split(separator: "|", omittingEmptySubsequences: false)
    guard halves.count <= 2, !lines.dropFirst().contains(where: { $0.contains("|") }) else {
      throw Malformed(description: "more than one | in \(first)")
    }
    guard let match = halves[0].wholeMatch(of: /([A-Z]+) (OK|WARNING|CRITICAL|UNKNOWN): (.+)/) else {
      throw Malformed(description: "no status in \(first)")
    }
    (service, status) = (String(match.1), String(match.2))
    // The blank before the `|` is its own.
    text = String(halves.count == 2 && match.3.last == " " ? match.3.dropLast() : match.3)
    longLines = Array(lines.dropFirst())
    if halves.count == 2 { figures = try Self.figures(halves[1]) }
  }

  private static func figures(_ text: Substring) throws -> [Figure] {
    var rest = text
    var figures: [Figure] = []
    while true {
      rest = rest.drop { $0 == " " }
      if rest.isEmpty { return figures }
      let label = try label(&rest)
      guard rest.popFirst() == "=" else { throw Malformed(description: "no = after \(label)") }
      let fields = rest.prefix { $0 != " " }
      rest = rest.dropFirst(fields.count)
      let parts = fields.split(separator: ";", omittingEmptySubsequences: false)
      guard (1...5).contains(parts.count) else { throw Malformed(description: "\(fields)") }
      var figure = Figure(label: label, value: nil, unit: "")
      if parts[0] != "U" {
        // "value, min and max in class [-0-9.]"; "UOM one of: no unit, s (also us, ms), %, B (also KB, MB, TB, GB?), c".
        guard let match = parts[0].wholeMatch(of: /(-?[0-9]+(?:\.[0-9]+)?)(s|us|ms|%|B|KB|MB|TB|c|)/) else {
          throw Malformed(description: "\(parts[0]) is no value")
        }
        (figure.value, figure.unit) = (Double(match.1), String(match.2))
      }
      func number(_ index: Int) throws -> Double? {
        guard index < parts.count, !parts[index].isEmpty else { return nil }
        guard parts[index].wholeMatch(of: /-?[0-9]+(?:\.[0-9]+)?/) != nil else {
          throw Malformed(description: "\(parts[index]) is no number")
        }
        return Double(parts[index])
      }
      (figure.warning, figure.critical) = (try number(1), try number(2))
      (figure.minimum, figure.maximum) = (try number(3), try number(4))
      figures.append(figure)
    }
  }

  /// "The single quotes for the label are optional, required if spaces are in the label"; "to specify a quote character,
  /// use two single quotes"; no equals sign.
  private static func label(_ rest: inout Substring) throws -> String {
    var label = ""
    guard rest.first == "'" else {
      label = String(rest.prefix { $0 != "=" && $0 != " " })
      rest = rest.dropFirst(label.count)
      return label
    }
    rest = rest.dropFirst()
    while let character = rest.popFirst() {
      if character == "=" { throw Malformed(description: "= in a label") }
      if character != "'" {
        label.append(character)
      } else if rest.first == "'" {
        label.append("'")
        rest = rest.dropFirst()
      } else {
        return label
      }
    }
    throw Malformed(description: "the label \(label) does not end")
  }
}
