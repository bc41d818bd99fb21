/// The encoded size of a request while it grows, exact to the byte, so that it is cut before it becomes too large.
///
/// Every field on the way from a request to a point has a number below 16, so its tag is one byte.
struct RequestSize {
  // Each level without the one below it.
  private var resourceMetrics = 0
  private var scopeMetrics = 0
  private var metric = 0
  private var data = 0
  private var points = 0

  /// A request without metrics; the sizes are those of the messages with everything but the next level.
  init(resourceMetrics: Int, scopeMetrics: Int) {
    self.resourceMetrics = resourceMetrics
    self.scopeMetrics = scopeMetrics
  }

  /// A metric and its data begin; both sizes are without points.
  mutating func openMetric(metric: Int, data: Int) {
    self.metric = metric
    self.data = data
    points = 0
  }

  mutating func addPoint(_ size: Int) {
    points += Self.enclosed(size)
  }

  mutating func closeMetric() {
    if points > 0 { scopeMetrics += Self.enclosed(metric + Self.enclosed(data + points)) }
    points = 0
  }

  /// The size of the request as it is.
  var total: Int { total(points: points) }

  /// The size that it would have with one more point.
  func total(withPoint size: Int) -> Int { total(points: points + Self.enclosed(size)) }

  private func total(points: Int) -> Int {
    let open = points == 0 ? 0 : Self.enclosed(metric + Self.enclosed(data + points))
    return Self.enclosed(resourceMetrics + Self.enclosed(scopeMetrics + open))
  }

  /// The size of a message inside another one: tag, length, content.
  static func enclosed(_ size: Int) -> Int {
    let lengthBytes = (UInt64.bitWidth - UInt64(size | 1).leadingZeroBitCount + 6) / 7
    return 1 + lengthBytes + size
  }
}
