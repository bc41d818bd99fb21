package import Layouts
import Outbox

/// Writes a layout as the YAML that a configuration file takes below `layouts`, to copy and change.
package enum LayoutYAML {
  /// The text: `layouts:` with the layout under its name. Reading it gives an equal layout.
  package static func text(_ layout: Layout) -> String {
    YAMLText.mapping([("layouts", .mapping([(layout.name, .mapping(entries(layout)))]))]).text
  }

  /// The text without what says nothing about the figures: limits and what is written for people.
  package static func schema(_ layout: Layout) -> String {
    var layout = layout
    (layout.summary, layout.sources, layout.notes, layout.limits) = ("", [], [], Limits())
    return text(layout)
  }

  /// The keys of a layout, without its name.
  static func entries(_ layout: Layout) -> [(key: String, value: YAMLText)] {
    var entries: [(key: String, value: YAMLText)] = []
    if !layout.summary.isEmpty { entries.append(("summary", .scalar(layout.summary))) }
    entries.append(("systems", words(layout.systems.map(\.rawValue))))
    if layout.createdLazily { entries.append(("created_lazily", .scalar("true"))) }
    if let limits = limits(layout.limits) { entries.append(("limits", limits)) }
    if !layout.sources.isEmpty { entries.append(("sources", words(layout.sources))) }
    if !layout.notes.isEmpty { entries.append(("notes", words(layout.notes))) }
    if !layout.queues.isEmpty { entries.append(("queues", .list(layout.queues.map(queue)))) }
    if let directory = layout.directory { entries.append(("directory", self.directory(directory))) }
    return entries
  }

  /// Limits, those that there are; nil for none.
  static func limits(_ limits: Limits) -> YAMLText? {
    func pair<Value>(_ name: String, _ pair: Limits.Pair<Value>, _ text: (Value) -> String) -> (String, YAMLText)? {
      let entries = [("warning", pair.warning), ("critical", pair.critical)].compactMap { name, value in
        value.map { (key: name, value: YAMLText.scalar(text($0))) }
      }
      return entries.isEmpty ? nil : (name, .mapping(entries))
    }
    let entries: [(key: String, value: YAMLText)] = [
      pair("age", limits.age, DurationText.text), pair("ready", limits.ready) { "\($0)" },
      pair("stuck", limits.stuck) { "\($0)" }, pair("dead", limits.dead) { "\($0)" },
    ].compactMap { $0 }
    return entries.isEmpty ? nil : .mapping(entries)
  }

  private static func words(_ texts: [String]) -> YAMLText { .list(texts.map { .scalar($0) }) }

  private static func queue(_ queue: TableQueue) -> YAMLText {
    var entries: [(key: String, value: YAMLText)] = []
    if let suffix = queue.suffix { entries.append(("suffix", .scalar(suffix))) }
    entries.append(("tables", .mapping(queue.tables.sorted { $0.key < $1.key }.map { ($0.key, table($0.value)) })))
    if !queue.columns.isEmpty {
      entries.append(("columns", .mapping(queue.columns.sorted { $0.key < $1.key }.map { ($0.key, column($0.value)) })))
    }
    if let role = queue.stateColumn { entries.append(("state_column", .scalar(role))) }
    if queue.untilCoversClock { entries.append(("until_covers_clock", .keyword("true"))) }
    if !queue.knownStates.isEmpty { entries.append(("known_states", words(queue.knownStates))) }
    if let destination = queue.destination { entries.append(("destination", .scalar(destination))) }
    entries.append(("rows", .list(queue.selections.map { selection($0, in: queue) })))
    let accounting = accounting(queue.accounting)
    if !accounting.isEmpty { entries.append(("accounting", .mapping(accounting))) }
    if let rules = queue.ledger { entries.append(("ledger", ledger(rules))) }
    return .mapping(entries)
  }

  private static func ledger(_ rules: LedgerRules) -> YAMLText {
    let texts = [
      ("waiting", rules.waiting), ("delivered", rules.delivered), ("dead", rules.dead), ("failed", rules.failed),
      ("released", rules.released), ("removed", rules.removed), ("buried", rules.buried), ("first_due", rules.firstDue),
    ]
    var entries: [(key: String, value: YAMLText)] = texts.compactMap { key, text in text.map { (key, .scalar($0)) } }
    if let parents = rules.parents {
      entries.append(
        (
          "parents",
          .mapping([
            ("table", .scalar(parents.table)), ("id", .scalar(parents.id)),
            ("destination", .scalar(parents.destination)), ("of", .scalar(parents.reference)),
          ])
        ))
    }
    return .mapping(entries)
  }

  private static func accounting(_ accounting: QueueAccounting) -> [(key: String, value: YAMLText)] {
    var entries: [(key: String, value: YAMLText)] = []
    if let role = accounting.created { entries.append(("created", .scalar(role))) }
    if let retries = accounting.retries { entries.append(("retries", .scalar(retries))) }
    if let retries = accounting.deadRetries { entries.append(("dead_retries", .scalar(retries))) }
    if let delivered = accounting.delivered {
      entries.append(
        (
          "delivered",
          .mapping([
            ("where", .scalar(delivered.rows)), ("finished", .scalar(delivered.finished)),
            ("since", .scalar(delivered.since)),
          ])
        ))
    }
    return entries
  }

  private static func table(_ table: TableName) -> YAMLText {
    table.isOptional ? .mapping([("name", .scalar(table.name)), ("optional", .scalar("true"))]) : .scalar(table.name)
  }

  private static func column(_ column: ColumnDefinition) -> YAMLText {
    if case .column(let name) = column.value, column == .column(name) { return .scalar(name) }
    var entries: [(key: String, value: YAMLText)]
    switch column.value {
    case .column(let name): entries = [("column", .scalar(name))]
    case .expression(let sql): entries = [("sql", .scalar(sql))]
    }
    if column.table != TableQueue.mainTable { entries.append(("table", .scalar(column.table))) }
    if let encoding = column.encoding { entries.append(("encoding", .scalar(encoding.configurationName))) }
    if column.isOptional { entries.append(("optional", .scalar("true"))) }
    return .mapping(entries)
  }

  private static func selection(_ selection: Selection, in queue: TableQueue) -> YAMLText {
    var entries: [(key: String, value: YAMLText)] = []
    if selection.table != TableQueue.mainTable { entries.append(("table", .scalar(selection.table))) }
    entries.append(("where", .scalar(selection.rows)))
    if let only = selection.only { entries.append(("only", .scalar(only))) }
    entries.append(("state", .scalar(selection.state.rawValue)))
    if let until = selection.until {
      entries.append(("until", .mapping([("time", .scalar(until.time)), ("state", .scalar(until.state.rawValue))])))
    }
    if selection.retry != "false" { entries.append(("retry", .scalar(selection.retry))) }
    if let since = selection.since { entries.append(("since", .scalar(since))) }
    if let stuck = selection.stuck {
      var parts: [(key: String, value: YAMLText)] = [("reason", .scalar(stuck.reason.rawValue))]
      if stuck.rows != "true" { parts.append(("when", .scalar(stuck.rows))) }
      parts.append(("since", .scalar(stuck.since)))
      entries.append(("stuck", .mapping(parts)))
    }
    if let destination = selection.destination { entries.append(("destination", .scalar(destination))) }
    let standardID = queue.columns["id"] == nil ? nil : "{id}"
    if selection.id != standardID { entries.append(("id", selection.id.map { .scalar($0) } ?? .keyword("null"))) }
    return .mapping(entries)
  }

  private static func directory(_ directory: DirectoryQueue) -> YAMLText {
    let fields = directory.fields
    let names: [(key: String, value: YAMLText)] = [
      ("id", fields.id), ("created", fields.created), ("attempts", fields.attempts),
      ("last_attempt", fields.lastAttempt), ("claimed", fields.claimed), ("recovery_state", fields.recoveryState),
      ("destination", fields.destination),
    ].compactMap { $0.1.isEmpty ? nil : ($0.0, words($0.1)) }
    let claimed = directory.claimedStates.sorted { $0.key < $1.key }.map {
      ($0.key, YAMLText.scalar($0.value.rawValue))
    }
    return .mapping(
      [
        ("file_suffix", .scalar(directory.fileSuffix)), ("dead_directory", .scalar(directory.deadDirectory)),
        ("fields", .mapping(names)), ("backoff", words(directory.backoff.map(DurationText.text))),
      ] + (directory.maxAttempts.map { [("max_attempts", .keyword(String($0)))] } ?? []) + [
        ("claimed_states", .mapping(claimed)), ("lease", .scalar(DurationText.text(directory.lease))),
      ] + (directory.deliveredSuffix.map { [("delivered_suffix", .scalar($0))] } ?? [])
        + (directory.removal == .unseen ? [] : [("removal", .scalar(directory.removal.rawValue))]))
  }
}
