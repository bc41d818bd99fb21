import Assessment
import Outbox
import Testing

@Suite struct `A verdict` {
  private func verdict(_ tell: (inout Story) -> Void) -> OutboxAssessment {
    var story = Story()
    tell(&story)
    return story.assessment
  }

  @Test func `is unknown without enough samples, never ok`() {
    for count in 0..<5 {
      let assessment = verdict { $0.healthy(count) }
      #expect(assessment.verdict == .unknown)
      #expect(assessment.sentence == "\(count) of the 5 samples that a trend needs")
    }
    #expect(verdict { $0.healthy(5) }.verdict == .ok)
  }

  @Test func `is unknown while samples fail, and known after them`() {
    var story = Story()
    story.healthy(20)
    story.fail()
    #expect(story.assessment.verdict == .unknown)
    #expect(story.assessment.sentence == "the last sample failed")
    story.fail()
    #expect(story.assessment.sentence == "the last 2 samples failed")
    story.healthy(1)
    #expect(story.assessment.verdict == .ok)
    for _ in 0..<5 {
      story.fail()
      story.fail()
      story.healthy(1)
    }
    #expect(story.assessment.verdict == .unknown)
    #expect(story.assessment.sentence == "only 4 of the last 10 samples succeeded")
  }

  @Test func `is idle where nothing is due`() {
    let empty = verdict { for _ in 0..<6 { $0.sample() } }
    #expect(empty.verdict == .idle)
    #expect(empty.sentence == "nothing is due")
    let parked = verdict { story in
      story.write(40)
      for index in story.events.indices { story.events[index].state = .parked }
      for _ in 0..<30 { story.sample() }
    }
    #expect(parked.verdict == .idle)
    #expect(parked.sentence == "paused: 40 events parked, nothing is due")
  }

