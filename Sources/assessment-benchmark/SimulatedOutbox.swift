/// An outbox with its writer, its worker and its reaper, second by second.
struct SimulatedOutbox {
  struct Event {
    var created: Double
    var destination: Int
    var attempts = 0
    /// Not before; a poison event is never delivered.
    var due = 0.0
    var isPoison = false
  }

  let scenario: Scenario
  var chance: Chance
  var now = 0.0
  /// By destination, the oldest first from `heads` on.
  var ready: [[Event]]
  var heads: [Int]
  var backingOff: [Event] = []
  /// Claims that no worker holds any more, with the end of their lease.
  var lost: [(event: Event, leaseEnd: Double)] = []
  /// Events in the worker's hands at the last look.
  var claimed: [Int]
  var parked: [Int]
  var delivered: [Int]
  var isWorkerAlive = true
  var allowance = 0.0
  var poisonCount = 0

  init(_ scenario: Scenario) {
    self.scenario = scenario
    chance = Chance(seed: scenario.seed)
    ready = Array(repeating: [], count: scenario.destinations)
    heads = Array(repeating: 0, count: scenario.destinations)
    claimed = heads
    parked = heads
    delivered = heads
  }

  var isIncident: Bool { now > Double(scenario.onset) * 15 }

  /// The longest wait of any event in seconds.
  var oldestAge: Double {
    var oldest = now
    for index in ready.indices where heads[index] < ready[index].count {
      oldest = min(oldest, ready[index][heads[index]].created)
    }
    for event in backingOff { oldest = min(oldest, event.created) }
    for claim in lost { oldest = min(oldest, claim.event.created) }
    return now - oldest
  }

  func backlog(_ index: Int) -> Int { ready[index].count - heads[index] }

  /// One second.
  mutating func tick() {
    let wasIncident = isIncident
    now += 1
    if isIncident, !wasIncident { begin() }
    write()
    returnFromBackOff()
    reap()
    work()
  }

  private mutating func begin() {
    switch scenario.kind {
    case .poisonEvent:
      poisonCount = 1
    case .rewind:
      for index in ready.indices {
        let count = min(delivered[index], chance.between(5, 400))
        delivered[index] -= count
        let old = (0..<count).map { Event(created: now - 1_800 + Double($0), destination: index) }
        ready[index] = old + ready[index][heads[index]...]
        heads[index] = 0
      }
    default: break
    }
  }

  private mutating func write() {
    let swing = scenario.wave.swing
    let phase = (now / scenario.wave.period).truncatingRemainder(dividingBy: 1)
    let wave = swing == 0 ? 1 : 1 + swing * (4 * abs(phase - 0.5) - 1)
    let leak = isIncident && scenario.kind == .slowLeak ? scenario.leak : 1
    let count = chance.count(scenario.arrivals * wave * leak)
    let bursts = scenario.bursts.filter { now == Double($0.sample * 15 + 3) }
    // Every other one is written by one transaction, so that all of its events are due since the same time.
    let isOneTransaction = bursts.contains { $0.sample % 2 == 0 }
    for index in 0..<bursts.reduce(count, { $0 + $1.size }) {
      let destination = Int.random(in: 0..<scenario.destinations, using: &chance)
      var event = Event(created: now - chance.between(0, 0.9), destination: destination)
      if index >= count, isOneTransaction { event.created = now }
      if poisonCount > 0 {
        event.isPoison = true
        poisonCount -= 1
      }
      if scenario.kind == .pausedQueue, isIncident {
        parked[destination] += 1
      } else {
        ready[destination].append(event)
      }
    }
    if scenario.kind == .pausedQueue, isIncident {
      for index in ready.indices {
        parked[index] += backlog(index)
        ready[index] = []
        heads[index] = 0
      }
    }
  }

  private mutating func returnFromBackOff() {
    for event in backingOff where event.due <= now { putBack(event) }
    backingOff.removeAll { $0.due <= now }
  }

  private mutating func putBack(_ event: Event) {
    let queue = event.destination
    var (low, high) = (heads[queue], ready[queue].count)
    while low < high {
      let middle = (low + high) / 2
      if ready[queue][middle].created < event.created { low = middle + 1 } else { high = middle }
    }
    ready[queue].insert(event, at: low)
  }

  private mutating func reap() {
    guard let reaper = scenario.reaper, now.truncatingRemainder(dividingBy: reaper.period.rounded()) == 0,
      !(scenario.kind == .reaperDead && isIncident)
    else { return }
    for claim in lost where claim.leaseEnd <= now { putBack(claim.event) }
    lost.removeAll { $0.leaseEnd <= now }
  }

  private var isWorking: Bool {
    if isIncident {
      switch scenario.kind {
      case .deadWorker, .quietAndDead, .deadBatchWorker, .clockStepAndDead, .missingAndDead: return false
      default: break
      }
    }
    if let flap = scenario.flap { return Int(now) % (flap.up + flap.down) < flap.up }
    return true
  }

  private mutating func work() {
    isWorkerAlive = isWorking
    claimed = claimed.map { _ in 0 }
    guard isWorkerAlive, Int(now) % scenario.batchSeconds == 0 else { return }
    let perTurn = scenario.capacity * Double(scenario.batchSeconds)
    allowance = min(allowance + perTurn * chance.between(0.7, 1.3), max(perTurn, 1) * 2)
    let isDown = scenario.kind == .farSideDown && isIncident
    var idle = 0
    var queue = Int.random(in: ready.indices, using: &chance)
    while allowance >= 1, idle < ready.count {
      queue = (queue + 1) % ready.count
      let isDead = scenario.kind == .deadChannel && isIncident && queue == 0
      guard !isDead, heads[queue] < ready[queue].count else {
        idle += 1
        continue
      }
      idle = 0
      allowance -= 1
      var event = ready[queue][heads[queue]]
      heads[queue] += 1
      if heads[queue] > 256, heads[queue] * 2 > ready[queue].count {
        ready[queue].removeFirst(heads[queue])
        heads[queue] = 0
      }
      if event.isPoison || isDown || chance.happens(scenario.failures) {
        event.attempts += 1
        // A back-off that doubles from two seconds to a minute.
        event.due = now + Double(min(60, 1 << min(event.attempts, 6))) * chance.between(0.8, 1.2)
        backingOff.append(event)
      } else if let reaper = scenario.reaper, chance.happens(scenario.losses) {
        lost.append((event, now + reaper.lease))
      } else {
        delivered[queue] += 1
      }
    }
    // Who has more to do than it can is always seen at work.
    for index in ready.indices where backlog(index) > 0 && allowance < 1 { claimed[index] = 1 }
  }
}
