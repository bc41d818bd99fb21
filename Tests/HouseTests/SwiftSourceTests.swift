import Testing

private func source(_ text: String) -> SwiftSource { SwiftSource(path: "Sources/Layer/File.swift", text: text) }

@Test func `imports are seen in every spelling`() {
  let file = source(
    """
    import Alpha
    package import Beta
    @preconcurrency private import struct Gamma.Delta
    // import Epsilon
    let text = "import Zeta"
    """)
  #expect(file.imports.map(\.module) == ["Alpha", "Beta", "Gamma"])
  #expect(file.imports.map(\.line) == [1, 2, 3])
  #expect(file.target == "Layer")
}

@Test func `a word counts in code, not in comments, strings and names`() {
  let file = source(
    """
    let a = word f()  // word
    /// word
    let b = "a \\"word\\" in a string, and https://example.org"; word g()
    func `a word in a name`() {}
    let c = words + keyword
    nonisolated(word) var d = 1
    """)
  #expect(file.lines(with: "word") == [1, 3, 6])
}

@Test func `a declaration for other modules without a doc comment is found`() {
  let file = source(
    """
    package struct A {
      /// Said.
      package var said: Int
      package private(set) var unsaid: Int
      /// Said.
      @safe
      package static func alsoSaid() {}
      package var description: String { "" }
      package static func < (left: A, right: A) -> Bool { true }
      package init() {}
      var inside = 1
    }
    package import B
    nonisolated package func f() {}
    // The package class is a comment.
    """)
  #expect(file.undocumentedDeclarations(documentedElsewhere: ["description", "<"]) == [1, 4, 10, 14])
  #expect(file.declaredTypes(with: "A") == ["A"] && file.declaredTypes(with: "B") == [])
}

@Test func `the requirements of a protocol are found`() {
  let file = source(
    """
    package protocol Store: Actor {
      /// Said.
      func sample(eventIDs: Bool) async -> [Int]
      var name: String { get }
    }
    extension Store {
      func further() {}
    }
    """)
  #expect(file.requirements == ["sample", "name"])
}
