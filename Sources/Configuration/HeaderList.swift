import Outbox

/// Headers as the user gives them. No problem repeats a value, or a name that is not one: either may be the secret.
enum HeaderList {
  /// What was read, and what is wrong with the rest.
  struct Result: Equatable {
    var headers: [ExportHeader] = []
    var problems: [String] = []

    /// Adds a header; one of the same name is replaced.
    mutating func add(_ name: String, _ value: String, at position: String) {
      guard isToken(name) else {
        problems.append("the name of \(position) is not one that a header can have")
        return
      }
      if reserved.contains(name.lowercased()) {
        problems.append("`\(name)` is set by the exporter itself")
        return
      }
      guard value.unicodeScalars.allSatisfy({ $0.value == 9 || ($0.value >= 0x20 && $0.value != 0x7F) }) else {
        problems.append("the value of `\(name)` holds a control character")
        return
      }
      headers.removeAll { $0.name.lowercased() == name.lowercased() }
      headers.append(ExportHeader(name, Secret(value)))
    }

    /// Takes out what gRPC cannot send as metadata: names of its own, and values beyond printable ASCII (gRPC over
    /// HTTP/2, "Custom-Metadata").
    mutating func keepMetadata() {
      headers.removeAll { header in
        let name = header.name.lowercased()
        if name.hasPrefix("grpc-") || reservedInGRPC.contains(name) {
          problems.append("`\(header.name)` is set by gRPC itself")
          return true
        }
        let isASCII = header.value.revealed.utf8.allSatisfy { (0x20...0x7e).contains($0) }
        if !isASCII { problems.append("the value of `\(header.name)` holds a character that gRPC cannot send") }
        return !isASCII
      }
    }
  }

  private static let reservedInGRPC: Set<String> = [
    "host", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "user-agent",
  ]

  /// `name=value,…` of OTEL_EXPORTER_OTLP_HEADERS: W3C Baggage without properties. Values are percent-decoded where
  /// that is possible, so that unencoded ones, which are common, keep working.
  static func parse(_ text: String) -> Result {
    var result = Result()
    let pairs = text.split(separator: ",", omittingEmptySubsequences: false)
    for (index, pair) in pairs.enumerated() where !pair.trimmed.isEmpty {
      let position = "header \(index + 1) of \(pairs.count)"
      guard let equals = pair.firstIndex(of: "=") else {
        result.problems.append("\(position) has no `=`")
        continue
      }
      let value = pair[pair.index(after: equals)...].trimmed
      result.add(pair[..<equals].trimmed, PercentEncoding.decode(value) ?? value, at: position)
    }
    return result
  }

  /// One `Name: value` a line, as in HTTP; blank lines and lines that begin with `#` are skipped.
  static func parse(lines text: String) -> Result {
    var result = Result()
    // Swift takes CR LF for one character, which is a newline too.
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let content = line.trimmed
      if content.isEmpty || content.hasPrefix("#") { continue }
      let position = "line \(index + 1)"
      guard let colon = content.firstIndex(of: ":") else {
        result.problems.append("\(position) is not `Name: value`")
        continue
      }
      result.add(content[..<colon].trimmed, content[content.index(after: colon)...].trimmed, at: position)
    }
    return result
  }

  private static let reserved: Set<String> = [
    "content-type", "content-encoding", "content-length", "transfer-encoding", "connection",
  ]

  private static func isToken(_ name: String) -> Bool {
    !name.isEmpty
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~".contains($0)) }
  }
}
