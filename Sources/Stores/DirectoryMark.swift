import Outbox

/// Up to where a queue directory's movements were counted, as text: which reading of which watch it was, and what was in
/// the directory then, so that the names can be compared after nobody watched.
///
/// Names stand in it as numbers. With too many of them only their sum is kept: it tells whether anything changed.
struct DirectoryMark: Equatable {
  /// What was in the directory under one name.
  struct File: Equatable {
    var isDead: Bool
    var attempts: Int
    var destination: String
  }

  /// Files beyond so many are not kept one by one.
  static let mostFiles = 50_000

  /// The watch, unlike any other.
  var session: String
  /// Which of its readings.
  var number: Int
  /// The sum over all files.
  var sum: UInt64
  /// The files by the number of their name; nil where there were too many.
  var files: [UInt64: File]?

  init(session: String, number: Int, files all: [FileName: File]) {
    self.session = session
    self.number = number
    sum = all.reduce(0) { $0 &+ Self.digest($1.key.stableHash, $1.value) }
    files =
      all.count > Self.mostFiles
      ? nil : Dictionary(all.map { ($0.key.stableHash, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  private static func digest(_ name: UInt64, _ file: File) -> UInt64 {
    let text = "\(name) \(file.isDead) \(file.attempts) \(file.destination)"
    return FileName(text).stableHash
  }

  // MARK: Text

  /// Lines: a version, the reading, the sum; then for each group of files what they have in common and their names.
  var text: String {
    var lines = ["1 \(session) \(number) \(String(sum, radix: 36)) \(files == nil ? "sum" : "files")"]
    var groups: [String: [String]] = [:]
    for (name, file) in files ?? [:] {
      groups["\(file.isDead ? "dead" : "live") \(file.attempts) \(Self.escaped(file.destination))", default: []]
        .append(String(name, radix: 36))
    }
    for (group, names) in groups.sorted(by: { $0.key < $1.key }) {
      lines += [group, names.sorted().joined(separator: " ")]
    }
    return lines.joined(separator: "\n")
  }

  /// A mark from its text; nil where it is not one.
  init?(_ text: String) {
    // Byte by byte: to Swift a line break and what follows may be one character.
    var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Substring.init)[
      ...]
    let head = lines.removeFirst().split(separator: " ")
    guard head.count == 5, head[0] == "1", let number = Int(head[2]), let sum = UInt64(head[3], radix: 36),
      head[4] == "sum" || head[4] == "files", lines.count % 2 == 0
    else { return nil }
    session = String(head[1])
    self.number = number
    self.sum = sum
    guard head[4] == "files" else { return }
    var files: [UInt64: File] = [:]
    while !lines.isEmpty {
      let group = lines.removeFirst().utf8.split(separator: UInt8(ascii: " "), maxSplits: 2).map(Substring.init)
      guard group.count == 3, group[0] == "live" || group[0] == "dead", let attempts = Int(group[1]),
        let destination = Self.unescaped(group[2])
      else { return nil }
      let file = File(isDead: group[0] == "dead", attempts: attempts, destination: destination)
      for name in lines.removeFirst().split(separator: " ") {
        guard let name = UInt64(name, radix: 36) else { return nil }
        files[name] = file
      }
    }
    self.files = files
  }

  private static let escapes: [(plain: Unicode.Scalar, escaped: Unicode.Scalar)] = [
    ("\\", "\\"), ("\n", "n"), ("\r", "r"), ("\0", "0"),
  ]

  private static func escaped(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let escape = escapes.first { $0.plain == scalar }?.escaped
      escaped += escape.map { ["\\", $0] } ?? [scalar]
    }
    return String(escaped)
  }

  private static func unescaped(_ text: Substring) -> String? {
    var plain = String.UnicodeScalarView()
    var scalars = text.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "\\" else {
        plain.append(scalar)
        continue
      }
      guard let next = scalars.next(), let escape = escapes.first(where: { $0.escaped == next }) else { return nil }
      plain.append(escape.plain)
    }
    return String(plain)
  }
}

extension DirectoryAccount {
  /// What is in the directory, for a mark.
  var files: [FileName: DirectoryMark.File] {
    var files: [FileName: DirectoryMark.File] = [:]
    files.reserveCapacity(live.count + dead.count)
    for (name, letter) in dead { files[name] = DirectoryMark.File(letter) }
    for (name, file) in live { files[name] = DirectoryMark.File(file) }
    return files
  }

  /// What is there under a name, for a mark; nil where nothing is.
  func file(_ name: FileName) -> DirectoryMark.File? {
    live[name].map { DirectoryMark.File($0) } ?? dead[name].map { DirectoryMark.File($0) }
  }
}

extension DirectoryMark.File {
  init(_ letter: DeadFile) {
    self.init(
      isDead: true, attempts: letter.event?.attempts ?? 0,
      destination: letter.event?.destination ?? Snapshot.defaultDestination)
  }

  init(_ file: WaitingFile) {
    self.init(isDead: false, attempts: file.attempts, destination: file.destination)
  }
}

extension DirectoryAccount {
  /// What moved since a mark as far as comparing names can tell. Nil where the mark has too little to tell.
  func movements(since mark: DirectoryMark, marked: Set<FileName>) -> Movements? {
    let files = self.files
    guard var comparison = MarkComparison(mark) else { return mark.isOf(files) ? Movements() : nil }
    for (name, file) in files { comparison.take(name, file) }
    return comparison.end(marked: marked)
  }

  /// Adds movements that were found by comparing.
  mutating func add(_ found: Movements) {
    movements.add(found)
  }
}

extension DirectoryMark {
  /// True where these are the files of the mark, and nothing changed.
  func isOf(_ files: [FileName: File]) -> Bool { DirectoryMark(session: "", number: 0, files: files).sum == sum }
}

/// What moved since a mark as far as comparing names can tell: an event that came and went meanwhile is in no figure, and of
/// one that left it is only known how where it left something behind.
struct MarkComparison {
  private var before: [UInt64: DirectoryMark.File]
  private var movements = Movements()

  /// Nil where the mark does not keep the files one by one.
  init?(_ mark: DirectoryMark) {
    guard let files = mark.files else { return nil }
    before = files
  }

  /// Takes what is there under a name now.
  mutating func take(_ name: FileName, _ file: DirectoryMark.File) {
    guard let old = before.removeValue(forKey: name.stableHash) else {
      return count(file.destination) { counts in
        counts.enqueued += 1
        if file.isDead { counts.dispositions[.dead, default: 0] += 1 }
      }
    }
    if old.isDead && file.isDead { return }
    count(old.isDead ? file.destination : old.destination) { counts in
      if old.isDead { counts.requeued += 1 }
      if file.isDead { counts.dispositions[.dead, default: 0] += 1 }
      if file.attempts > old.attempts { counts.dispositions[.retried, default: 0] += file.attempts - old.attempts }
    }
  }

  /// What moved, once all that is there was taken: the rest left.
  consuming func end(marked: Set<FileName>) -> Movements {
    let delivered = Set(marked.map(\.stableHash))
    for (name, old) in before where !old.isDead {
      count(old.destination) { $0.dispositions[delivered.contains(name) ? .delivered : .unseen, default: 0] += 1 }
    }
    return movements
  }

  private mutating func count(_ destination: String, _ change: (inout Movements.Counts) -> Void) {
    change(&movements.destinations[destination, default: Movements.Counts()])
  }
}
