import Outbox

/// The verdict on a series of moments. The rules stand here in the order in which they are asked.
struct Finding {
  var verdict: Verdict
  var sentence: String
  var drainTime: TimeRange?
  var breachTime: TimeRange?

  /// How much longer than ever before a pause has to be.
  private static let patience = 1.5
  /// Steps without any departure before that says something, where the pauses before are known.
  private static let shortestSilence = 9
  /// The same where no pause is known.
  private static let unknownSilence = 20
  /// Steps in which the oldest tried event did not leave although it was tried.
  private static let longestStay = 9
  /// Seconds that a stuck event waits for whoever takes it back: usual rhythms are a minute or two.
  private static let reaperPatience = 180.0
  /// Standard deviations from which on a trend is no chance.
  private static let significance = 2.6

  init(_ evidence: Evidence, objective: Objective?) {
    let last = evidence.last
    verdict = .idle
    sentence = last.parked > 0 ? "paused: \(last.parked.counted("event")) parked, nothing is due" : "nothing is due"
    guard last.due > 0 || last.ready > 0 || last.stuck > 0 else { return }

    verdict = .ok
    let left = evidence.departures(inLast: evidence.moments.count - 1)
    sentence =
      "\(last.ready.counted("event")) ready, \(last.waits); at least \(left) left in "
      + "\(evidence.spanText(evidence.moments.count - 1))"
    defer {
      if let objective, verdict.isBad,
        let ageTrend = Self.growingAge(evidence)
      {
        breachTime = .untilBreach(of: objective, age: last.age, trend: ageTrend)
        if let breachTime { sentence += "; breaches the objective of \(objective.age.text) in \(breachTime.text)" }
      }
    }
    if let (verdict, sentence) = Self.standstill(evidence) ?? Self.trouble(evidence) {
      self.verdict = verdict
      self.sentence = sentence
      return
    }
    if let sentence = Self.growing(evidence) {
      verdict = .fallingBehind
      self.sentence = sentence
      return
    }
    if let (trend, moments) = Self.shrinking(evidence) {
      verdict = .draining
      drainTime = .untilEmpty(moments, trend: trend)
      sentence = "\(last.ready.counted("event")) ready, \((-trend.slope).perSecond) fewer"
      if let drainTime { sentence += "; empty in \(drainTime.text)" }
      return
    }
    if left == 0, evidence.emptySamples == 0 {
      verdict = .unknown
      sentence =
        "\(last.due.counted("event")) due, none was seen to leave in \(evidence.spanText(evidence.moments.count - 1)); "
        + "what pauses are usual is known after \(Self.unknownSilence) steps; \(last.waits)"
    }
  }

  /// The trend of the longest wait over as few moments as show one.
  private static func growingAge(_ evidence: Evidence) -> Trend? {
    for term in [10, shortTerm, longTerm] {
      if let trend = evidence.trend(\.age, ofLast: term, significance: significance), trend.score >= significance {
        return trend
      }
    }
    return nil
  }

  /// stalled or spinning: nothing leaves for longer than this outbox ever paused.
  private static func standstill(_ evidence: Evidence) -> (Verdict, String)? {
    let last = evidence.last
    let silence = evidence.silence
    let pauses = Int((Double(silence.longestBefore) * patience).rounded(.up)) + 1
    // Where r events leave in a step, none leaves in 7 / r steps once in a thousand times.
    let rate = evidence.departuresPerStep(withoutLast: silence.length)
    let chance = rate.map { Int((7 / max($0, 0.35)).rounded(.up)) } ?? 0
    let isKnown = silence.steps - silence.length + evidence.emptySamples >= 8
    let needed = max(isKnown ? shortestSilence : unknownSilence, pauses, chance)
    if silence.length >= needed {
      let attempts = evidence.attempts(inLast: min(needed, silence.length))
      let since = "none left in \(evidence.spanText(silence.length))"
      if attempts > 1 || last.backingOff > 0 {
        return (.spinning, "\(last.due.counted("event")) due, tried again and again, \(since); \(last.waits)")
      }
      return (.stalled, "\(last.due.counted("event")) due, \(since) and none was tried; \(last.waits)")
    }
    let stay = evidence.unmovedTried
    if stay.length >= max(longestStay, Int((Double(stay.longestBefore) * patience).rounded(.up))),
      evidence.stepsBackingOff(inLast: stay.length) * 2 >= stay.length
    {
      return (
        .spinning, "the oldest tried event did not leave in \(evidence.spanText(stay.length)) of trying; \(last.waits)"
      )
    }
    return nil
  }

