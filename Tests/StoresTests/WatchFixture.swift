import Layouts
import Outbox
import Stores
import Synchronization
import SystemCalls
import TestSupport

/// A queue directory that is watched, and the mark and the depth of the last reading that was taken.
final class WatchFixture {
  let directory: TemporaryDirectory
  let layout: Layout
  private let objective: Objective?
  private let now: @Sendable () -> Timestamp
  private(set) var store: DirectoryStore
  private(set) var mark: AccountingMark?
  private(set) var depth = 0
  var queue: String { "\(directory.path)/delivery-queue" }

  /// OpenClaw's layout, except that a file that is removed was discarded.
  static var discarding: Layout {
    var layout = Layout.openClawFiles
    layout.directory?.removal = .discarded
    return layout
  }

  init(
    _ layout: Layout = WatchFixture.discarding, objective: Objective? = nil, makesQueue: Bool = true,
    now: @escaping @Sendable () -> Timestamp = { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) }
  ) throws {
    directory = try TemporaryDirectory()
    if makesQueue { try FileSystem.makeDirectories("\(directory.path)/delivery-queue/failed") }
    self.layout = layout
    self.objective = objective
    self.now = now
    store = Self.store(directory.path, layout, objective, now)
  }

  private static func store(
    _ path: String, _ layout: Layout, _ objective: Objective?, _ now: @escaping @Sendable () -> Timestamp
  ) -> DirectoryStore {
    DirectoryStore(
      OutboxDefinition(
        name: "claw", address: .files(path: "\(path)/delivery-queue"), layout: layout, objective: objective),
      timeLimit: .seconds(600), now: now)
  }

  /// Takes a first reading: counting begins.
  func begin() async throws { try await sample() }

  /// Samples and counts since the mark; takes the reading unless told not to.
  @discardableResult func sample(commit isTaken: Bool = true) async throws -> OutboxSample {
    let samples = await store.sample(SampleRequest(marks: mark.map { ["claw": $0] } ?? [:]))
    guard let sample = samples.first else { throw NoSample() }
    if isTaken { commit(sample) }
    return sample
  }

  struct NoSample: Error {}

  func commit(_ sample: OutboxSample) {
    if let reading = sample.accounting { mark = reading.mark }
    if let snapshot = sample.snapshot { depth = snapshot.depth }
  }

  /// Another exporter, which has the mark and nothing else.
  func restart() async {
    await store.close()
    store = Self.store(directory.path, layout, objective, now)
  }

  /// What the next reading says, as lines.
  func lines() async throws -> [String]? { try await sample().accounting?.movements?.lines }

  // MARK: What the application does

  func event(_ channel: String = "telegram", retries: Int = 0, created: Int64? = nil) -> String {
    let created = created ?? SystemClock.wallNanoseconds() / 1_000_000
    return #"{"channel": "\#(channel)", "enqueuedAt": \#(created), "retryCount": \#(retries), "to": "somebody"}"#
  }

  /// Through a temporary file that is renamed.
  func write(_ name: String, _ content: String, to folder: String = "") throws {
    try directory.write(content, to: "delivery-queue/\(folder)\(name).json.7.tmp")
    try move("\(folder)\(name).json.7.tmp", "\(folder)\(name).json")
  }

  func move(_ name: String, _ newName: String) throws {
    try FileSystem.move("\(queue)/\(name)", to: "\(queue)/\(newName)")
  }

  func remove(_ name: String) throws { try FileSystem.remove("\(queue)/\(name)") }

  func deliver(_ name: String) throws {
    try move("\(name).json", "\(name).delivered")
    try remove("\(name).delivered")
  }
}

/// A generator with a seed (SplitMix64, Steele and others 2014).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// A wall clock that moves by hand.
final class MovingClock: Sendable {
  private let seconds: Mutex<Int>

  init(seconds: Int) { self.seconds = Mutex(seconds) }

  func advance(seconds more: Int) { seconds.withLock { $0 += more } }

  var now: @Sendable () -> Timestamp {
    { [self] in Timestamp(nanoseconds: Int64(seconds.withLock { $0 }) * 1_000_000_000) }
  }
}

/// A wall clock that can be held: whoever looks at it stands still meanwhile.
final class Gate: Sendable {
  private enum State: Equatable { case open, closed(looks: Int), occupied }

  private let state = Mutex(State.open)

  var now: @Sendable () -> Timestamp {
    { [self] in
      _ = eventually(within: .seconds(120)) {
        state.withLock { state in
          guard case .closed(let looks) = state else { return state == .open }
          state = looks == 0 ? .occupied : .closed(looks: looks - 1)
          return looks > 0
        }
      }
      return Timestamp(nanoseconds: SystemClock.wallNanoseconds())
    }
  }

  /// Does something while a sample stands still at the clock, with all reports untaken; false where none came to it.
  ///
  /// - Parameter looks: how often the clock is looked at before: once where a sample begins, then for each file that is read.
  func close(
    _ fixture: WatchFixture, after looks: Int = 0, _ body: () throws -> Void
  ) async throws -> Bool {
    state.withLock { $0 = .closed(looks: looks) }
    defer { state.withLock { $0 = .open } }
    let (store, marks) = (fixture.store, fixture.mark.map { ["claw": $0] } ?? [:])
    let sample = Task { await store.sample(SampleRequest(marks: marks)) }
    let isOccupied = await happens { state.withLock { $0 == .occupied } }
    try body()
    state.withLock { $0 = .open }
    _ = await sample.value
    return isOccupied
  }
}
