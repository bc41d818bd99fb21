import Layouts

/// A file's name, byte by byte: two names that only look the same are two files.
struct FileName: Hashable, Sendable {
  let text: String

  init(_ text: String) {
    self.text = text
  }

  static func == (left: FileName, right: FileName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

  func hash(into hasher: inout Hasher) {
    hasher.combine(stableHash)
  }

  /// A number for the name that is the same in every process (FNV-1a).
  var stableHash: UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }
}

extension DirectoryQueue {
  /// What a name in the directory stands for.
  enum Meaning: Equatable {
    /// An event.
    case event
    /// A mark that the event of that file name was delivered.
    case delivered(FileName)
    /// Nothing: half-written, or somebody else's.
    case nothing
  }

  /// What a name in the directory stands for.
  func meaning(of name: String) -> Meaning {
    if let deliveredSuffix, name.hasSuffix(deliveredSuffix) {
      return .delivered(FileName(name.dropLast(deliveredSuffix.count) + fileSuffix))
    }
    return name.hasSuffix(fileSuffix) ? .event : .nothing
  }

  /// The name of the mark that an event was delivered; nil where the layout has none.
  func mark(of event: FileName) -> FileName? {
    deliveredSuffix.map { FileName(event.text.dropLast(fileSuffix.count) + $0) }
  }
}
