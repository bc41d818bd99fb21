import Layouts
import Outbox

extension ConfigurationReader {
  /// Puts the user's layouts before the built-in ones.
  mutating func readUserLayouts(_ value: FileValue?) {
    var layouts: [Layout] = []
    for (name, _, value) in namedEntries(value, "<name>") {
      if let layout = userLayout(value, name: name, standardName: nil) { layouts.append(layout) }
    }
    let names = Set(layouts.map(\.name))
    self.layouts = layouts + self.layouts.filter { !names.contains($0.name) }
  }

  /// A layout that is written out: below `layouts` under its name, or in place of a name at an outbox, where it may
  /// have a `name` and is else called as the outbox.
  mutating func userLayout(_ value: FileValue, name: String?, standardName: String?) -> Layout? {
    guard let keys = mapping(value, alsoAllowing: name == nil ? ["name"] : []) else { return nil }
    guard let name = name ?? string(keys["name"]) ?? standardName else {
      problem(place(value), "the layout has no name", "give it or its outbox a `name`")
      return nil
    }
    var layout = Layout(name: name, summary: text(keys["summary"])?.text ?? "", systems: [])
    layout.createdLazily = boolean(keys["created_lazily"]) ?? false
    layout.limits = limits(keys["limits"], over: Limits())
    layout.sources = strings(keys["sources"])
    layout.notes = strings(keys["notes"])
    let problemsBefore = problems.count
    let queues = items(keys["queues"])
    layout.queues = queues.compactMap { queue($0) }
    layout.directory = directory(keys["directory"])

    let isDirectory = keys["directory"] != nil
    if isDirectory == (keys["queues"] != nil) {
      problem(
        place(value), "the layout needs either `queues` or `directory`",
        "`queues` for tables, `directory` for files")
    }
    let possible: [StoreSystem] = isDirectory ? [.files] : [.postgresql, .sqlite]
    layout.systems = items(keys["systems"]).compactMap { choice($0, among: possible) }
    if keys["systems"] == nil { layout.systems = possible }
    if let value = keys["systems"], value.isEmptyList {
      problem(place(value), "`systems` is empty", "leave the key away, or name one")
    }
    if let value = keys["queues"], value.isEmptyList {
      problem(place(value), "`queues` is empty", "name at least one queue")
    }
    // Queues without a suffix are alternatives: a database has one of them.
    let suffixes = layout.queues.compactMap(\.suffix)
    if Set(suffixes).count < suffixes.count, let value = keys["queues"] {
      problem(place(value), "two queues have the same `suffix`", "each queue becomes an outbox with a name of its own")
    }
    if problems.count == problemsBefore {
      for (queue, value) in zip(layout.queues, queues) {
        checkTemplates(of: queue, for: layout.systems, at: place(value))
      }
    }
    return layout
  }

  // MARK: Tables

  private mutating func queue(_ value: FileValue) -> TableQueue? {
    guard let keys = mapping(value) else { return nil }
    var queue = TableQueue(tables: [:], columns: [:], selections: [])
    queue.suffix = string(keys["suffix"])
    let tables = namedEntries(keys["tables"], "<role>")
    for (role, place, value) in tables where isRole(role, at: place) {
      queue.tables[role] = tableName(value)
    }
    if !tables.contains(where: { $0.name == TableQueue.mainTable }) {
      problem(place(value), "the queue has no table `events`", "write tables: {events: NAME}")
    }
    for (role, place, value) in namedEntries(keys["columns"], "<role>") where isRole(role, at: place) {
      queue.columns[role] = column(value, in: queue)
    }
    if let value = keys["state_column"], let role = string(value) {
      queue.stateColumn = role
      if queue.columns[role] == nil {
        problem(
          place(value), "`state_column` names no column role",
          Suggestion.hint(for: role, among: queue.columns.keys.sorted()))
      }
    }
    queue.knownStates = strings(keys["known_states"])
    queue.untilCoversClock = boolean(keys["until_covers_clock"]) ?? false
    queue.destination = string(keys["destination"])
    queue.selections = items(keys["rows"]).compactMap { selection($0, in: queue) }
    queue.ledger = ledger(keys["ledger"])
    if keys["rows"]?.isEmptyList ?? true {
      problem(place(value), "the queue has no `rows`", "write which rows are in which state")
    }
    queue.accounting = accounting(keys["accounting"], in: queue)
    return queue
  }

