import Assessment
import Outbox
import Reports
import TestSupport
import Testing

/// Whatever is in a store, a terminal shows it and obeys none of it.
@Suite struct `A line of watch` {
  private static let hostile: [String] = [
    "\u{1b}[2J", "\u{1b}]0;title\u{7}", "\u{9b}31m", "\r", "\n", "\t", "\u{0}", "\u{7f}", "\u{85}", "\u{2028}",
    "\u{202e}abc", "\u{2066}", "\u{200b}", "\u{feff}", "\u{200d}", "\u{ad}", "\u{fe0f}", "\u{e000}", "\u{fffe}",
    "e\u{301}", "\u{301}", String(repeating: "\u{301}", count: 40), "漢字", "ｗｉｄｅ", "한국", "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "👍🏽",
    "שלום", "مرحبا", "हिन्दी", "ไทย", "a", "orders-eu-west", "a b", "…", "→", "", "\u{1f9ff}", "\u{3000}", "\u{115f}",
    "\u{1160}",
  ]

  private static func text(_ chance: inout SeededGenerator) -> String {
    (0..<Int.random(in: 0...8, using: &chance)).map { _ in hostile.randomElement(using: &chance) ?? "" }.joined()
  }

  private static func history(_ chance: inout SeededGenerator) -> WatchHistory {
    var story = WatchStory()
    let names = (0..<Int.random(in: 0...60, using: &chance)).map { "\($0)" + text(&chance) }
    for _ in 0..<Int.random(in: 1...8, using: &chance) {
      var results: [(String, Result<Snapshot, SampleFailure>)] = []
      for name in names {
        if Int.random(in: 0..<5, using: &chance) == 0 {
          results.append((name, .failure(SampleFailure(.schema, text(&chance), hint: text(&chance)))))
          continue
        }
        let destinations = (0..<Int.random(in: 0...5, using: &chance)).map { number in
          (
            "\(number)" + text(&chance),
            count: [0, 1, 99_999, 1_000_000_000_000_000].randomElement(using: &chance) ?? 0,
            age: Int.random(in: 0...9_000_000, using: &chance)
          )
        }
        results.append((name, story.waiting(destinations, dead: Int.random(in: 0...20, using: &chance))))
      }
      let counts = Movements.Counts(
        enqueued: Int.random(in: 0...1_000_000, using: &chance), dispositions: [.delivered: 7])
      story.sample(results, movements: Bool.random(using: &chance) ? Movements(["a": counts]) : nil)
    }
    return story.history
  }

  @Test func `is never wider than the terminal, and holds no control`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var chance = SeededGenerator(seed: seed)
    for round in 0..<150 {
      let canvas = WatchCanvas(
        columns: Int.random(in: 1...(round % 2 == 0 ? 30 : 200), using: &chance),
        rows: Int.random(in: 1...60, using: &chance), isColoured: Bool.random(using: &chance),
        isASCII: Bool.random(using: &chance))
      let picture = WatchPicture(Self.history(&chance), interval: .seconds(5), footer: "q quits", on: canvas)
      let lines = picture.lines
      #expect(lines.count <= canvas.rows ?? 0, "seed \(seed), round \(round)")
      for line in lines {
        let shown = canvas.isColoured ? line.replacing(/\u{1b}\[[0-9;]+m/, with: "") : line
        let columns = shown.unicodeScalars.map { terminalColumns(of: $0) }
        #expect(!columns.contains(nil), "seed \(seed), round \(round): \(line.debugDescription)")
        #expect(
          columns.reduce(0) { $0 + ($1 ?? 0) } <= canvas.columns ?? 0,
          "seed \(seed), round \(round): \(line.debugDescription)")
        #expect(
          !shown.unicodeScalars.contains { $0.properties.isBidiControl || $0.value == 0x200b || $0.value == 0xfeff })
        if canvas.isASCII { #expect(shown.utf8.allSatisfy { $0 < 0x7f }, "seed \(seed): \(line.debugDescription)") }
      }
    }
  }

  @Test func `counts no character narrower than the C library does, and lets none through that it cannot print`() {
    var wrong: [String] = []
    for value in UInt32(0x20)...0x3ffff {
      guard let scalar = Unicode.Scalar(value) else { continue }
      // After a letter, since an accent alone is left out.
      let cleaned = TerminalText.cleaned("x\(scalar)", isASCII: false)
      let columns = cleaned.unicodeScalars.map { terminalColumns(of: $0) }
      // What is newer than the C library's table is printed by newer terminals.
      let known =
        columns.allSatisfy { $0 != nil }
        || terminalColumns(of: scalar) == nil && cleaned.unicodeScalars.contains(scalar)
      if !known || columns.reduce(0, { $0 + ($1 ?? 0) }) > TerminalText.columns(cleaned) {
        wrong.append(String(value, radix: 16))
      }
    }
    #expect(wrong == [])
  }

  @Test func `keeps what people write, and the end of a name that is cut`() {
    #expect(TerminalText.cleaned("Ünïcode e\u{301} 漢字 👍", isASCII: false) == "Ünïcode e\u{301} 漢字 👍")
    #expect(TerminalText.cleaned("a\u{1b}[2Jb\nc", isASCII: false) == "a\u{fffd}[2Jb c")
    #expect(TerminalText.cleaned("fertig… → 漢", isASCII: true) == "fertig... -> ?")
    var story = WatchStory()
    let name = "orders-of-a-very-long-service-name-eu-west-1"
    story.sample([(name, story.waiting([]))])
    let lines = WatchPicture(story.history, interval: .seconds(5), on: WatchCanvas(columns: 80, rows: 24)).lines
    #expect(lines.contains { $0.hasPrefix("  orders…ame-eu-west-1  unknown") }, "\(lines)")
  }
}
