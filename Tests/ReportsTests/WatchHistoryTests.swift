import Assessment
import Outbox
import Reports
import Testing

@Suite struct `What watch has seen` {
  private func row(_ history: WatchHistory, _ name: String = "orders") -> String {
    let lines = WatchPicture(history, interval: .seconds(5), on: WatchCanvas(columns: 120, rows: 24)).lines
    return lines.first { $0.dropFirst(2).hasPrefix(name) } ?? ""
  }

  // Samples are five seconds apart, and the rate is that of the last six steps.
  @Test(arguments: [
    ([0, 0, 0], "0/s"), ([100, 160], "+12/s"), ([1_000, 0], "-200/s"), ([0, 6, 12, 18], "+1.2/s"),
    ([0, 1, 1, 1, 1, 1, 1], "+2.0/min"), ([900, 0, 0, 0, 0, 0, 0, 0, 0], "0/s"), ([0, 5_000_000], "+1M/s"),
    ([7], "-"),
  ])
  func `gives the change of the backlog as a rate`(backlog: [Int], rate: String) {
    var story = WatchStory()
    for count in backlog { story.sample([("orders", story.waiting([("email", count: count, age: 1)]))]) }
    #expect(row(story.history).contains(" \(rate) "), "\(row(story.history))")
  }

  @Test func `gives what came and what left where movements are counted`() {
    var story = WatchStory()
    let counts = Movements.Counts(enqueued: 30, requeued: 5, dispositions: [.delivered: 60, .dead: 2, .retried: 900])
    for _ in 0..<3 {
      story.sample([("orders", story.waiting([("a", count: 9, age: 1)]))], movements: Movements(["a": counts]))
    }
    // 35 and 62 in each five seconds: an attempt after which the event still waits is no departure.
    #expect(row(story.history).contains(" +7.0 -12/s "), "\(row(story.history))")
  }

  @Test func `knows no figure of a sample that failed, and when there was one last`() {
    var story = WatchStory()
    for _ in 0..<3 { story.sample([("orders", story.waiting([("email", count: 42, age: 9)]))]) }
    for _ in 0..<4 { story.sample([("orders", .failure(SampleFailure(.unreachable, "nobody answers", hint: "ask")))]) }
    let lines = WatchPicture(story.history, interval: .seconds(5), on: WatchCanvas(columns: 80, rows: 24)).lines
    #expect(lines[0].hasPrefix("UNKNOWN  1 outbox"))
    #expect(lines[3] == "? orders  unknown               -        -          -  ███")
    #expect(
      Array(lines[4...6]) == [
        "    ! not sampled: nobody answers", "    → ask", "    last seen 20s ago: backlog 42, oldest 9s",
      ])
  }

  @Test func `takes the answer of a store that rests for no second sample, and forgets what vanished`() {
    var history = WatchHistory()
    let once = sample("orders", .success(busy))
    for second in 0..<5 { history.take([once], assessments: [:], at: morning.advanced(by: .seconds(second))) }
    #expect(row(history).hasSuffix("-  █"), "\(row(history))")
    history.take([], assessments: [:], vanished: ["orders"], at: morning)
    #expect(row(history) == "")
  }

  @Test func `says of what does not fit how many there are, and of the worst why`() {
    var story = WatchStory()
    story.sample(
      (0..<50).map { number in
        let name = "outbox-\(number)"
        if number == 33 { return (name, .failure(SampleFailure(.permission, "may not read"))) }
        return (name, story.waiting([("email", count: number, age: number == 17 ? 1_000 : number)]))
      })
    let lines = WatchPicture(
      story.history, interval: .seconds(5), footer: "q quits", on: WatchCanvas(columns: 80, rows: 24)
    ).lines
    #expect(lines.count == 24)
    #expect(lines[0].hasPrefix("CRITICAL  50 outboxes: 1 CRITICAL, 1 UNKNOWN, 48 OK  "))
    #expect(lines[3].hasPrefix("X outbox-17 "))
    #expect(lines[4] == "    ! the oldest event waits 16m 40s, limit 15m")
    #expect(lines[6].hasPrefix("? outbox-33 "))
    #expect(lines[7] == "    ! not sampled: may not read")
    let rows = lines.count { $0.dropFirst(2).hasPrefix("outbox-") }
    #expect(lines[22] == "… \(50 - rows) more: \(50 - rows) OK")
    #expect(lines[23] == "q quits")
  }

  @Test func `draws a backlog that is not zero higher than one that is`() {
    #expect(Sparkline.text([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█")
    #expect(Sparkline.text([0, 0]) == "▁▁")
    #expect(Sparkline.text([100, 0, nil, 1]) == "█▁ ▂")
    #expect(Sparkline.text([] as [Int?]) == "")
    #expect(Sparkline.text([0, 7, nil], isASCII: true) == "_# ")
    #expect(Sparkline.text([Int.max, -1]) == "█▁")
  }

  @Test(arguments: [
    (["LANG": "de_DE.UTF-8"], false), (["LANG": "C.utf8"], false), (["LANG": "C"], true), ([:], true),
    (["LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"], true), (["LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"], false),
  ])
  func `speaks UTF-8 where the locale says so`(environment: [String: String], isASCII: Bool) {
    #expect(WatchCanvas.isASCII(environment) == isASCII)
  }
}
