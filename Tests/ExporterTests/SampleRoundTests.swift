import Exporter
import Outbox
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A round of samples` {
  @Test func `has the order of the stores, whoever answers first`() async throws {
    let gates = [Gate(), Gate(), Gate()]
    let stores = gates.enumerated().map { index, gate in
      ScriptedStore { _ in
        await gate.wait()
        return [.good("\(index)a"), .good("\(index)b")]
      }
    }
    let round = SampleRound(stores: stores, clock: ManualTimer(), now: { OutboxSample.time })
    async let result = round.sample(SampleRequest(), patience: nil)
    for gate in gates.reversed() {
      try await until { await gate.waiting == 1 }
      await gate.open()
    }
    let samples = await result.samples
    #expect(samples.map(\.outbox.name) == ["0a", "0b", "1a", "1b", "2a", "2b"])
    #expect(await result.unanswered == 0)
  }

  @Test func `goes on without a store that does not answer, and does not ask it again`() async throws {
    let (timer, gate) = (ManualTimer(), Gate())
    let hung = ScriptedStore { call in
      if call == 1 { await gate.wait() }
      return [.good("hung", ready: call)]
    }
    let quick = ScriptedStore("quick")
    let round = SampleRound(stores: [hung, quick], clock: timer, now: { OutboxSample.time })

    async let first = round.sample(SampleRequest(), patience: .seconds(10))
    try await until {
      let calls = await quick.calls
      return await gate.waiting == 1 && timer.deadlines == [.seconds(10)] && calls == 1
    }
    timer.advance(by: .seconds(10))
    #expect(await first.samples.map(\.outbox.name) == ["quick"])
    #expect(await first.unanswered == 1)

    // Nobody moves the clock: the later rounds have no patience with it at all.
    for calls in 2...4 {
      let result = await round.sample(SampleRequest(), patience: .seconds(10))
      #expect(result.samples.map(\.outbox.name) == ["quick"])
      #expect(result.unanswered == 1)
      #expect(result.vanished.isEmpty)
      #expect(await quick.calls == calls)
    }
    #expect(await hung.calls == 1)

    // Its answer comes in the round that finds it.
    await gate.open()
    var late: [OutboxSample] = []
    try await until {
      late = await round.sample(SampleRequest(), patience: .seconds(10)).samples
      return late.count == 2
    }
    #expect(late.map(\.outbox.name) == ["hung", "quick"])
    #expect(late[0].snapshot?.depth == 1)
    #expect(await hung.calls == 1)

    let next = await round.sample(SampleRequest(), patience: .seconds(10))
    #expect(next.samples.map { $0.snapshot?.depth } == [2, 0])
    #expect(await hung.calls == 2)
  }

  @Test func `needs no clock for stores that end in time by themselves`() async throws {
    for (longest, patience, deadlines) in [
      (Duration.seconds(50), Duration.seconds(60), [Duration]()), (.seconds(50), .seconds(10), [.seconds(10)]),
    ] {
      let (timer, gate) = (ManualTimer(), Gate())
      let store = ScriptedStore(longestSample: longest) { _ in
        await gate.wait()
        return [.good("slow")]
      }
      let round = SampleRound(stores: [store], clock: timer, now: { OutboxSample.time })
      async let result = round.sample(SampleRequest(), patience: patience)
      try await until { await gate.waiting == 1 && timer.deadlines == deadlines }
      await gate.open()
      #expect(await result.unanswered == 0)
    }
  }

  @Test func `without a limit to its patience waits for all`() async throws {
    let gate = Gate()
    let slow = ScriptedStore { _ in
      await gate.wait()
      return [.good("slow")]
    }
    let timer = ManualTimer()
    let round = SampleRound(stores: [slow, ScriptedStore("quick")], clock: timer, now: { OutboxSample.time })
    async let result = round.sample(SampleRequest(eventIDs: true), patience: nil)
    try await until { await gate.waiting == 1 }
    #expect(timer.deadlines.isEmpty)
    await gate.open()
    #expect(await result.samples.count == 2)
  }

  @Test func `names the outboxes that a store does not hold any more, once`() async {
    let store = ScriptedStore { call in
      switch call {
      case 1: [.good("c"), .good("a"), .good("b")]
      case 2: [.good("b")]
      default: [.bad("b"), .good("d")]
      }
    }
    let round = SampleRound(stores: [ScriptedStore("other"), store], clock: ManualTimer(), now: { OutboxSample.time })
    var vanished: [[String]] = []
    for _ in 0..<3 { vanished.append(await round.sample(SampleRequest(), patience: nil).vanished) }
    #expect(vanished == [[], ["a", "c"], []])
  }

  @Test func `ends the connections of stores that are not at work`() async throws {
    let (timer, gate) = (ManualTimer(), Gate())
    let hung = ScriptedStore { _ in
      await gate.wait()
      return []
    }
    let quick = ScriptedStore("quick")
    let round = SampleRound(stores: [hung, quick], clock: timer, now: { OutboxSample.time })
    async let result = round.sample(SampleRequest(), patience: .seconds(1))
    try await until {
      let calls = await quick.calls
      return await gate.waiting == 1 && !timer.deadlines.isEmpty && calls == 1
    }
    timer.advance(by: .seconds(1))
    #expect(await result.unanswered == 1)
    await round.close()
    #expect(await quick.closings == 1)
    #expect(await hung.closings == 0)
    await gate.open()
  }

  @Test func `a store that never answered fails by its configured name, until it names its outboxes`() async throws {
    let gate = Gate()
    let store = ScriptedStore(configured: [OutboxSample.good("o").outbox]) { _ in
      await gate.wait()
      return [.good("o/a"), .good("o/b")]
    }
    let timer = ManualTimer()
    let round = SampleRound(stores: [store], clock: timer, now: { OutboxSample.time })
    async let first = round.sample(SampleRequest(), patience: .seconds(10))
    try await until { timer.deadlines == [.seconds(10)] }
    timer.advance(by: .seconds(10))
    let silent = await first
    #expect(silent.samples.map(\.outbox.name) == ["o"])
    #expect(silent.samples.first?.failure?.reason == .timeout)
    await gate.open()
    var late = silent
    try await until {
      late = await round.sample(SampleRequest(), patience: .seconds(10))
      return late.unanswered == 0
    }
    #expect(late.samples.map(\.outbox.name) == ["o/a", "o/b"])
    #expect(late.vanished == ["o"])
  }

  @Test func `without stores is empty`() async {
    let result = await SampleRound(stores: [], clock: ManualTimer(), now: { OutboxSample.time }).sample(
      SampleRequest(), patience: .seconds(1))
    #expect(result.samples.isEmpty && result.vanished.isEmpty && result.unanswered == 0)
  }
}
