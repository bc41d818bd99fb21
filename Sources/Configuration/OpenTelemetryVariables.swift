/// The value rules of the OpenTelemetry specification (sdk-environment-variables.md, configuration/common.md): what
/// cannot be understood is reported with the user's text and ignored, as if it were not set.
extension ConfigurationReader {
  /// The variables of an OTLP option, the more specific first.
  static func otlpVariables(_ option: String) -> [String] {
    ["OTEL_EXPORTER_OTLP_METRICS_\(option)", "OTEL_EXPORTER_OTLP_\(option)"]
  }

  /// The first of the variables that is set.
  func firstSet(_ names: [String]) -> (name: String, text: String)? {
    for name in names {
      if let text = variable(name) { return (name, text) }
    }
    return nil
  }

  /// A duration or time-out: whole milliseconds from 0 to 2³¹−1. The first of the variables with a valid one counts.
  mutating func milliseconds(of names: [String]) -> Duration? {
    for name in names {
      guard let text = variable(name) else { continue }
      if let number = Self.wholeNumber(text.trimmed), number <= Int(Int32.max) { return .milliseconds(number) }
      warn(
        .variable(name), "`\(text)` is not a number of milliseconds and is ignored",
        "a whole number from 0 to \(Int32.max), without a unit")
    }
    return nil
  }

  /// Only `true`, in any case, is true; anything but `true`, `false` and nothing is worth a warning.
  mutating func isTrue(_ name: String) -> Bool {
    guard let text = variable(name) else { return false }
    switch text.lowercased() {
    case "true": return true
    case "false": return false
    default:
      warn(.variable(name), "`\(text)` is not a truth value and counts as false", "write true or false")
      return false
    }
  }

  /// One of a fixed set of words in any case. The first of the variables with a known one counts.
  mutating func word(of names: [String], among known: [String]) -> String? {
    for name in names {
      guard let text = variable(name) else { continue }
      if known.contains(text.lowercased()) { return text.lowercased() }
      warn(
        .variable(name), "`\(text)` is not known and is ignored",
        "one of " + known.map { "`\($0)`" }.joined(separator: ", "))
    }
    return nil
  }

  /// Service name and resource attributes. `service.name` comes from OTEL_SERVICE_NAME, else from the file, else from
  /// OTEL_RESOURCE_ATTRIBUTES; for every other key the file wins over that variable (resource/sdk.md).
  mutating func readResource(_ value: FileValue?, into configuration: inout ExporterConfiguration) {
    var attributes: [ResourceAttribute] = []
    func set(_ key: String, _ value: String) {
      attributes.removeAll { $0.key == key }
      if !value.isEmpty { attributes.append(ResourceAttribute(key, value)) }
    }
    for attribute in environmentAttributes() { set(attribute.key, attribute.value) }
    for (name, _, value) in namedEntries(value, "<name>") {
      if let text = text(value) { set(name, text.text) }
    }
    if let service = variable("OTEL_SERVICE_NAME") { set("service.name", service) }
    if let service = attributes.first(where: { $0.key == "service.name" }) { configuration.serviceName = service.value }
    configuration.resourceAttributes = attributes.filter { $0.key != "service.name" }
  }

  private mutating func environmentAttributes() -> [ResourceAttribute] {
    let name = "OTEL_RESOURCE_ATTRIBUTES"
    guard let text = variable(name) else { return [] }
    var attributes: [ResourceAttribute] = []
    let pairs = text.split(separator: ",", omittingEmptySubsequences: false)
    for (index, pair) in pairs.enumerated() {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let key = PercentEncoding.decode(parts[0].trimmed), !key.isEmpty,
        let value = PercentEncoding.decode(parts[1].trimmed)
      else {
        warn(
          .variable(name), "attribute \(index + 1) of \(pairs.count) is malformed, so the whole variable is ignored",
          "write key=value,key=value with `,`, `=` and `%` percent-encoded")
        return []
      }
      attributes.append(ResourceAttribute(key, value))
    }
    return attributes
  }
}
