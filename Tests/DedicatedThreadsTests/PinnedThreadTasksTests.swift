import DedicatedThreads
import Synchronization
import TestSupport
import Testing

struct PinnedThreadTasksTests {
  /// Takes no executor of its own.
  private actor Anywhere {
    func thread() -> UInt { threadIdentity() }
  }

  private final class Order: Sendable {
    private let names = Mutex<[String]>([])
    func note(_ name: String) { names.withLock { $0.append(name) } }
    var all: [String] { names.withLock { $0 } }
  }

  private func thread() async -> UInt { threadIdentity() }

  @Test func `a task, its children and actors without an executor stay on the one thread`() async {
    let tasks = PinnedThreadTasks()
    let clock = tasks.clock
    let seen = await withTaskExecutorPreference(tasks) {
      var seen: Set<UInt> = [await thread()]
      await withTaskGroup(of: UInt.self) { group in
        for _ in 0..<8 { group.addTask { await Anywhere().thread() } }
        for await child in group { seen.insert(child) }
      }
      try? await clock.sleep(for: .milliseconds(1))
      seen.insert(await thread())
      return seen
    }
    let other = await thread()
    #expect(seen.count == 1 && !seen.contains(other))
    tasks.stop()
  }

  @Test func `whoever sleeps is woken in the order of time, whatever the order they lay down in`() async throws {
    let tasks = PinnedThreadTasks()
    let clock = tasks.clock
    let order = Order()
    let start = ContinuousClock.now
    // On the thread itself all lie down before any is woken, however busy the machine is.
    await withTaskExecutorPreference(tasks) {
      await withTaskGroup(of: Void.self) { group in
        for (name, time) in [("last", 90), ("first", 30), ("second", 60), ("past", -1)] {
          group.addTask {
            try? await Self.sleep(on: clock, until: start + .milliseconds(time))
            order.note(name)
          }
        }
      }
    }
    #expect(order.all == ["past", "first", "second", "last"])
    #expect(ContinuousClock.now >= start + .milliseconds(90))
    tasks.stop()
  }

  @Test func `a sleep that is cancelled ends at once, before it began as well`() async {
    let tasks = PinnedThreadTasks()
    let clock = tasks.clock
    for isEarly in [true, false] {
      let sleeper = Task {
        if isEarly { while !Task.isCancelled { await Task.yield() } }
        try await clock.sleep(for: .seconds(3600))
      }
      if !isEarly { try? await clock.sleep(for: .milliseconds(5)) }
      sleeper.cancel()
      await #expect(throws: CancellationError.self) { try await sleeper.value }
    }
    tasks.stop()
  }

  @Test func `a thread that ends wakes whoever sleeps`() async {
    let tasks = PinnedThreadTasks()
    let clock = tasks.clock
    let sleeper = Task { try await clock.sleep(for: .seconds(3600)) }
    try? await clock.sleep(for: .milliseconds(5))
    tasks.stop()
    await #expect(throws: CancellationError.self) { try await sleeper.value }
    await #expect(throws: CancellationError.self) { try await clock.sleep(for: .seconds(3600)) }
  }

  @Test func `many sleep and are cancelled at once`() async {
    let tasks = PinnedThreadTasks()
    let clock = tasks.clock
    let ended = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<500 {
        group.addTask {
          (try? await clock.sleep(for: number.isMultiple(of: 2) ? .microseconds(number) : .seconds(3600))) != nil
        }
      }
      var ended = 0
      for await isEnded in group where isEnded {
        ended += 1
        if ended == 250 { group.cancelAll() }
      }
      return ended
    }
    #expect(ended == 250)
    tasks.stop()
  }

  private static func sleep<Timer: Clock>(on clock: Timer, until time: ContinuousClock.Instant) async throws
  where Timer.Duration == Duration {
    try await clock.sleep(for: time - .now)
  }
}
