/// What is kept of one good sample of one destination, or of all of them together: few numbers, since an exporter may
/// watch ten thousand destinations.
struct Moment: Sendable, Hashable {
  /// Seconds on the window's own clock, which only rises.
  var time: Double
  /// The backlog.
  var ready = 0
  /// Events past their first due time, in whatever state.
  var due = 0
  /// Tried events that wait for their next attempt.
  var backingOff = 0
  /// Tried events that are due again, or in a worker's hands: what they wait for is not their back-off.
  var triedElsewhere = 0
  /// Events that a person or another job must release.
  var parked = 0
  /// First due time of the oldest due event, on the store's clock; nil where none is due.
  var oldestDue: Double?
  /// Whether others are known to be due since just then, as what one transaction wrote is: which of them left is not seen.
  var oldestIsOneOfMany = false
  /// The same of those that were tried; nil too where untried ones are due since just then: another may take its place.
  var oldestTried: Double?
  /// The longest wait in seconds.
  var age = 0.0
  /// Events that cannot move by themselves.
  var stuck = 0
  /// Seconds since the one that is stuck longest got stuck.
  var stuckAge = 0.0
  /// At least so many events left since the sample before.
  var departures = 0
  /// At least so many finished events came back since then.
  var returned = 0
  /// Whether anybody tried to deliver one since then.
  var attempted = false
}
