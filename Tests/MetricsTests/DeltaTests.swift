import Outbox
import Testing

@testable import Metrics

private func at(_ seconds: Int64) -> Timestamp { Describing.epoch.advanced(by: .seconds(seconds)) }

private let counter = MetricCatalog.enqueued

private func batch(_ instrument: Instrument = counter, _ points: DataPoint...) -> MetricBatch {
  MetricBatch(resource: [], scopeVersion: "1", metrics: [Metric(instrument, points: points)])
}

private func point(_ value: Int64, from start: Int64, to time: Int64, _ name: String = "a") -> DataPoint {
  DataPoint(attributes: [Attribute("outbox.name", name)], start: at(start), time: at(time), value: .int(value))
}

private func wishes(
  _ temporality: TemporalityPreference = .delta, _ histograms: HistogramAggregation = .explicitBuckets
) -> SeriesPreference {
  SeriesPreference(temporality: temporality, histograms: histograms, began: at(0))
}

@Suite struct `A destination that wants deltas` {
  @Test func `is told what came since the point before, without gap or overlap`() {
    var told = wishes()
    var found: [DataPoint] = []
    // A series begins with zero, in the same batch as its first value.
    for batch in [
      batch(counter, point(0, from: 0, to: 0), point(5, from: 0, to: 15)), batch(counter, point(5, from: 0, to: 30)),
      batch(counter, point(12, from: 0, to: 45)),
    ] {
      let sent = told.apply(to: batch)
      #expect(sent.metrics.allSatisfy { $0.temporality == .delta })
      found += sent.metrics.flatMap(\.points)
    }
    #expect(found == [point(5, from: 0, to: 15), point(0, from: 15, to: 30), point(7, from: 30, to: 45)])
  }

  @Test func `is told of a counter that began anew, from then on`() {
    var told = wishes()
    _ = told.apply(to: batch(counter, point(5, from: 0, to: 15)))
    let sent = told.apply(to: batch(counter, point(2, from: 20, to: 30)))
    #expect(sent.metrics[0].points == [point(2, from: 20, to: 30)])
    // One that went back without saying so cannot have less than nothing.
    let fallen = told.apply(to: batch(counter, point(1, from: 20, to: 45)))
    #expect(fallen.metrics[0].points == [point(1, from: 30, to: 45)])
    // Nor does a beginning reach back over what was told.
    let early = told.apply(to: batch(counter, point(9, from: 10, to: 60)))
    #expect(early.metrics[0].points == [point(9, from: 45, to: 60)])
  }

  @Test func `is not told what was counted before it was there`() {
    var told = wishes()
    #expect(told.apply(to: batch(counter, point(500, from: -900, to: 15))).metrics.isEmpty)
    let sent = told.apply(to: batch(counter, point(503, from: -900, to: 30)))
    #expect(sent.metrics[0].points == [point(3, from: 15, to: 30)])
  }

  @Test func `goes on after a restart where the last run ended`() throws {
    var first = wishes()
    _ = first.apply(to: batch(counter, point(5, from: 0, to: 15), point(2, from: 0, to: 15, "b")))
    var end = point(0, from: 0, to: 20)
    end.value = .noRecordedValue
    _ = first.apply(to: batch(counter, end))
    var second = SeriesPreference(temporality: .delta, histograms: .explicitBuckets, began: at(100))
    second.deltas = try #require(DeltaSeries(kept: first.deltas.changes.compactMapValues(\.self)))
    let sent = second.apply(
      to: batch(counter, point(9, from: 0, to: 120), point(2, from: 0, to: 120, "b"), point(1, from: 90, to: 120, "c")))
    #expect(
      sent.metrics[0].points == [
        point(4, from: 15, to: 120), point(0, from: 15, to: 120, "b"), point(1, from: 90, to: 120, "c"),
      ])
  }

  @Test func `forgets a series that ended, once another batch was told`() {
    var told = wishes()
    _ = told.apply(to: batch(counter, point(5, from: 0, to: 15)))
    var end = point(0, from: 0, to: 30)
    end.value = .noRecordedValue
    #expect(told.apply(to: batch(counter, end)).metrics[0].points == [end])
    #expect(told.deltas.changes.values.filter { $0 == nil }.isEmpty && told.deltas.changes.count == 2)
    told.deltas.noteKept()
    #expect(told.deltas.changes.count == 1)
    _ = told.apply(to: batch())
    #expect(told.deltas.changes.values.filter { $0 == nil }.count == 1)
    let anew = told.apply(to: batch(counter, point(3, from: 40, to: 45)))
    #expect(anew.metrics[0].points == [point(3, from: 40, to: 45)])
  }

  @Test func `gets every kind of instrument as the specification says [138]`() {
    let kinds: [(TemporalityPreference, Set<String>)] = [
      (.cumulative, []),
      (
        .delta,
        [
          "outbox.enqueued", "outbox.requeued", "outbox.deliveries", "outbox.delivery.duration", "outbox.slo.events",
          "outbox.sample.failures", "outbox.sample.duration", "outbox.sample.skipped", "outbox.spool.dropped",
          "otel.sdk.exporter.metric_data_point.exported", "otel.sdk.exporter.operation.duration",
        ]
      ),
      (
        .lowmemory,
        [
          "outbox.delivery.duration", "outbox.sample.failures", "outbox.sample.duration", "outbox.sample.skipped",
          "outbox.spool.dropped", "otel.sdk.exporter.metric_data_point.exported",
          "otel.sdk.exporter.operation.duration",
        ]
      ),
    ]
    for (preference, expected) in kinds {
      let deltas = MetricCatalog.all.filter { preference.temporality(of: $0) == .delta }.map(\.name)
      #expect(Set(deltas) == expected, "\(preference)")
    }
  }

  @Test func `does not take kept rubbish`() {
    #expect(DeltaSeries(kept: ["began": "1", "m 1": "2 3 i 4"]) != nil)
    #expect(DeltaSeries(kept: [:]) == nil && DeltaSeries(kept: ["began": "x"]) == nil)
    for text in ["", "2 3", "2 3 i x", "2 3 h 1 true 1,2 5,6", "2 3 x 1 2 3", "x 3 i 4"] {
      #expect(DeltaSeries(kept: ["began": "1", "m 1": text]) == nil, "\(text)")
    }
  }
}

