/// What a series of moments shows, figure by figure; ``Verdict`` is decided from nothing else.
struct Evidence {
  /// How long something has lasted, in steps between samples, beside how long it lasted before.
  struct Run {
    /// Steps up to the last sample.
    var length = 0
    /// The longest run in the window that came to its end.
    var longestBefore = 0
    /// Steps in which it could have happened.
    var steps = 0
  }

  /// The moments, oldest first; never empty.
  let moments: [Moment]

  var last: Moment { moments[moments.count - 1] }

  /// Steps in a row in which events waited and none left. Events in a worker's hands alone are none that wait.
  var silence: Run {
    run { earlier, later in earlier.ready + earlier.backingOff == 0 ? nil : later.departures == 0 }
  }

  /// Events that leave in a step in which some wait, on average and without the last steps; nil where too few such
  /// steps were seen.
  func departuresPerStep(withoutLast steps: Int) -> Double? {
    let waiting = zip(moments, moments.dropFirst()).dropLast(steps).filter { earlier, _ in
      earlier.ready + earlier.backingOff > 0
    }
    guard waiting.count >= 5 else { return nil }
    return Double(waiting.reduce(0) { $0 + $1.1.departures }) / Double(waiting.count)
  }

  /// Steps among the last ones in which every tried event waited for its next attempt.
  func stepsBackingOff(inLast steps: Int) -> Int {
    moments.suffix(steps).count { $0.backingOff > 0 && $0.triedElsewhere == 0 }
  }

  /// Samples in which nothing was due: whoever empties the queue was at work before them.
  var emptySamples: Int { moments.count { $0.due == 0 } }

  /// Steps among the last ones in which events left.
  func departingSteps(inLast steps: Int) -> Int { moments.suffix(steps).count { $0.departures > 0 } }

  /// Steps in a row in which the same tried event was the oldest one.
  var unmovedTried: Run { unmoved(\.oldestTried) }

  /// Steps in a row in which the same event was the oldest one.
  var unmovedOldest: Run { unmoved(\.oldestDue) }

  /// Steps among the last ones in which somebody tried.
  func attempts(inLast steps: Int) -> Int { moments.suffix(steps).count(where: \.attempted) }

  /// Events that left, at least.
  func departures(inLast steps: Int) -> Int { moments.suffix(steps).reduce(0) { $0 + $1.departures } }

  /// Finished events that came back and have not left again since, at least.
  var returned: Int {
    var remaining = 0
    for moment in moments { remaining = max(0, remaining - moment.departures) + moment.returned }
    return min(remaining, last.due)
  }

  /// The longest time in seconds for which events were stuck before somebody took them back.
  var longestStuckBefore: Double {
    var longest = 0.0
    for (earlier, later) in zip(moments, moments.dropFirst())
    where earlier.stuck > 0 && later.stuckAge < earlier.stuckAge {
      longest = max(longest, earlier.stuckAge)
    }
    return longest
  }

  /// Seconds between the first and the last of so many moments.
  func span(ofLast steps: Int) -> Double { last.time - moments[max(0, moments.count - 1 - steps)].time }

  /// The trend of a figure over the last moments, if it is that significant.
  func trend(_ figure: (Moment) -> Double, ofLast count: Int, significance: Double) -> Trend? {
    let part = moments.suffix(count)
    return Trend(times: part.map(\.time), values: part.map(figure), significance: significance)
  }

  /// How many standard deviations the change of the backlog over the last moments is away from a random walk that goes
  /// nowhere. A queue wanders; that alone makes trends that every test for independent samples believes.
  func drift(_ slope: Double, ofLast count: Int) -> Double {
    let part = moments.suffix(count)
    let noise = part.noise(around: slope)
    let span = part[part.endIndex - 1].time - part[part.startIndex].time
    return noise > 0 ? slope * (span / noise).squareRoot() : slope > 0 ? .infinity : 0
  }

  private func unmoved(_ due: (Moment) -> Double?) -> Run {
    run { earlier, later in
      guard let before = due(earlier) else { return nil }
      return due(later).map { abs($0 - before) <= DueEvents.tolerance } ?? false
    }
  }

  /// Steps for which something holds; one where it cannot hold, nil, ends a run without counting it.
  private func run(_ holds: (Moment, Moment) -> Bool?) -> Run {
    var run = Run()
    for (earlier, later) in zip(moments, moments.dropFirst()) {
      switch holds(earlier, later) {
      case nil: run.length = 0
      case true?:
        run.length += 1
        run.steps += 1
      case false?:
        run.longestBefore = max(run.longestBefore, run.length)
        run.length = 0
        run.steps += 1
      }
    }
    return run
  }
}

extension ArraySlice<Moment> {
  /// The variance per second of a backlog that changes at so many events a second.
  func noise(around slope: Double) -> Double {
    var sum = 0.0
    for (earlier, later) in zip(self, dropFirst()) where later.time > earlier.time {
      let seconds = later.time - earlier.time
      let surprise = Double(later.ready - earlier.ready) - slope * seconds
      sum += surprise * surprise / seconds
    }
    return sum / Double(Swift.max(1, count - 2))
  }
}
