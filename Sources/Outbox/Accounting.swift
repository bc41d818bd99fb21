/// Up to where the movements of one outbox have been counted.
package struct AccountingMark: Sendable, Hashable {
  /// The method that counts.
  package var method: AccountingMethod
  /// The position, in the method's own words.
  package var position: String
  /// True where the position survives the exporter: what lies before it may be thrown away.
  package var isDurable: Bool
  /// True where whoever asks keeps it as long as it runs and no longer: it never comes back after its end.
  package var isTransient: Bool

  /// A position.
  package init(_ method: AccountingMethod, _ position: String, isDurable: Bool = false, isTransient: Bool = false) {
    self.method = method
    self.position = position
    self.isDurable = isDurable
    self.isTransient = isTransient
  }
}

/// What one sample counted of an outbox's movements.
package struct AccountingReading: Sendable, Hashable {
  /// Up to where the counting is now.
  package var mark: AccountingMark
  /// What moved since the mark of the request; nil where there was none to go on from: counting begins here.
  package var movements: Movements?
  /// Why the counting could not go on from the mark of the request, or, with movements, why some may be missing: for the
  /// log and the report.
  package var restart: String?
  /// What keeps a better method from being used, and what to do about it: for the log.
  package var notice: String?

  /// A reading.
  package init(mark: AccountingMark, movements: Movements?, restart: String? = nil, notice: String? = nil) {
    self.mark = mark
    self.movements = movements
    self.restart = restart
    self.notice = notice
  }
}

/// What a sample is asked for beside its figures.
package struct SampleRequest: Sendable, Hashable {
  /// Whether to name a few events worth looking at (`--once` only).
  package var eventIDs: Bool
  /// Up to where the movements of each outbox are counted, by its name; nil where nobody asks for movements.
  package var marks: [String: AccountingMark]?
  /// How much of the database's time the sample may take; nil reads everything, whatever it costs.
  package var budget: SampleBudget?
  /// What earlier runs know of the costs of each outbox, by its name.
  package var costs: [String: [ReadingCost]]

  /// A request for figures alone, all of them, unless more is named.
  package init(
    eventIDs: Bool = false, marks: [String: AccountingMark]? = nil, budget: SampleBudget? = nil,
    costs: [String: [ReadingCost]] = [:]
  ) {
    self.eventIDs = eventIDs
    self.marks = marks
    self.budget = budget
    self.costs = costs
  }
}
