package import Logging
package import Outbox

/// Tells an operator when an outbox stops answering and when it answers again: one line each, not one per cycle.
package struct SampleJournal {
  private let log: Logger
  private var failing: [String: SampleFailure.Reason] = [:]
  private var unanswered = 0
  private var notices: [String: String] = [:]
  private var countsSinceEstimate: [String: Int] = [:]

  /// A journal that has told nothing yet.
  package init(log: Logger) {
    self.log = log
  }

  /// Tells what is new in the samples of a cycle.
  ///
  /// - Parameter unanswered: how many stores have not answered in time.
  package mutating func note(_ samples: [OutboxSample], unanswered: Int) {
    for sample in samples {
      let name = sample.outbox.name
      switch sample.result {
      case .success(let figures):
        if failing.removeValue(forKey: name) != nil { log.notice("\(name): sampled again") }
        if let accounting = sample.accounting { note(accounting, of: name) }
        noteRhythm(sample)
        switch figures {
        case .counts(let snapshot):
          log.debug(
            """
            \(name): ready \(snapshot.depth(.ready)), depth \(snapshot.depth), dead \(snapshot.deadCount), \
            took \(sample.duration.text)
            """)
        case .head: log.debug("\(name): only the head was read, took \(sample.duration.text)")
        }
      case .failure(let failure):
        if failing.updateValue(failure.reason, forKey: name) != failure.reason {
          log.error("\(name): not sampled (\(failure.reason.rawValue)): \(failure.message)\(failure.hintText)")
        }
      }
    }
    if unanswered > 0, self.unanswered == 0 {
      log.warning("\(unanswered.counted("store")) did not answer in time; the others go on without waiting")
    }
    self.unanswered = unanswered
  }

  /// Estimates are told of when they begin, and that they are over once two counts have come without one between them.
  private mutating func noteRhythm(_ sample: OutboxSample) {
    guard let snapshot = sample.snapshot else { return }
    let name = sample.outbox.name
    if snapshot.isEstimate {
      if countsSinceEstimate.updateValue(0, forKey: name) == nil {
        log.warning(
          """
          \(name): counting every event would take more than the exporter's share of the database's time; its counts are \
          estimates from now on, and outbox.sample.exact is 0
          """)
      }
    } else if let counts = countsSinceEstimate[name] {
      countsSinceEstimate[name] = counts == 0 ? 1 : nil
      if counts > 0 { log.notice("\(name): every event is counted again") }
    }
  }

  private mutating func note(_ accounting: AccountingReading, of name: String) {
    if let restart = accounting.restart {
      let what = accounting.movements == nil ? "what moves is counted anew from here" : "not all that moved is counted"
      log.warning("\(name): \(what): \(restart)")
    }
    if notices[name] != accounting.notice, let notice = accounting.notice { log.notice("\(name): \(notice)") }
    notices[name] = accounting.notice
  }
}

extension SampleFailure {
  fileprivate var hintText: String { hint.map { "; \($0)" } ?? "" }
}
