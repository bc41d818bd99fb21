import TestSupport
import Testing
import YAMLClient

/// Skips, with its reason, what needs a program that is not there.
func programs(_ names: String...) -> ConditionTrait {
  let missing = names.filter { programOnPath($0) == nil }
  return .enabled(
    if: missing.isEmpty,
    Comment(rawValue: missing.joined(separator: ", ") + (missing.count > 1 ? " are" : " is") + " not on PATH"))
}

/// The generator needs a library that Python has since 3.11.
let withGenerator = ConditionTrait.enabled("there is no Python 3.11 or later on PATH") {
  guard programOnPath("python3") != nil else { return false }
  return try run("python3", ["-c", "import tomllib"]).code == 0
}

/// One rule, as Prometheus' file has it.
struct AlertRule: Hashable {
  var group: String
  var interval: String
  /// The name of the alert; nil for a recording.
  var alert: String?
  var record: String?
  var expression: String
  var wait: String?
  var hold: String?
  var labels: [String: String]
  var annotations: [String: String]

  /// The rules in Prometheus' form below a node that has `groups`.
  static func all(in node: YAMLNode?) -> [AlertRule] {
    (node?["groups"]?.elements ?? []).flatMap { group in
      (group["rules"]?.elements ?? []).map { rule in
        AlertRule(
          group: group["name"]?.text ?? "", interval: group["interval"]?.text ?? "", alert: rule["alert"]?.text,
          record: rule["record"]?.text, expression: rule["expr"]?.text ?? "", wait: rule["for"]?.text,
          hold: rule["keep_firing_for"]?.text, labels: rule["labels"]?.texts ?? [:],
          annotations: rule["annotations"]?.texts ?? [:])
      }
    }
  }

  /// The rules that are shipped for Prometheus.
  static func shipped() throws -> [AlertRule] {
    all(in: try YAMLNode.parse(try ProjectFiles.text(of: "alerts/outbox.rules.yml")))
  }

  /// Those of them that alert.
  static func alerts() throws -> [AlertRule] { try shipped().filter { $0.alert != nil } }

  /// The name with the severity: what tells two rules of the same name apart.
  var title: String { "\(alert ?? record ?? "") \(labels["severity"] ?? "")" }
}

/// An expression without what is only layout.
func flattened(_ expression: String) -> String {
  expression.split { $0.isWhitespace }.joined(separator: " ").replacing("( ", with: "(").replacing(" )", with: ")")
}
