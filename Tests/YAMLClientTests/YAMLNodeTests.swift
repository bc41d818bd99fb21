import Testing
import YAMLClient

struct YAMLNodeTests {
  @Test func `a document becomes a tree with places`() throws {
    let text = """
      # a comment
      name: orders
      list: [1, "two"]
      nested:
        deep: 'it''s'
        text: |
          one
          two
      """
    let root = try #require(try YAMLNode.parse(text))
    guard case .mapping(let entries) = root.content else { return #expect(Bool(false), "not a mapping") }
    #expect(entries.map(\.key) == ["name", "list", "nested"])
    #expect(entries[0].line == 2)
    #expect(entries[0].value == YAMLNode(.scalar("orders", plain: true), line: 2, column: 7))
    #expect(
      entries[1].value
        == YAMLNode(
          .sequence([
            YAMLNode(.scalar("1", plain: true), line: 3, column: 8),
            YAMLNode(.scalar("two", plain: false), line: 3, column: 11),
          ]), line: 3, column: 7))
    guard case .mapping(let nested) = entries[2].value.content else { return #expect(Bool(false), "not a mapping") }
    #expect(nested[0].value == YAMLNode(.scalar("it's", plain: false), line: 5, column: 9))
    #expect(nested[1].value.content == .scalar("one\ntwo", plain: false))
  }

  @Test(arguments: ["", "\n", "# nothing\n", "---\n...\n"])
  func `a text without a value is none`(text: String) throws {
    let root = try YAMLNode.parse(text)
    if let root { #expect(root.content == .scalar("", plain: true)) }
  }

  /// The place is counted by hand in each text.
  @Test(arguments: [
    ("a: 1\nb: [1, 2\nc: 3\n", 3, 2, ""),
    ("a: 1\na: 2\n", 2, 1, "the key `a` is there twice; it was first set in line 1"),
    ("{secret:x@y: 1, secret:x@y: 2}", 1, 17, "the key is there twice; it was first set in line 1"),
    ("a: &x 1\nb: *x\n", 1, 4, "anchors are not supported"),
    ("path: *.sqlite\n", 1, 8, ""),
    ("a: *x\n", 1, 4, "aliases are not supported"),
    ("a: !!str 1\n", 1, 4, "tags are not supported"),
    ("a: !custom {}\n", 1, 4, "tags are not supported"),
    ("? [1]\n: 2\n", 1, 3, "a key has to be text"),
    ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
    ("a: 1\nb: \u{1}\n", 2, 4, "control characters are not allowed"),
    ("a:\n\t- 1\n", 2, 1, ""),
    ("a: b: c\n", 1, 5, "mapping values are not allowed in this context"),
  ])
  func `a mistake is reported with its place`(text: String, line: Int, column: Int, message: String) {
    let error = #expect(throws: YAMLError.self) { try YAMLNode.parse(text) }
    #expect(error?.line == line)
    #expect(error?.column == column)
    #expect(message.isEmpty || error?.message == message)
  }

  @Test func `nesting and size are bounded`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(try YAMLNode.parse(nested(YAMLNode.maximumDepth + 1)) != nil)
    let deep = #expect(throws: YAMLError.self) { try YAMLNode.parse(nested(YAMLNode.maximumDepth + 2)) }
    #expect(deep?.message == "the nesting is deeper than 32 levels")
    #expect(throws: YAMLError.self) { try YAMLNode.parse(nested(100_000)) }
    let long = #expect(throws: YAMLError.self) {
      try YAMLNode.parse("a: " + String(repeating: "x", count: YAMLNode.maximumBytes))
    }
    #expect(long?.message == "the text is longer than 1048576 bytes")
  }

  @Test func `an error never repeats the text`() {
    for text in ["password: [hunter2\n", "hunter2: 1\nhunter2\n", "a: \"hunter2\n", "hunter2@: 1\nhunter2@: 2"] {
      let error = #expect(throws: YAMLError.self) { try YAMLNode.parse(text) }
      #expect(error?.description.contains("hunter2") == false)
    }
  }
}
