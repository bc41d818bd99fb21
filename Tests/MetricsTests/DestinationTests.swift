import Metrics
import Outbox
import Testing

@Suite struct `Destinations over time` {
  @Test func `default stands in until the first destination appears, then ends`() {
    var describing = Describing()
    let first = describing.good()
    #expect(first.destinations == ["default"])
    let begun = first.valued.filter { $0.attributes.contains("outbox.destination=default") }
    #expect(describing.good().ended.isEmpty)

    let second = describing.good(.ready(["email": 1]))
    #expect(second.destinations == ["email"])
    #expect(second.ended == begun)
    #expect(describing.good(.ready(["email": 1])).ended.isEmpty)
  }

  @Test func `default goes on where it is the first destination`() {
    var describing = Describing()
    _ = describing.good()
    let metrics = describing.good(.ready(["default": 4]))
    #expect(metrics.ended.isEmpty)
    #expect(metrics.values(MetricCatalog.depth, "outbox.state=ready", "outbox.retry=false") == [.int(4)])
  }

  @Test func `a destination with only dead letters is known`() {
    var describing = Describing()
    let dead = Snapshot(storeTime: Describing.epoch, dead: [.init(destination: "fax", count: 1, oldest: nil)])
    #expect(describing.good(dead).destinations == ["fax"])
  }

  @Test func `a destination that is gone stays at zero for an hour, then ends once, and may come back`() {
    var describing = Describing()
    let first = describing.good(.ready(["email": 1, "sms": 1]))
    let sms = first.valued.filter { $0.attributes.contains("outbox.destination=sms") }
    #expect(sms.count == 10 + 6 + 3 + 1)

    let beforeTheHour = describing.good(.ready(["email": 1]), after: .seconds(3599))
    #expect(beforeTheHour.ended.isEmpty)
    #expect(beforeTheHour.destinations == ["email", "sms"])
    #expect(
      beforeTheHour.values(MetricCatalog.depth, "outbox.destination=sms", "outbox.state=ready", "outbox.retry=false")
        == [.int(0)])

    let afterTheHour = describing.good(.ready(["email": 1]), after: .seconds(1))
    #expect(afterTheHour.ended == sms)
    #expect(afterTheHour.destinations == ["email"])
    for entry in afterTheHour.all where sms.contains(entry.series) {
      #expect(entry.point.time == describing.sampled)
    }
    #expect(afterTheHour.all.count { sms.contains($0.series) } == sms.count)

    let silent = describing.good(.ready(["email": 1]))
    #expect(silent.all.allSatisfy { !sms.contains($0.series) })

    let back = describing.good(.ready(["email": 1, "sms": 2]))
    #expect(back.ended.isEmpty)
    #expect(back.valued.isSuperset(of: sms))
  }

  @Test func `the hour starts anew whenever the destination is seen`() {
    var describing = Describing()
    _ = describing.good(.ready(["email": 1, "sms": 1]))
    _ = describing.good(.ready(["email": 1, "sms": 1]), after: .seconds(3000))
    #expect(describing.good(.ready(["email": 1]), after: .seconds(3000)).ended.isEmpty)
    #expect(!describing.good(.ready(["email": 1]), after: .seconds(600)).ended.isEmpty)
  }

  @Test func `failed samples do not end a destination, however long they last`() {
    var describing = Describing()
    _ = describing.good(.ready(["email": 1]))
    for _ in 0..<5 { #expect(describing.bad(after: .seconds(3600)).ended.isEmpty) }
    #expect(describing.good(.ready(["email": 1])).ended.isEmpty)
  }

  @Test func `beyond the bound the busiest keep their names, the others share one [155]`() {
    var describing = Describing(limit: 2)
    let metrics = describing.good(.ready(["a": 1, "b": 5, "c": 3, "d": 2]))
    #expect(metrics.destinations == ["_other", "b", "c"])
    #expect(
      metrics.values(MetricCatalog.depth, "outbox.destination=_other", "outbox.state=ready", "outbox.retry=false")
        == [.int(3)])
    for entry in metrics.all {
      let isOther = entry.series.attributes.contains("outbox.destination=_other")
      let overflow = entry.point.attributes.first { $0.key == "otel.metric.overflow" }?.value
      #expect(overflow == (isOther ? .bool(true) : nil), "\(entry.series)")
    }
    // Those that have a name keep it, though others become busier.
    let later = describing.good(.ready(["a": 100, "b": 1, "c": 1]))
    #expect(later.destinations == ["_other", "b", "c"])
    #expect(
      later.values(MetricCatalog.depth, "outbox.destination=_other", "outbox.state=ready", "outbox.retry=false")
        == [.int(100)])
  }

  @Test func `quantiles of several destinations together are not made up`() {
    var describing = Describing(limit: 1)
    let snapshot = Snapshot(
      storeTime: Describing.epoch,
      depths: [("a", 9), ("b", 2), ("c", 2)].map { .init(destination: $0, state: .ready, retry: false, count: $1) },
      ages: [("a", 1), ("b", 20), ("c", 30)].map {
        .init(destination: $0, retry: false, oldest: .seconds($1), median: .seconds(1), p99: .seconds(1))
      })
    let metrics = describing.good(snapshot)
    #expect(
      metrics.values(MetricCatalog.eventAge, "outbox.destination=_other", "outbox.retry=false") == [.double(30)])
  }

  @Test func `a place that becomes free goes to a destination that waits for one`() {
    var describing = Describing(limit: 1)
    _ = describing.good(.ready(["a": 2, "b": 1]))
    let metrics = describing.good(.ready(["b": 1]), after: .seconds(3600))
    #expect(metrics.destinations == ["_other", "b"] || metrics.destinations == ["b"])
    #expect(metrics.ended.contains { $0.attributes.contains("outbox.destination=a") })
    #expect(
      metrics.values(MetricCatalog.depth, "outbox.destination=b", "outbox.state=ready", "outbox.retry=false")
        == [.int(1)])
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8]) func `totals are exact, whatever the bound [155]`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var describing = Describing(limit: Int.random(in: 0...4, using: &random))
    for _ in 0..<40 {
      var counts: [String: Int] = [:]
      for _ in 0..<Int.random(in: 0...9, using: &random) {
        counts["d\(Int.random(in: 0...12, using: &random))"] = Int.random(in: 1...50, using: &random)
      }
      var snapshot = Snapshot.ready(counts)
      let dead = Int.random(in: 0...3, using: &random)
      let stuck = Int.random(in: 0...3, using: &random)
      snapshot.dead = dead == 0 ? [] : [.init(destination: "graveyard", count: dead, oldest: .seconds(1))]
      snapshot.stuck =
        stuck == 0 ? [] : [.init(destination: "swamp", reason: .unclaimable, count: stuck, oldest: .seconds(1))]
      let metrics = describing.good(snapshot, after: .seconds(Int.random(in: 15...2000, using: &random)))
      func total(_ instrument: Instrument) -> Int64 {
        metrics.values(instrument).reduce(0) { if case .int(let value) = $1 { $0 + value } else { $0 } }
      }
      #expect(total(MetricCatalog.depth) == Int64(counts.values.reduce(0, +)), "seed \(seed)")
      #expect(total(MetricCatalog.deadLetterDepth) == Int64(dead), "seed \(seed)")
      #expect(total(MetricCatalog.stuck) == Int64(stuck), "seed \(seed)")
    }
  }
}
