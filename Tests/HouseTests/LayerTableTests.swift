import TestSupport
import Testing

@Test func `the table of layers in CONTRIBUTING lists every target and what it may import`() throws {
  let document = try ProjectFiles.text(of: "CONTRIBUTING.md")
  let table = try #require(MarkdownTable.first(in: document, withColumn: "may import"))
  var documented: [String: Set<String>] = [:]
  for (target, imports) in zip(try #require(table.column("target")), try #require(table.column("may import"))) {
    documented[MarkdownTable.codeSpans(in: target).joined()] = Set(MarkdownTable.codeSpans(in: imports))
  }
  let targets = Set(try ProjectFiles.all(under: "Sources").map { String($0.split(separator: "/")[1]) })
  let manifest = try ProjectFiles.text(of: "Package.swift")
  #expect(Set(documented.keys) == targets)
  for target in targets.sorted() {
    #expect(documented[target] == dependencies(of: target, in: manifest), "\(target)")
  }
}

/// What Package.swift lists for a target. Read as text: SwiftPM would have to be started for more.
private func dependencies(of target: String, in manifest: String) -> Set<String> {
  let products = ["argumentParser": "ArgumentParser", "logging": "Logging"]
  let declaration = /(?:layer\(|name:)\s*"([\w-]+)"\s*,\s*(?:dependencies:\s*)?\[([^\]]*)\]/
  let lists = manifest.matches(of: declaration).filter { $0.output.1 == target }.map(\.output.2)
  return Set(
    lists.flatMap { list in
      list.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        .map { products[String($0)] ?? String($0) }
    })
}