  /// stuck or rewound.
  private static func trouble(_ evidence: Evidence) -> (Verdict, String)? {
    let last = evidence.last
    if last.stuck > 0, last.stuckAge >= max(reaperPatience, evidence.longestStuckBefore * patience) {
      return (
        .stuck,
        "\(last.stuck.counted("event")) cannot move by \(last.stuck == 1 ? "itself" : "themselves"), the longest for "
          + "\(Duration.seconds(last.stuckAge).text)"
      )
    }
    let returned = evidence.returned
    if returned > 0 {
      return (
        .rewound,
        "at least \(returned.counted("event")) came back after they were finished, or came with an old time; \(last.waits)"
      )
    }
    return nil
  }

  /// The trend of a backlog that shrinks since its peak.
  private static func shrinking(_ evidence: Evidence) -> (Trend, ArraySlice<Moment>)? {
    let moments = evidence.moments
    guard
      let peak = moments.indices.max(by: {
        moments[$0].ready <= moments[$1].ready && moments[$0].ready != moments[$1].ready
      })
    else { return nil }
    let part = moments[peak...]
    guard part.count >= 6, moments[peak].ready - evidence.last.ready >= 10,
      let trend = Trend(
        times: part.map(\.time), values: part.map { Double($0.ready) }, significance: significance),
      trend.score <= -significance
    else { return nil }
    return (trend, part)
  }

  /// So many samples show whether a backlog grows.
  private static let longTerm = 40
  /// So many show it where it grows fast.
  private static let shortTerm = 20
  private static let significantDrift = 2.6

  /// Why the outbox falls behind.
  private static func growing(_ evidence: Evidence) -> String? {
    let last = evidence.last
    for term in [shortTerm, longTerm] where evidence.moments.count >= term {
      // Of a worker in batches the shorter term may hold no more than a part of one.
      guard last.ready >= 10, evidence.departingSteps(inLast: term) >= (term == shortTerm ? 5 : 2),
        let trend = evidence.trend({ Double($0.ready) }, ofLast: term, significance: significance),
        trend.score >= significance, evidence.drift(trend.slope, ofLast: term) >= significantDrift,
        let ages = evidence.trend(\.age, ofLast: term, significance: significance), ages.score >= significance
      else { continue }
      return "\(last.ready.counted("event")) ready, \(trend.slope.perSecond) more; \(last.waits)"
    }
    let stay = evidence.unmovedOldest
    if stay.length >= max(30, Int((Double(stay.longestBefore) * patience).rounded(.up))),
      !isTakenFromBatch(evidence, inLast: stay.length)
    {
      return "the oldest event did not leave in \(evidence.spanText(stay.length)) although others did; \(last.waits)"
    }
    return nil
  }
}

extension Finding {
  /// Whether it may be another event each time that is the oldest: all that one transaction wrote are due since the same time,
  /// and there are fewer and fewer.
  private static func isTakenFromBatch(_ evidence: Evidence, inLast steps: Int) -> Bool {
    let (first, last) = (evidence.moments[evidence.moments.count - 1 - steps], evidence.last)
    return last.oldestIsOneOfMany && shrinking(evidence) != nil
      || first.oldestIsOneOfMany && last.due * 2 <= first.due
  }
}

extension Moment {
  fileprivate var waits: String { "the oldest waits \(Duration.seconds(age).text)" }
}

extension Evidence {
  fileprivate func spanText(_ steps: Int) -> String { Duration.seconds(span(ofLast: steps)).text }
}

extension Double {
  /// A rate with two digits that matter, e.g. `2.4 a second`, `7 an hour`.
  fileprivate var perSecond: String {
    for (unit, seconds) in [("second", 1.0), ("minute", 60.0)] where self * seconds >= 1 {
      let value = self * seconds
      return "\(value < 10 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))") a \(unit)"
    }
    return "\((self * 36_000).rounded() / 10) an hour"
  }
}
