/// How long a destination is left alone after a failure. A pure function: randomness and the server's wish come in.
package struct RetryPolicy: Sendable, Hashable {
  /// The back-off after the first failure.
  package var initialDelay: Duration
  /// By how much each further failure lengthens it.
  package var multiplier: Double
  /// The longest back-off.
  package var maximumDelay: Duration
  /// The longest delay that a server may ask for. What it asks beyond that is cut to it.
  package var serverDelayLimit: Duration

  /// A policy; the defaults are 1 s × 1.5 up to 30 s, and 5 minutes for servers.
  package init(
    initialDelay: Duration = .seconds(1), multiplier: Double = 1.5, maximumDelay: Duration = .seconds(30),
    serverDelayLimit: Duration = .seconds(300)
  ) {
    self.initialDelay = initialDelay
    self.multiplier = multiplier
    self.maximumDelay = maximumDelay
    self.serverDelayLimit = serverDelayLimit
  }

  /// The delay before the next attempt: between half and the whole of the back-off, so that many exporters do not come
  /// back at once, and no less than what the server asked for.
  ///
  /// - Parameters:
  ///   - failures: attempts that failed in a row, at least 1.
  ///   - serverDelay: what `Retry-After` says.
  ///   - random: in 0 ..< 1.
  package func delay(failures: Int, serverDelay: Duration?, random: Double) -> Duration {
    var backOff = initialDelay
    for _ in 1..<max(1, failures) where backOff < maximumDelay {
      backOff = backOff * multiplier
    }
    let jittered = min(backOff, maximumDelay) * (0.5 + 0.5 * random)
    return max(jittered, min(serverDelay ?? .zero, serverDelayLimit))
  }

  /// What a gRPC server's wish amounts to after further failures: the delays grow from it, up to the longest back-off or to
  /// what the server itself asked for (OTLP specification, "OTLP/gRPC Throttling").
  ///
  /// - Parameters:
  ///   - previous: what it amounted to after the failure before; nil where the server had no wish since the last success.
  ///   - serverDelay: what it asks for now.
  package func throttle(after previous: Duration?, serverDelay: Duration?) -> Duration? {
    let grown = previous.map { min($0 * multiplier, max(maximumDelay, $0)) }
    return [grown, serverDelay.map { min($0, serverDelayLimit) }].compactMap(\.self).max()
  }

  /// The statuses after which the same request is sent again; after every other failure it is dropped
  /// (OTLP specification, "Retryable Response Codes").
  package static let retryableStatuses: Set<Int> = [429, 502, 503, 504]
}
