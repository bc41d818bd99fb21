import TestSupport
import Testing

@Test func `the table of layers in CONTRIBUTING lists every target and what it may import`() throws {
  let document = try ProjectFiles.text(of: "CONTRIBUTING.md")
  let table = try #require(MarkdownTable.first(in: document, withColumn: "may import"))
  let documented = zip(try #require(table.column("target")), try #require(table.column("may import"))).map {
    row(MarkdownTable.codeSpans(in: $0).joined(), Set(MarkdownTable.codeSpans(in: $1)))
  }
  let targets = Set(try ProjectFiles.all(under: "Sources").map { String($0.split(separator: "/")[1]) })
  let manifest = try ProjectFiles.text(of: "Package.swift")
  let declared = targets.map { row($0, dependencies(of: $0, in: manifest)) }
  #expect(declared.filter { !documented.contains($0) } == [], "not, or otherwise, in CONTRIBUTING")
  #expect(documented.filter { !declared.contains($0) } == [], "not, or otherwise, in Package.swift")
}

private func row(_ target: String, _ imports: Set<String>) -> String {
  "\(target) | \(imports.sorted().joined(separator: ", "))"
}

/// What Package.swift lists for a target. Read as text: SwiftPM would have to be started for more.
private func dependencies(of target: String, in manifest: String) -> Set<String> {
  let products = ["logging": "Logging"]
  let declaration = /(?:layer\(|name:)\s*"([\w-]+)"\s*,\s*(?:dependencies:\s*)?\[([^\]]*)\]/
  let lists = manifest.matches(of: declaration).filter { $0.output.1 == target }.map(\.output.2)
  return Set(
    lists.flatMap { list in
      list.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        .map { products[String($0)] ?? String($0) }
    })
}
