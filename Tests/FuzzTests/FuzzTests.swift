import FuzzedParsers
import TestSupport
import Testing

/// The short form of `scripts/fuzz`, which looks for more with libFuzzer. OUTBOX_FUZZ_RUNS sets the inputs a parser, and
/// OUTBOX_FUZZ_SEED repeats a run.
@Suite struct `What a server sends` {
  private static let directory = "Tests/FuzzTests/Corpus"

  private static func corpus(_ parser: FuzzedParser) throws -> [[UInt8]] {
    try ProjectFiles.all(under: "\(directory)/\(parser.rawValue)").map { try ProjectFiles.bytes(of: $0) }
  }

  @Test(arguments: FuzzedParser.allCases)
  func `is parsed as it was when it was found`(parser: FuzzedParser) throws {
    let corpus = try Self.corpus(parser)
    #expect(corpus.count >= 3, "\(parser.rawValue) has no corpus")
    for bytes in corpus + [[]] {
      #expect(parser.problem(with: bytes) == nil, "\(parser.rawValue): \(bytes)")
    }
  }

  @Test(arguments: FuzzedParser.allCases)
  func `is parsed or refused, whatever it is`(parser: FuzzedParser) throws {
    let environment = currentEnvironment()
    let runs = environment["OUTBOX_FUZZ_RUNS"].flatMap { Int($0) } ?? 400
    let seed = environment["OUTBOX_FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...99_999)
    var mutation = Mutation(of: try Self.corpus(parser), seed: seed)
    for run in 0..<runs {
      let bytes = mutation.next()
      if let problem = parser.problem(with: bytes) {
        Issue.record("\(parser.rawValue), seed \(seed), run \(run): \(problem): \(bytes)")
        return
      }
    }
  }
}

/// Changes the inputs of a corpus at random.
private struct Mutation {
  private let corpus: [[UInt8]]
  private var chance: SeededChance
  /// What parsers look for.
  private static let words = [
    "%", "%C3%A9", "=", ",", "\r\n", "\n\n", ": ", "retry-after", "grpc-status", "grpc-message", "content-type",
    "application/x-protobuf", "application/grpc", "HTTP/1.1 503 ", "GMT", "1994", "\u{1f}\u{8b}", "RetryInfo",
  ].map { Array($0.utf8) }

  init(of corpus: [[UInt8]], seed: UInt64) {
    self.corpus = corpus
    chance = SeededChance(seed: seed)
  }

  mutating func next() -> [UInt8] {
    var bytes = corpus.randomElement(using: &chance) ?? []
    for _ in 0...Int.random(in: 0...5, using: &chance) { change(&bytes) }
    return Array(bytes.prefix(4096))
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let place = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &chance)
    let end = min(bytes.count, place + Int.random(in: 1...16, using: &chance))
    switch Int.random(in: 0..<7, using: &chance) {
    case 0 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &chance)
    case 1 where !bytes.isEmpty: bytes[place] = [0, 1, 127, 128, 255].randomElement(using: &chance)!
    case 2 where !bytes.isEmpty: bytes[place] = .random(in: 0...255, using: &chance)
    case 3: bytes.removeSubrange(place..<end)
    case 4: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
    case 5: bytes.insert(contentsOf: Self.words.randomElement(using: &chance)!, at: place)
    default:
      let other = corpus.randomElement(using: &chance) ?? []
      bytes.replaceSubrange(place..<bytes.count, with: other.dropFirst(min(place, other.count)))
    }
  }
}
