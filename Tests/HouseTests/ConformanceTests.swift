import TestSupport
import Testing

/// The last column of docs/otlp-conformance.md is written by this test: `OUTBOX_UPDATE_README=1 swift test --filter
/// Conformance` brings it up to date, and without it it has to be.
@Suite struct `The table of OTLP conformance` {
  private static let path = "docs/otlp-conformance.md"

  /// What does not concern this exporter, and why.
  private static let notApplicable: [ClosedRange<Int>: String] = [
    2...2: "no logs are sent",
    19...19:
      "a batch is split into requests just below 4 MiB, which receivers of gRPC take; `max_request_bytes` sets it",
    75...75: "no logs are sent",
    78...78: "not offered: what waits is compressed already, and every receiver has to take gzip",
  ]

  @Test func `says which test proves each line`() throws {
    let table = try ProjectFiles.text(of: Self.path)
    let proofs = try Self.proofs()
    var numbers: [Int] = []
    let lines = table.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      guard let number = Self.number(line) else { return String(line) }
      numbers.append(number)
      let cells = line.split(separator: " | ", omittingEmptySubsequences: false)
      return cells.dropLast().joined(separator: " | ") + " | \(Self.result(number, proofs[number] ?? [])) |"
    }
    #expect(numbers == Array(1...180))
    #expect(Set(proofs.keys).subtracting(numbers).isEmpty, "a test proves a line that there is not")
    let updated = lines.joined(separator: "\n")
    if currentEnvironment()["OUTBOX_UPDATE_README"] == "1" {
      try ProjectFiles.write(updated, to: Self.path)
    } else {
      #expect(table == updated, "run OUTBOX_UPDATE_README=1 swift test --filter Conformance")
    }
  }

  @Test func `has no line that is both proved and left out`() throws {
    let proved = Set(try Self.proofs().keys)
    #expect(Self.notApplicable.keys.flatMap { Array($0) }.filter(proved.contains).isEmpty)
  }

  private static func number(_ line: Substring) -> Int? {
    guard line.hasPrefix("| ") else { return nil }
    return Int(line.dropFirst(2).prefix { $0.isNumber })
  }

  private static func result(_ number: Int, _ proofs: [String]) -> String {
    if !proofs.isEmpty { return "passed: " + proofs.joined(separator: "; ") }
    if let reason = notApplicable.first(where: { $0.key.contains(number) })?.value {
      return "not applicable: \(reason)"
    }
    return "open"
  }

  /// The names of the tests that prove each line, without the numbers, with their files.
  private static func proofs() throws -> [Int: [String]] {
    var proofs: [Int: [String]] = [:]
    for path in try ProjectFiles.all(under: "Tests") where path.hasSuffix(".swift") {
      let file = path.split(separator: "/").last?.dropLast(".swift".count) ?? ""
      for line in try ProjectFiles.text(of: path).split(separator: "\n") {
        guard let start = line.firstRange(of: "func `"), let end = line[start.upperBound...].firstIndex(of: "`")
        else { continue }
        let name = line[start.upperBound..<end]
        let parts = name.split(separator: "[").dropFirst().compactMap { part in
          part.firstIndex(of: "]").flatMap { Int(part[..<$0]) }
        }
        let title = name.prefix { $0 != "[" }
        for number in parts { proofs[number, default: []].append("\(file): \(title.trimmed)") }
      }
    }
    return proofs
  }
}
