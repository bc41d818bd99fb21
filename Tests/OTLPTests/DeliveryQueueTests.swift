import Outbox
import Testing

@testable import OTLP

let queueEpoch = Timestamp(nanoseconds: 1_800_000_000_000_000_000)

/// A request whose points and bytes say which one it is.
func queued(_ number: Int, size: Int = 10, after seconds: Double = 0) -> QueuedRequest {
  QueuedRequest(
    body: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size), pointCount: number,
    created: queueEpoch.advanced(by: .seconds(seconds)))
}

struct `The queue of a destination` {
  private static func queue(limit: Int, ageLimit: Duration? = nil) -> DeliveryQueue {
    DeliveryQueue(limit: limit, ageLimit: ageLimit, start: queueEpoch)
  }

  @Test func `the oldest comes first and goes first when there is no room`() {
    var queue = Self.queue(limit: 30)
    for number in 1...3 { #expect(queue.append([queued(number)]).isEmpty) }
    #expect(queue.head() == queued(1))
    #expect(queue.append([queued(4)]).map(\.pointCount) == [1])
    #expect(queue.byteCount == 30 && queue.pointCount == 9)
    #expect(queue.append([queued(5, size: 25)]).map(\.pointCount) == [2, 3, 4])
    #expect(queue.dropped == [.full: 10])
    #expect(queue.abandonMemory().map(\.pointCount) == [5])
    #expect(queue.isEmpty && queue.byteCount == 0 && queue.pointCount == 0)
  }

  @Test func `what is being sent stays`() {
    var queue = Self.queue(limit: 20)
    _ = queue.append([queued(1)])
    _ = queue.append([queued(2)])
    queue.noteAttempt(at: 5)
    #expect(queue.append([queued(3)]).map(\.pointCount) == [2])
    #expect(queue.removeHead().firstAttempt == 5)
    #expect(queue.abandonMemory().map(\.pointCount) == [3])
  }

  @Test func `the newest stays even if it is larger than the limit`() {
    var queue = Self.queue(limit: 20)
    #expect(queue.append([queued(1, size: 50)]).isEmpty)
    #expect(queue.append([queued(2, size: 60)]).map(\.pointCount) == [1])
    #expect(queue.head()?.pointCount == 2)
  }

  @Test func `a retry does not make an attempt the first`() {
    var queue = Self.queue(limit: 20)
    _ = queue.append([queued(1)])
    queue.noteAttempt(at: 5)
    queue.isHeadOnWire = false
    queue.noteAttempt(at: 9)
    #expect(queue.removeHead().firstAttempt == 5)
  }

  @Test func `what waited longer than the limit goes, unless it is being sent`() {
    var queue = Self.queue(limit: 1000, ageLimit: .seconds(60))
    for number in 1...3 { _ = queue.append([queued(number, after: Double(number) * 10)]) }
    #expect(queue.enforceLimits(at: queueEpoch.advanced(by: .seconds(70))).isEmpty)
    queue.noteAttempt(at: 0)
    let departures = queue.enforceLimits(at: queueEpoch.advanced(by: .seconds(81)))
    #expect(departures.map(\.pointCount) == [2] && departures.map(\.reason) == [.tooOld])
    queue.isHeadOnWire = false
    #expect(queue.append([queued(9, after: 200)]).map(\.pointCount) == [1, 3])
    #expect(queue.dropped == [.tooOld: 6] && queue.pointCount == 9 && queue.oldest == queued(9, after: 200).created)
  }
}
