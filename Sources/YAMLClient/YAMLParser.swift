import CYAML

extension YAMLNode {
  /// The longest text that is read, in bytes; a configuration is a hundred times smaller.
  package static let maximumBytes = 1 << 20
  /// The deepest nesting that is read.
  package static let maximumDepth = 32

  /// Reads one YAML document. Nil for a text without one: empty, or comments only.
  ///
  /// Anchors, aliases and tags are refused, so the result is never larger than the text.
  package static func parse(_ text: String) throws(YAMLError) -> YAMLNode? {
    let bytes = Array(text.utf8)
    if bytes.count > maximumBytes {
      throw YAMLError("the text is longer than \(maximumBytes) bytes", line: 1, column: 1)
    }
    // libyaml keeps a pointer into the input, hence the closure around the whole of the work.
    return try unsafe bytes.withUnsafeBufferPointer { (input) throws(YAMLError) -> YAMLNode? in
      var parser = try unsafe YAMLParser(reading: input)
      return try parser.document()
    }
  }
}

/// Owns a libyaml parser, and turns its events into nodes.
@safe private struct YAMLParser: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeBufferPointer<UInt8>

  init(reading input: UnsafeBufferPointer<UInt8>) throws(YAMLError) {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    unsafe parser.initialize(to: yaml_parser_t())
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      throw YAMLError("libyaml is out of memory", line: 1, column: 1)
    }
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    unsafe self.parser = parser
    unsafe self.input = input
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  mutating func document() throws(YAMLError) -> YAMLNode? {
    // An empty input has no base address, and libyaml asserts that there is one.
    if unsafe input.isEmpty { return nil }
    var root: YAMLNode?
    while true {
      let event = try next()
      switch event.kind {
      case .streamEnd: return root
      case .streamStart, .documentEnd: continue
      case .documentStart:
        if root != nil {
          throw event.error("a second document begins here", hint: "keep everything in one document, without `---`")
        }
      default: root = try node(event, depth: 0)
      }
    }
  }

  private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
    if depth > YAMLNode.maximumDepth { throw event.error("the nesting is deeper than \(YAMLNode.maximumDepth) levels") }
    switch event.kind {
    case .scalar(let text, let plain): return event.node(.scalar(text, plain: plain))
    case .sequenceStart:
      var items: [YAMLNode] = []
      while true {
        let item = try next()
        if item.kind == .sequenceEnd { return event.node(.sequence(items)) }
        items.append(try node(item, depth: depth + 1))
      }
    case .mappingStart: return event.node(.mapping(try entries(depth: depth)))
    default: throw event.error("a value was expected here")
    }
  }

  private mutating func entries(depth: Int) throws(YAMLError) -> [YAMLNode.Entry] {
    var entries: [YAMLNode.Entry] = []
    var seen: [String: Int] = [:]
    while true {
      let event = try next()
      if event.kind == .mappingEnd { return entries }
      guard case .scalar(let key, _) = event.kind else {
        throw event.error("a key has to be text", hint: "quote text that begins with `{` or `[`")
      }
      if let line = seen.updateValue(event.line, forKey: key) {
        throw event.error("the key\(shown(key)) is there twice; it was first set in line \(line)")
      }
      let value = try node(try next(), depth: depth + 1)
      entries.append(YAMLNode.Entry(key: key, line: event.line, column: event.column, value: value))
    }
  }

  /// A key in an error: left out where it may be a value that slipped into the place of a key.
  private func shown(_ key: String) -> String {
    let isWord =
      !key.isEmpty && key.utf8.count <= 64
      && key.utf8.allSatisfy { byte in
        let character = Character(UnicodeScalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber || "_-.".contains(character))
      }
    return isWord ? " `\(key)`" : ""
  }

  private mutating func next() throws(YAMLError) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure() }
    defer { unsafe yaml_event_delete(&event) }
    let line = unsafe Int(event.start_mark.line) + 1
    let column = unsafe Int(event.start_mark.column) + 1
    let place = Event(kind: .documentEnd, line: line, column: column)
    let type = unsafe event.type
    switch type {
    case YAML_NO_EVENT, YAML_STREAM_END_EVENT: return Event(kind: .streamEnd, line: line, column: column)
    case YAML_STREAM_START_EVENT: return Event(kind: .streamStart, line: line, column: column)
    case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, line: line, column: column)
    case YAML_SEQUENCE_END_EVENT: return Event(kind: .sequenceEnd, line: line, column: column)
    case YAML_MAPPING_END_EVENT: return Event(kind: .mappingEnd, line: line, column: column)
    case YAML_ALIAS_EVENT:
      throw place.error("aliases are not supported", hint: "quote text that begins with `*`, or write the value out")
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      try unsafe refuse(anchor: scalar.anchor, tag: scalar.tag, at: place)
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let text = unsafe String(decoding: bytes, as: UTF8.self)
      let plain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
      return Event(kind: .scalar(text, plain: plain), line: line, column: column)
    case YAML_SEQUENCE_START_EVENT:
      try unsafe refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, at: place)
      return Event(kind: .sequenceStart, line: line, column: column)
    case YAML_MAPPING_START_EVENT:
      try unsafe refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, at: place)
      return Event(kind: .mappingStart, line: line, column: column)
    default: return place
    }
  }

  private func refuse(
    anchor: UnsafeMutablePointer<yaml_char_t>?, tag: UnsafeMutablePointer<yaml_char_t>?, at place: Event
  ) throws(YAMLError) {
    if unsafe anchor != nil {
      throw place.error("anchors are not supported", hint: "quote text that begins with `&`, or write the value out")
    }
    if unsafe tag != nil {
      throw place.error("tags are not supported", hint: "quote text that begins with `!`")
    }
  }

  /// libyaml's own account of the error: fixed phrases, which never hold text of the document.
  private func failure() -> YAMLError {
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
    let context = unsafe parser.pointee.context.map { unsafe String(cString: $0) + ": " } ?? ""
    if unsafe parser.pointee.error == YAML_READER_ERROR {
      // The reader counts bytes and keeps no line.
      let before = unsafe Array(input.prefix(Int(parser.pointee.problem_offset)))
      let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
      let column = before.reversed().prefix { $0 != UInt8(ascii: "\n") }.count { $0 & 0xC0 != 0x80 } + 1
      return YAMLError(problem, line: line, column: column)
    }
    let mark = unsafe parser.pointee.problem_mark
    let hint = context.contains("alias") ? "quote text that begins with `*`" : nil
    return YAMLError(context + problem, hint: hint, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }

  private struct Event {
    enum Kind: Equatable {
      case streamStart, streamEnd, documentStart, documentEnd, sequenceStart, sequenceEnd, mappingStart, mappingEnd
      case scalar(String, plain: Bool)
    }

    var kind: Kind
    var line: Int
    var column: Int

    func node(_ content: YAMLNode.Content) -> YAMLNode { YAMLNode(content, line: line, column: column) }

    func error(_ message: String, hint: String? = nil) -> YAMLError {
      YAMLError(message, hint: hint, line: line, column: column)
    }
  }
}
