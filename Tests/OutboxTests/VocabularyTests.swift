import Outbox
import Testing

@Suite struct `The vocabulary` {
  @Test func `names the states in the order in which people read them`() {
    #expect(EventState.waiting.map(\.rawValue) == ["ready", "scheduled", "claimed", "parked", "unknown"])
    #expect(
      EventState.allCases.map(\.rawValue).sorted()
        == ["claimed", "dead", "delivered", "parked", "ready", "scheduled", "unknown"])
    #expect(
      EventState.allCases.reversed().sorted()
        == [.ready, .scheduled, .claimed, .parked, .delivered, .dead, .unknown])
  }

  @Test func `names why events are stuck`() {
    #expect(StuckReason.allCases.map(\.rawValue) == ["lease_expired", "attempts_exhausted", "unclaimable"])
  }

  @Test func `names the kinds of failure`() {
    #expect(
      SampleFailure.Reason.allCases.map(\.rawValue) == [
        "unreachable", "authentication", "permission", "row_security", "timeout", "lock_timeout", "schema", "corrupt",
        "absent", "_OTHER",
      ])
  }

  @Test func `names the stores`() {
    #expect(StoreSystem.allCases.map(\.rawValue) == ["postgresql", "sqlite", "files"])
    #expect(StoreAddress.postgresql(Secret("")).system == .postgresql)
    #expect(StoreAddress.sqlite(path: "").system == .sqlite)
    #expect(StoreAddress.files(path: "").system == .files)
  }
}

@Suite struct `Exit statuses` {
  @Test func `are those of monitoring plugins and sysexits`() {
    #expect(Outbox.ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3, 64, 69, 78])
  }

  @Test func `of several outboxes are the worst: CRITICAL, UNKNOWN, WARNING, OK`() {
    let order: [Outbox.ExitStatus] = [.ok, .warning, .unknown, .critical]
    for (index, worse) in order.enumerated() {
      for better in order[...index] {
        #expect(Outbox.ExitStatus.worst([better, worse]) == worse)
        #expect(Outbox.ExitStatus.worst([worse, better]) == worse)
      }
    }
    #expect(Outbox.ExitStatus.worst([]) == .ok)
  }
}

@Suite struct `A snapshot` {
  private let snapshot = Snapshot(
    storeTime: Timestamp(nanoseconds: 0),
    depths: [
      .init(destination: "a", state: .ready, retry: false, count: 3),
      .init(destination: "b", state: .ready, retry: true, count: 4),
      .init(destination: "b", state: .parked, retry: false, count: 5),
    ],
    ages: [
      .init(destination: "a", retry: false, oldest: .seconds(3), median: nil, p99: nil),
      .init(destination: "b", retry: true, oldest: .seconds(4), median: nil, p99: nil),
    ],
    stuck: [
      .init(destination: "a", reason: .leaseExpired, count: 1, oldest: .seconds(1)),
      .init(destination: "a", reason: .unclaimable, count: 2, oldest: .seconds(1)),
    ],
    dead: [.init(destination: "a", count: 6, oldest: nil), .init(destination: "c", count: 1, oldest: .seconds(2))])

  @Test func `adds up its destinations`() {
    #expect(snapshot.depth == 12)
    #expect(snapshot.depth(.ready) == 7)
    #expect(snapshot.depth(.scheduled) == 0)
    #expect(snapshot.oldestAge == .seconds(4))
    #expect(snapshot.stuckCount == 3)
    #expect(snapshot.deadCount == 7)
  }

  @Test func `of an empty outbox has no age`() {
    let empty = Snapshot(storeTime: Timestamp(nanoseconds: 0))
    #expect(empty.oldestAge == nil)
    #expect(empty.depth == 0 && empty.stuckCount == 0 && empty.deadCount == 0)
    #expect(empty.inUse && empty.exact)
  }
}
