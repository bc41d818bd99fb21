import Metrics
import Outbox
import Synchronization

@testable import OTLP

/// Time that passes only while somebody sleeps. Sleeps are remembered and end at once.
final class TestTime: Sendable {
  private struct Content {
    var now: Int64 = 1_000_000_000_000
    var sleeps: [Duration] = []
  }

  private let content = Mutex(Content())

  var sleeps: [Duration] { content.withLock { $0.sleeps } }

  var timing: DeliveryTiming {
    DeliveryTiming(
      monotonic: { self.content.withLock { $0.now } },
      wall: { Timestamp(nanoseconds: 784_111_770_000_000_000) },
      sleep: { duration in
        self.content.withLock { content in
          content.sleeps.append(duration)
          content.now += duration.wholeNanoseconds
        }
      },
      random: { 1 })
  }
}

/// A batch of one point.
func oneBatch() -> MetricBatch {
  let instrument = Instrument(name: "m", kind: .gauge, unit: "", description: "", attributes: [], prometheusName: "m")
  let point = DataPoint(attributes: [], time: Timestamp(nanoseconds: 1), value: .int(1))
  return MetricBatch(resource: [], scopeVersion: "1", metrics: [Metric(instrument, points: [point])])
}
