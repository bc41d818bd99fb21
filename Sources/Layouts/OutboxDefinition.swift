package import Outbox

/// One configured outbox: where it is, how it is laid out, how it is judged. A glob, or a layout with several tables,
/// makes several watched outboxes of it.
package struct OutboxDefinition: Sendable, Hashable {
  /// The configured name, or the layout's.
  package var name: String
  /// Where it is.
  package var address: StoreAddress
  /// Its layout, with the user's table and column names in place.
  package var layout: Layout
  /// What the user promises, if anything.
  package var objective: Objective?
  /// The limits in force: the user's, else the layout's.
  package var limits: Limits
  /// What the verdicts mean for health.
  package var verdicts: VerdictHealth
  /// Dead letters that somebody knows of.
  package var acknowledgements: [Acknowledgement]

  /// A configured outbox.
  package init(
    name: String, address: StoreAddress, layout: Layout, objective: Objective? = nil, limits: Limits? = nil,
    verdicts: VerdictHealth = .standard, acknowledgements: [Acknowledgement] = []
  ) {
    self.name = name
    self.address = address
    self.layout = layout
    self.objective = objective
    self.limits = limits ?? layout.limits
    self.verdicts = verdicts
    self.acknowledgements = acknowledgements
  }

  /// The watched outbox of this definition, with an optional part appended to its name.
  package func watched(suffixes: [String] = []) -> WatchedOutbox {
    WatchedOutbox(
      name: ([name] + suffixes).joined(separator: "/"), layout: layout.name, system: address.system,
      objective: objective, limits: limits, verdicts: verdicts, acknowledgements: acknowledgements,
      stuckReasons: layout.stuckReasons)
  }
}
