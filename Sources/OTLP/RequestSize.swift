/// The encoded size of a request while it grows, exact to the byte, so that it is cut before it becomes too large.
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
    points += WireFormat.enclosed(size)
  }

  mutating func closeMetric() {
    if points > 0 { scopeMetrics += WireFormat.enclosed(metric + WireFormat.enclosed(data + points)) }
    points = 0
  }

  /// The size of the points of the open metric.
  var openPoints: Int { points }

  /// The size of the closed metrics with what stands beside them in the scope.
  var closedScope: Int { scopeMetrics }

  /// The size of the request as it is.
  var total: Int { total(points: points) }

  /// The size that it would have with one more point.
  func total(withPoint size: Int) -> Int { total(points: points + WireFormat.enclosed(size)) }

  private func total(points: Int) -> Int {
    let open = points == 0 ? 0 : WireFormat.enclosed(metric + WireFormat.enclosed(data + points))
    return WireFormat.enclosed(resourceMetrics + WireFormat.enclosed(scopeMetrics + open))
  }
}
