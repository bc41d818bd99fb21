/// A request that waits, compressed as it will be sent.
struct QueuedRequest: Sendable {
  var body: [UInt8]
  var pointCount: Int
  /// Attempts so far began at this time of the monotonic clock.
  var firstAttempt: Int64?
}

/// Requests of one destination, oldest first, bounded in bytes. A newer one never overtakes an older one: Prometheus
/// refuses samples that are older than what a series has.
struct DeliveryQueue: Sendable {
  private var requests: [QueuedRequest] = []
  private(set) var byteCount = 0
  private(set) var pointCount = 0
  let limit: Int
  /// The oldest request is being sent; it stays until its outcome is known.
  var isHeadOnWire = false

  init(limit: Int) {
    self.limit = limit
  }

  var isEmpty: Bool { requests.isEmpty }

  var head: QueuedRequest? { requests.first }

  /// Appends a request and drops the oldest until the queue fits again. The newest always stays.
  mutating func append(_ request: QueuedRequest) -> [QueuedRequest] {
    requests.append(request)
    byteCount += request.body.count
    pointCount += request.pointCount
    var dropped: [QueuedRequest] = []
    let oldest = isHeadOnWire ? 1 : 0
    while byteCount > limit, requests.count > oldest + 1 {
      dropped.append(remove(at: oldest))
    }
    return dropped
  }

  /// Notes when the first attempt to send the oldest request began.
  mutating func noteAttempt(at time: Int64) {
    if requests[0].firstAttempt == nil { requests[0].firstAttempt = time }
    isHeadOnWire = true
  }

  @discardableResult
  mutating func removeHead() -> QueuedRequest {
    isHeadOnWire = false
    return remove(at: 0)
  }

  mutating func removeAll() -> [QueuedRequest] {
    defer {
      requests = []
      byteCount = 0
      pointCount = 0
      isHeadOnWire = false
    }
    return requests
  }

  private mutating func remove(at index: Int) -> QueuedRequest {
    let request = requests.remove(at: index)
    byteCount -= request.body.count
    pointCount -= request.pointCount
    return request
  }
}