  @Test func `is stalled where nothing leaves and nobody tries`() {
    var story = Story()
    story.healthy(10)
    var found: Int?
    for step in 0..<20 where found == nil {
      story.write(1)
      story.sample()
      if story.assessment.verdict == .stalled { found = step }
    }
    #expect(found == 9)
    #expect(
      story.assessment.sentence.hasPrefix(
        "10 events due, none left in 2m 15s and none was tried; the oldest waits 2m 30s"))
  }

  @Test func `a pause that the worker made before is no standstill`() {
    var story = Story()
    for _ in 0..<4 {
      for _ in 0..<12 {
        story.write(1)
        story.sample()
        #expect(!story.assessment.verdict.isBad, "\(story.assessment)")
      }
      story.deliver(12)
    }
    // Longer than ever before, by half.
    var steps = 0
    while story.assessment.verdict != .stalled, steps < 40 {
      story.write(1)
      story.sample()
      steps += 1
    }
    #expect((18...20).contains(steps), "\(steps)")
  }

  @Test func `is spinning where events are tried and none leaves`() {
    let assessment = verdict { story in
      story.healthy(10)
      for step in 0..<12 {
        story.write(1)
        for index in story.events.indices where (index + step) % 2 == 0 {
          story.events[index].isTried = true
          story.events[index].state = story.events[index].state == .ready ? .scheduled : .ready
        }
        story.sample()
      }
    }
    #expect(assessment.verdict == .spinning)
    #expect(assessment.sentence.hasPrefix("12 events due, tried again and again, none left in "))
  }

  @Test func `a poison event among healthy ones is spinning`() {
    var story = Story()
    story.healthy(10)
    let poison = StoryEvent(created: story.now - 1, state: .scheduled, isTried: true)
    var found: Int?
    for step in 0..<20 where found == nil {
      story.write(3)
      story.events.append(poison)
      story.sample()
      story.events.removeAll()
      if story.assessment.verdict == .spinning { found = step }
    }
    #expect(found == 9)
    #expect(story.assessment.sentence.hasPrefix("the oldest tried event did not leave in 2m 15s of trying"))
  }

  /// All of them are due since the same time, so that the oldest seems to stay.
  @Test(arguments: [600, 2_000]) func `what one transaction wrote may take long to drain`(count: Int) {
    var story = Story()
    story.healthy(10)
    story.write(count)
    for step in 0..<count / 15 - 5 {
      story.sample()
      let verdict = story.assessment.verdict
      #expect(step < 10 || verdict == .draining, "step \(step): \(story.assessment)")
      story.deliver(15)
    }
  }

  @Test func `a worker that was dead before the first sample is unknown until that is long enough`() {
    var story = Story()
    story.write(3)
    var verdicts: [Verdict] = []
    for _ in 0..<24 {
      story.sample()
      verdicts.append(story.assessment.verdict)
    }
    #expect(verdicts == Array(repeating: .unknown, count: 20) + Array(repeating: .stalled, count: 4))
  }

  @Test func `poison that one transaction wrote is spinning`() {
    var story = Story()
    story.healthy(10)
    let poison = (0..<3).map { _ in StoryEvent(created: story.now, state: .scheduled, isTried: true) }
    for _ in 0..<12 {
      story.write(300)
      story.events += poison
      story.sample()
      story.events.removeAll()
    }
    #expect(story.assessment.verdict == .spinning, "\(story.assessment)")
  }

  @Test func `what one transaction wrote and nobody takes is falling behind while others leave`() {
    var story = Story()
    story.healthy(10)
    let untouched = (0..<3).map { _ in StoryEvent(created: story.now) }
    for _ in 0..<32 {
      story.write(20)
      story.events += untouched
      story.sample()
      story.events.removeAll()
    }
    #expect(story.assessment.verdict == .fallingBehind, "\(story.assessment)")
  }

  @Test func `is stuck where nobody takes back what was lost`() {
    var story = Story()
    story.healthy(10)
    let since = story.now
    var found: Double?
    for _ in 0..<20 where found == nil {
      story.write(3)
      story.events.append(StoryEvent(created: since, state: .claimed, stuckSince: since))
      story.sample()
      if story.assessment.verdict == .stuck { found = story.now - since }
      story.events.removeAll()
    }
    #expect(found == 180)
    #expect(
      story.assessment.sentence.hasPrefix("1 event cannot move by itself, the longest for 3m; breaches the objective"))
  }

  @Test func `a slow reaper is waited for once it was seen at work`() {
    var story = Story()
    for _ in 0..<3 {
      let since = story.now
      for step in 0..<14 {
        story.write(3)
        story.events.append(StoryEvent(created: since, state: .claimed, stuckSince: since))
        story.sample()
        story.events.removeAll()
        if since > 0 { #expect(story.assessment.verdict != .stuck, "\(step)") }
      }
      story.healthy(2)
    }
  }

  @Test func `is rewound where finished events come back`() {
    var story = Story()
    story.healthy(10)
    for index in 0..<30 { story.events.append(StoryEvent(created: story.now - 3_000 + Double(index))) }
    story.sample()
    let assessment = story.assessment
    #expect(assessment.verdict == .rewound)
    #expect(
      assessment.sentence.hasPrefix("at least 16 events came back after they were finished, or came with an old time; ")
    )
    story.deliver(30)
    story.healthy(1)
    #expect(story.assessment.verdict == .ok)
  }

  @Test func `events of a long transaction and released ones have not come back`() {
    var story = Story()
    story.healthy(10)
    for _ in 0..<5 { story.events.append(StoryEvent(created: story.now - 40)) }
    story.sample()
    #expect(story.assessment.verdict == .ok)
    story.deliver(5)
    for _ in 0..<5 { story.events.append(StoryEvent(created: story.now - 3_000, state: .parked)) }
    story.sample()
    for index in story.events.indices { story.events[index].state = .ready }
    story.sample()
    #expect(story.assessment.verdict == .ok, "\(story.assessment)")
  }

  @Test func `is falling behind where more come than leave`() {
    var story = Story()
    story.healthy(20)
    for _ in 0..<25 {
      story.write(30)
      story.deliver(20)
      story.sample()
    }
    let assessment = story.assessment
    #expect(assessment.verdict == .fallingBehind)
    #expect(assessment.sentence.hasPrefix("250 events ready, 40 a minute more; the oldest waits "), "\(assessment)")
    #expect(assessment.breachTime != nil)
  }

  @Test func `is falling behind where a worker takes one event now and then`() {
    var story = Story()
    story.healthy(20)
    for step in 0..<60 {
      story.events += (0..<20).map { StoryEvent(created: story.now + Double($0) / 10) }
      if step % 8 == 7 { story.deliver(1) }
      story.sample()
      // Until then the worker's better days are in the window.
      if step > 40 { #expect(story.assessment.verdict == .fallingBehind, "step \(step): \(story.assessment)") }
    }
  }

  @Test func `is draining where more leave than come, and says when it ends`() throws {
    var story = Story()
    story.healthy(10)
    story.write(3_000)
    for _ in 0..<20 {
      story.write(10)
      story.sample()
      story.deliver(110)
    }
    let assessment = story.assessment
    #expect(assessment.verdict == .draining)
    // 3 010 at the first sample and 100 fewer at each: 1 110 at the last one, 11.1 samples before it is empty.
    let range = try #require(assessment.drainTime)
    #expect(abs(range.expected.seconds - 166.5) < 0.1)
    #expect(range.earliest <= range.expected && range.expected <= (range.latest ?? .zero))
    #expect(assessment.sentence.hasPrefix("1110 events ready, 6.7 a second fewer; empty in 2m 46s"), "\(assessment)")
  }

  @Test func `of one dead destination stands out among healthy ones`() {
    var story = Story()
    for _ in 0..<30 {
      story.events.removeAll { $0.destination != "dead" }
      for name in ["a", "b", "c"] { story.write(2, to: name) }
      if story.now > 120 { story.write(1, to: "dead") }
      story.sample()
    }
    let assessment = story.assessment
    #expect(assessment.destinations.map(\.name) == ["dead"])
    #expect(assessment.destinations.first?.verdict == .stalled)
    #expect(assessment.worst == .stalled)
    #expect(assessment.verdict != .stalled)
  }

  @Test(arguments: [-7_200.0, 7_200]) func `is not moved by a clock that is set`(error: Double) {
    var story = Story()
    story.healthy(10)
    story.clockError = error
    for step in 0..<20 {
      story.healthy(1)
      #expect(story.assessment.verdict == .ok, "\(step): \(story.assessment)")
    }
    // Set again in the middle of a standstill.
    for step in 0..<10 {
      if step == 5 { story.clockError -= error }
      story.write(1)
      story.sample()
    }
    #expect(story.assessment.verdict == .stalled)
    #expect(story.assessment.sentence.contains("none left in 2m 15s"), "\(story.assessment)")
  }

  @Test func `is the first of those that hold`() {
    #expect(
      Verdict.allCases.sorted() == [
        .unknown, .stalled, .spinning, .stuck, .rewound, .fallingBehind, .draining, .ok, .idle,
      ])
    #expect(
      Verdict.allCases.map(\.rawValue) == [
        "unknown", "stalled", "spinning", "stuck", "rewound", "falling_behind", "draining", "ok", "idle",
      ])
  }

  @Test func `needs a bounded window`() {
    var story = Story()
    for index in 0..<200 {
      story.write(1, to: "d\(index)")
      story.sample()
      story.deliver(1)
    }
    #expect(story.assessment.verdict == .ok)
  }
}