  private mutating func accounting(_ value: FileValue?, in queue: TableQueue) -> QueueAccounting {
    guard let value, let keys = mapping(value) else { return QueueAccounting() }
    var accounting = QueueAccounting(
      created: role(ofColumn: keys["created"], in: queue), retries: string(keys["retries"]),
      deadRetries: string(keys["dead_retries"]))
    if let value = keys["delivered"], let parts = mapping(value) {
      let rows = required("where", of: value, parts)
      let finished: String? = required("finished", of: value, parts) { (reader, value) in
        reader.role(ofColumn: value, in: queue)
      }
      let since = required("since", of: value, parts)
      if let rows, let finished, let since {
        accounting.delivered = .init(rows: rows, finished: finished, since: since)
      }
    }
    return accounting
  }

  private mutating func role(ofColumn value: FileValue?, in queue: TableQueue) -> String? {
    guard let value, let role = string(value) else { return nil }
    if queue.columns[role]?.table == TableQueue.mainTable { return role }
    problem(
      place(value), "this names no column role of the table `events`",
      Suggestion.hint(for: role, among: queue.columns.keys.sorted()))
    return nil
  }

  /// A role stands in braces in templates, so it is a plain word.
  private mutating func isRole(_ role: String, at place: ConfigurationPlace) -> Bool {
    let isWord =
      role.first?.isNumber == false && role.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    if !isWord { problem(place, "a role has to be a word of letters, digits and `_`") }
    return isWord
  }

  private mutating func tableName(_ value: FileValue) -> TableName? {
    guard value.isMapping else { return string(value).map { TableName($0) } }
    guard let keys = mapping(value) else { return nil }
    guard keys["name"] != nil else {
      problem(place(value), "the table has no `name`")
      return nil
    }
    let isOptional = boolean(keys["optional"]) ?? false
    return string(keys["name"]).map { TableName($0, optional: isOptional) }
  }

  private mutating func column(_ value: FileValue, in queue: TableQueue) -> ColumnDefinition? {
    guard value.isMapping else { return string(value).map { .column($0) } }
    guard let keys = mapping(value) else { return nil }
    let table = role(ofTable: keys["table"], in: queue)
    let encoding = encoding(keys["encoding"])
    let isOptional = boolean(keys["optional"]) ?? false
    let content: ColumnDefinition.Value?
    switch (keys["column"], keys["sql"]) {
    case (let column?, nil): content = string(column).map { .column($0) }
    case (nil, let sql?): content = string(sql).map { .expression($0) }
    default:
      problem(place(value), "a column needs either `column` or `sql`", "`column` for a name, `sql` for an expression")
      return nil
    }
    return content.map { ColumnDefinition($0, table: table, encoding: encoding, optional: isOptional) }
  }

  private mutating func role(ofTable value: FileValue?, in queue: TableQueue) -> String {
    guard let value, let role = string(value) else { return TableQueue.mainTable }
    if queue.tables[role] == nil {
      problem(
        place(value), "`table` names no table role", Suggestion.hint(for: role, among: queue.tables.keys.sorted()))
    }
    return role
  }

  private mutating func encoding(_ value: FileValue?) -> TimeEncoding? {
    guard let text = text(value) else { return nil }
    if let encoding = TimeEncoding(configurationName: text.text) { return encoding }
    problem(
      text.place, "`\(text.shown)` is not a time encoding",
      Suggestion.hint(for: text.shown, among: TimeEncoding.configurationNames + ["naive:Europe/Paris"]))
    return nil
  }

  // MARK: Rows

  private mutating func selection(_ value: FileValue, in queue: TableQueue) -> Selection? {
    guard let keys = mapping(value) else { return nil }
    let table = role(ofTable: keys["table"], in: queue)
    let rows = required("where", of: value, keys)
    let state: EventState? = required("state", of: value, keys) { (reader, value) in reader.state(value) }
    var selection = Selection(table: table, rows: rows ?? "", state: state ?? .unknown, since: string(keys["since"]))
    selection.only = string(keys["only"])
    if let retry = string(keys["retry"]) { selection.retry = retry }
    if let until = keys["until"], let parts = mapping(until) {
      let time = required("time", of: until, parts)
      let state: EventState? = required("state", of: until, parts) { (reader, value) in reader.state(value) }
      if let time, let state { selection.until = Selection.Until(time, state) }
    }
    if let stuck = keys["stuck"], let parts = mapping(stuck) {
      let reason: StuckReason? = required("reason", of: stuck, parts) { (reader, value) in reader.choice(value) }
      let since = required("since", of: stuck, parts)
      let rows = string(parts["when"])
      if let reason, let since { selection.stuck = Selection.StuckRule(reason, rows: rows ?? "true", since: since) }
    }
    selection.destination = string(keys["destination"])
    if let id = keys["id"] {
      selection.id = isNull(id) ? nil : string(id)
    } else if queue.columns["id"] == nil {
      selection.id = nil
    }
    return rows == nil || state == nil ? nil : selection
  }