@Suite struct `What a destination is told of any history` {
  /// Whatever happens, restarts among it, the deltas of a series add up to its total, and each begins where the one before
  /// it ended.
  @Test(arguments: UInt64(1)...8) func `adds up to what was counted`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var describing = Describing(isExponential: true)
    for histograms in HistogramAggregation.allCases {
      var told = SeriesPreference(temporality: .delta, histograms: histograms, began: describing.now)
      var sums: [Series: (value: PointValue?, count: UInt64, sum: Double, end: Timestamp)] = [:]
      var exported = 0
      var kept: [String: String] = [:]
      describing = Describing(isExponential: true, start: describing.now)
      for cycle in 0..<40 {
        exported += Int.random(in: 0...9, using: &random)
        describing.exports = [
          activity(
            exported: exported, failed: [:],
            operations: (0..<Int.random(in: 0...3, using: &random)).map { _ in
              let duration = Duration.microseconds(Int.random(in: 0...9_000_000, using: &random))
              return .init(duration: duration, errorType: nil, httpStatus: 200)
            })
        ]
        let metrics =
          switch Int.random(in: 0..<3, using: &random) {
          case 0: describing.bad(.timeout)
          case 1: describing.bad(.schema)
          default: describing.good()
          }
        let batch = MetricBatch(resource: [], scopeVersion: "1", metrics: metrics)
        if Int.random(in: 0..<6, using: &random) == 0 {
          // What was kept in pieces is the whole.
          for (series, value) in told.deltas.changes { kept[series] = value }
          told.deltas = try #require(DeltaSeries(kept: kept))
        }
        let sent = told.apply(to: batch).metrics.all
        if Bool.random(using: &random) {
          for (series, value) in told.deltas.changes { kept[series] = value }
          told.deltas.noteKept()
        }
        for (series, point) in sent where point.start != nil {
          guard MetricCatalog.all.first(where: { $0.name == series.metric })?.kind != .upDownCounter else { continue }
          let start = try #require(point.start)
          var entry = sums[series] ?? (nil, 0, 0, start)
          #expect(start == entry.end && point.time > entry.end, "seed \(seed), cycle \(cycle): \(series)")
          entry.end = point.time
          switch point.value {
          case .int(let number): entry.count += UInt64(number)
          case .histogram(let value): (entry.count, entry.sum) = (entry.count + value.count, entry.sum + value.sum)
          case .exponentialHistogram(let value):
            (entry.count, entry.sum) = (entry.count + value.count, entry.sum + value.sum)
          default: Issue.record("\(series): \(point.value)")
          }
          sums[series] = entry
        }
        for (series, point) in metrics.all {
          guard let entry = sums[series], entry.end == point.time else { continue }
          switch point.value {
          case .int(let number): #expect(entry.count == UInt64(number), "seed \(seed): \(series)")
          case .histogram(let value):
            #expect(entry.count == value.count && abs(entry.sum - value.sum) < 1e-6, "seed \(seed): \(series)")
          default: break
          }
        }
      }
      #expect(sums.count > 4, "\(sums.keys)")
    }
  }
}
