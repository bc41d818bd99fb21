import Testing

@testable import OTLP

struct `The queue of a destination` {
  private static func request(_ number: Int, size: Int = 10) -> QueuedRequest {
    QueuedRequest(body: [UInt8](repeating: UInt8(number), count: size), pointCount: number)
  }

  private static func numbers(_ requests: [QueuedRequest]) -> [Int] { requests.map(\.pointCount) }

  @Test func `the oldest comes first and goes first when there is no room`() {
    var queue = DeliveryQueue(limit: 30)
    for number in 1...3 { #expect(queue.append(Self.request(number)).isEmpty) }
    #expect(queue.head?.pointCount == 1)
    #expect(Self.numbers(queue.append(Self.request(4))) == [1])
    #expect(queue.byteCount == 30 && queue.pointCount == 9)
    #expect(Self.numbers(queue.append(Self.request(5, size: 25))) == [2, 3, 4])
    #expect(Self.numbers(queue.removeAll()) == [5])
    #expect(queue.isEmpty && queue.byteCount == 0 && queue.pointCount == 0)
  }

  @Test func `what is being sent stays`() {
    var queue = DeliveryQueue(limit: 20)
    _ = queue.append(Self.request(1))
    _ = queue.append(Self.request(2))
    queue.noteAttempt(at: 5)
    #expect(Self.numbers(queue.append(Self.request(3))) == [2])
    #expect(queue.removeHead().firstAttempt == 5)
    #expect(Self.numbers(queue.removeAll()) == [3])
  }

  @Test func `the newest stays even if it is larger than the limit`() {
    var queue = DeliveryQueue(limit: 20)
    #expect(queue.append(Self.request(1, size: 50)).isEmpty)
    #expect(Self.numbers(queue.append(Self.request(2, size: 60))) == [1])
    #expect(queue.head?.pointCount == 2)
  }

  @Test func `a retry does not make an attempt the first`() {
    var queue = DeliveryQueue(limit: 20)
    _ = queue.append(Self.request(1))
    queue.noteAttempt(at: 5)
    queue.isHeadOnWire = false
    queue.noteAttempt(at: 9)
    #expect(queue.removeHead().firstAttempt == 5)
  }
}
