/// What happens in a trace. Which kinds there are, and how they are drawn.
struct Scenario: Sendable {
  enum Kind: String, CaseIterable, Sendable {
    case steady
    case burstAndDrain = "burst and drain"
    case dailyWave = "daily wave"
    case slowLeak = "slow leak"
    case deadWorker = "dead worker"
    case flappingWorker = "flapping worker"
    case poisonEvent = "poison event"
    case farSideDown = "far side down"
    case deadChannel = "one dead channel of fifty"
    case reaperDead = "reaper dead"
    case reaperAlive = "reaper alive"
    case rewind
    case almostNoTraffic = "almost no traffic"
    case quietAndDead = "almost no traffic, dead worker"
    case sawtooth = "sawtooth batch worker"
    case deadBatchWorker = "dead batch worker"
    case pausedQueue = "paused queue"
    case clockStep = "clock step"
    case clockStepAndDead = "clock step, dead worker"
    case missingSamples = "missing samples"
    case missingAndDead = "missing samples, dead worker"
  }

  var kind: Kind
  var seed: UInt64
  /// Samples, one each 15 seconds.
  var samples = 160
  var destinations = 1
  /// Events that arrive in a second.
  var arrivals = 1.0
  /// Events that the worker can take in a second.
  var capacity = 2.0
  /// The promised age in seconds.
  var objective = 300.0
  /// The sample after which the incident begins.
  var onset = Int.max
  /// The worker works for one second in so many, all at once; 1 where it always works.
  var batchSeconds = 1
  /// Seconds of work and of pause in turn.
  var flap: (up: Int, down: Int)?
  /// The swing of the arrivals, 0…1, and its period in seconds.
  var wave: (swing: Double, period: Double) = (0, 1)
  /// Events that arrive all at once, and at which samples.
  var bursts: [(sample: Int, size: Int)] = []
  /// How often an attempt fails by chance.
  var failures = 0.0
  /// Seconds after which a lost claim may be taken back, and between two looks of who does that.
  var reaper: (lease: Double, period: Double)?
  /// How often a claim gets lost.
  var losses = 0.0
  /// The arrivals are so many times as many after the onset.
  var leak = 1.0
  /// The clock is set by so many seconds at the onset of the step.
  var step: (sample: Int, seconds: Double)?
  /// How often a sample fails.
  var missing = 0.0

  init(_ kind: Kind, seed: UInt64) {
    self.kind = kind
    self.seed = seed
    var chance = Chance(seed: seed &* 31 &+ 7)
    arrivals = [0.05, 0.2, 1, 3].randomElement(using: &chance)! * chance.between(0.7, 1.4)
    capacity = arrivals * chance.between(1.3, 4) + 0.1
    objective = chance.between(180, 900)
    destinations = [1, 1, 3].randomElement(using: &chance)!
    failures = [0, 0.01, 0.05].randomElement(using: &chance)!
    let incident = chance.between(50, 90)
    switch kind {
    case .steady: break
    case .burstAndDrain:
      capacity = arrivals * chance.between(1.8, 4) + 0.1
      for _ in 0..<chance.between(1, 3) {
        bursts.append((chance.between(20, 130), Int((capacity - arrivals) * chance.between(30, objective * 0.7)) + 5))
      }
    case .dailyWave:
      wave = (chance.between(0.3, 0.7), chance.between(600, 2_400))
      capacity = arrivals * chance.between(1.1, 1.3) * (1 + wave.swing) + 0.1
    case .slowLeak:
      arrivals = max(arrivals, 0.5)
      capacity = arrivals * chance.between(1.1, 1.4)
      leak = capacity / arrivals * chance.between(1.15, 1.8)
      onset = incident
      objective = chance.between(120, 420)
    case .deadWorker, .clockStepAndDead, .missingAndDead: onset = incident
    case .flappingWorker:
      let down = chance.between(30, 120)
      flap = (chance.between(60, 240), down)
      capacity = arrivals * Double(flap!.up + down) / Double(flap!.up) * chance.between(1.4, 3) + 0.2
      objective = chance.between(Double(down) * 3, 900)
    case .poisonEvent, .farSideDown: onset = incident
    case .deadChannel:
      destinations = 50
      arrivals = chance.between(2, 6)
      capacity = arrivals * chance.between(1.3, 3)
      onset = incident
    case .reaperDead, .reaperAlive:
      reaper = (chance.between(60, 180), chance.between(30, 120))
      arrivals = max(arrivals, 0.2)
      capacity = arrivals * 2
      losses = 0.005
      objective = chance.between(1.5, 4) * (reaper!.lease + reaper!.period)
      if kind == .reaperDead { onset = incident }
    case .rewind: onset = incident
    case .almostNoTraffic, .quietAndDead:
      arrivals = chance.between(0.001, 0.01)
      capacity = 1
      failures = 0
      destinations = 1
      batchSeconds = [1, 30, 60].randomElement(using: &chance)!
      if kind == .quietAndDead { onset = incident }
    case .sawtooth, .deadBatchWorker:
      batchSeconds = chance.between(60, 300)
      capacity = 1_000
      failures = 0
      objective = Double(batchSeconds) * chance.between(1.5, 3)
      if kind == .deadBatchWorker { onset = incident }
    case .pausedQueue: onset = incident
    case .clockStep: break
    case .missingSamples: break
    }
    switch kind {
    case .clockStep, .clockStepAndDead:
      step = (chance.between(20, 140), chance.between(-3_600, 3_600))
    case .missingSamples, .missingAndDead: missing = chance.between(0.05, 0.4)
    default: break
    }
  }

  /// Whether the incident makes events late for good.
  var isIncidentBad: Bool { onset < samples && kind != .pausedQueue }
}