  private mutating func ledger(_ value: FileValue?) -> LedgerRules? {
    guard let value, let keys = mapping(value) else { return nil }
    let waiting = required("waiting", of: value, keys)
    let firstDue = required("first_due", of: value, keys)
    guard let waiting, let firstDue else { return nil }
    return LedgerRules(
      waiting: waiting, delivered: string(keys["delivered"]), dead: string(keys["dead"]),
      failed: string(keys["failed"]), released: string(keys["released"]), removed: string(keys["removed"]),
      buried: string(keys["buried"]), parents: parents(keys["parents"]), firstDue: firstDue)
  }

  private mutating func parents(_ value: FileValue?) -> LedgerRules.Parents? {
    guard let value, let keys = mapping(value) else { return nil }
    let table = required("table", of: value, keys)
    let id = required("id", of: value, keys)
    let destination = required("destination", of: value, keys)
    let reference = required("of", of: value, keys)
    guard let table, let id, let destination, let reference else { return nil }
    return .init(table: table, id: id, destination: destination, reference: reference)
  }

  private mutating func state(_ value: FileValue) -> EventState? {
    choice(value, among: EventState.allCases.filter { $0 != .delivered })
  }

  private mutating func required(_ key: String, of value: FileValue, _ keys: [String: FileValue]) -> String? {
    required(key, of: value, keys) { (reader, value) in reader.string(value) }
  }

  private mutating func required<Value>(
    _ key: String, of value: FileValue, _ keys: [String: FileValue],
    read: (inout ConfigurationReader, FileValue) -> Value?
  ) -> Value? {
    if let value = keys[key] { return read(&self, value) }
    problem(place(value), "`\(key)` is missing")
    return nil
  }

  // MARK: Files

  private mutating func directory(_ value: FileValue?) -> DirectoryQueue? {
    guard let value, let keys = mapping(value) else { return nil }
    let suffix = required("file_suffix", of: value, keys)
    let dead = required("dead_directory", of: value, keys)
    let lease: Duration? = required("lease", of: value, keys) { (reader, value) in reader.duration(value) }
    let fields = mapping(keys["fields"]) ?? [:]
    let backoff = items(keys["backoff"]).compactMap { duration($0) }
    let maxAttempts = keys["max_attempts"].flatMap { integer($0, from: 1) }
    var claimedStates: [String: StuckReason] = [:]
    for (state, _, value) in namedEntries(keys["claimed_states"], "<state>") {
      claimedStates[state] = choice(value) as StuckReason?
    }
    let names = DirectoryQueue.Fields(
      id: strings(fields["id"]), created: strings(fields["created"]), attempts: strings(fields["attempts"]),
      lastAttempt: strings(fields["last_attempt"]), claimed: strings(fields["claimed"]),
      recoveryState: strings(fields["recovery_state"]), destination: strings(fields["destination"]))
    let delivered = string(keys["delivered_suffix"])
    let removal = keys["removal"].flatMap { choice($0, among: DirectoryQueue.removals) }
    guard let suffix, let dead, let lease else { return nil }
    return DirectoryQueue(
      fileSuffix: suffix, deadDirectory: dead, fields: names, backoff: backoff, maxAttempts: maxAttempts,
      claimedStates: claimedStates, lease: lease, deliveredSuffix: delivered, removal: removal ?? .unseen)
  }
}

extension TimeEncoding {
  private static let named: [(name: String, encoding: TimeEncoding)] = [
    ("unix_seconds", .unixSeconds), ("unix_fractional_seconds", .unixFractionalSeconds),
    ("unix_milliseconds", .unixMilliseconds), ("timestamptz", .timestamptz), ("naive_utc", .naiveUTC),
    ("iso8601", .iso8601),
  ]

  static let configurationNames = named.map(\.name)

  /// The encoding of that name in the file; `naive:` is followed by a zone.
  init?(configurationName name: String) {
    if let known = Self.named.first(where: { $0.name == name }) {
      self = known.encoding
    } else if name.hasPrefix("naive:"), name != "naive:" {
      self = .naive(zone: String(name.dropFirst("naive:".count)))
    } else {
      return nil
    }
  }

  var configurationName: String {
    if case .naive(let zone) = self { return "naive:\(zone)" }
    return Self.named.first { $0.encoding == self }?.name ?? ""
  }
}
