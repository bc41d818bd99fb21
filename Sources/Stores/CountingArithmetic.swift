import Outbox

extension CountingMark {
  /// A mark to begin with.
  init(identity: String, beginningWith look: CountingLook, allowance: Int64 = standardAllowance) {
    self.init(identity: identity, time: look.time, since: look.time, starts: look.starts)
    self.allowance = allowance
    rows = look.rows
    position = look.position
    inserted = look.inserted
    newest = look.newest
    reset = look.reset
    late = LateInsertions(beginningAt: look.time, look.writers)
    // Whatever was open may have begun at any time; so much of the past is remembered.
    let earliest = time - Self.beginning + allowance
    open = look.open.mapValues { $0 ?? earliest }
    since = look.replicaDelay.map { time - $0 } ?? since
    thin()
  }

  /// Why a look cannot be counted on from this mark; nil where it can.
  func obstacle(to look: CountingLook, identity: String) -> String? {
    if identity != self.identity {
      return "it was counted in another database, table or file, or for another objective"
    }
    if look.time < time - 5_000_000 { return "the store's clock was set back" }
    if look.position < position { return "the database is older than it was: a backup was restored" }
    let fell = look.inserted.contains { name, count in count < inserted[name, default: 0] }
    return look.reset != reset || fell ? "the database's statistics were reset" : nil
  }

  /// What moved since the mark by what a look saw, and the mark of the look.
  ///
  /// - Parameters:
  ///   - knowsDelivered: true where the look counted the delivered rows.
  ///   - knowsCreated: true where it says when rows were written.
  ///   - isDeadLetters: true for a queue in which nothing waits: what leaves it unseen was dead.
  ///   - hasObjective: true where a requeued event was counted late when it first died.
  func advanced(
    to look: CountingLook, knowsDelivered: Bool, knowsCreated: Bool, isDeadLetters: Bool = false,
    hasObjective: Bool = false
  ) -> (movements: Movements, mark: CountingMark) {
    var changes: [String: Change] = [:]
    for name in Set(rows.keys).union(look.rows.keys) {
      let before = rows[name] ?? CountedRows()
      // Since the mark's own moment its last cell has grown into two.
      let now = (look.rows[name] ?? CountedRows()).inCells(starts)
      var change = Change(from: before, to: now, since: look.since, last: starts.last ?? time)
      if !knowsCreated && knowsDelivered {
        change.enqueued = max(0, now.depth - before.depth + change.delivered.count + change.dead)
      }
      changes[name] = change
    }
    Self.returnDeaths(&changes)
    var movements = Movements()
    var returned = 0
    if look.inserted.contains(where: { inserted[$0.key] == nil && insertedBefore($0.key, now: $0.value) > 0 }) {
      // The rows of a table that is a part of the queue from now on were not inserted into it.
      returned = changes.values.reduce(0) { $0 + $1.early + max(0, $1.excess) }
    } else if !knowsDelivered, !isDeadLetters {
      // Of what seems to have come before the last look, so many as have left the dead of the table itself came back from
      // there and were not inserted. The rest was: its commit was late, its time is from long ago, or its place in a cell was
      // another's.
      returned = min(
        changes.values.reduce(0) { $0 + $1.early + max(0, $1.excess) },
        max(0, changes.values.reduce(0) { $0 + $1.left }))
    }
    for (name, change) in changes {
      let counts = change.counts(knowsDelivered: knowsDelivered, isDeadLetters: isDeadLetters, hasObjective)
      if counts != Movements.Counts() { movements.destinations[name] = counts }
    }
    var next = self
    next.countInsertions(look, &movements, returned: returned, isDeadLetters: isDeadLetters)
    next.move(to: look, changed: !movements.destinations.isEmpty)
    return (movements, next)
  }

  /// Some systems take the destination away from a dead row, which then counts under the default one: it died where an
  /// event is missing.
  private static func returnDeaths(_ changes: inout [String: Change]) {
    let name = Snapshot.defaultDestination
    while let change = changes[name], change.excess > 0, change.dead > 0,
      let poorest = changes.min(by: { ($0.value.excess, $0.key) < ($1.value.excess, $1.key) }),
      poorest.value.excess < 0
    {
      let moved = min(change.excess, change.dead, -poorest.value.excess)
      changes[name]?.dead -= moved
      changes[poorest.key]?.dead += moved
    }
  }

  private mutating func move(to look: CountingLook, changed: Bool) {
    let ended = open.filter { look.open[$0.key] == nil }.values.min()
    // One that was not there before began after the last look, unless it is a prepared one under a new name.
    let newcomers = min(time, ended ?? time)
    open = look.open.reduce(into: [:]) { open, entry in
      open[entry.key] = self.open[entry.key] ?? entry.value ?? newcomers
    }
    for (name, seen) in look.rows {
      var seen = seen
      // What was not looked at is as it was.
      let before = rows[name] ?? CountedRows()
      for (start, written) in before.created {
        seen.created[start] = start < look.since ? written : seen.created[start, default: .init()].remembering(written)
      }
      for (start, finished) in before.delivered where start < look.since { seen.delivered[start] = finished }
      seen.forgetRows()
      rows[name] = seen
    }
    for name in rows.keys where look.rows[name] == nil {
      let before = rows[name] ?? CountedRows()
      var rest = CountedRows()
      rest.created = before.created.reduce(into: [:]) { kept, cell in
        kept[cell.key] = cell.key < look.since ? cell.value : CountedRows.Written().remembering(cell.value)
      }
      rest.delivered = before.delivered.filter { $0.key < look.since }
      rows[name] = rest
    }
    if let delay = look.replicaDelay {
      since = look.time - delay
    } else if look.isOneWriterAtATime {
      // A commit that comes next began its writing after the last one that was seen.
      since = changed ? time : since
    } else {
      since = look.time
    }
    time = look.starts.last ?? look.time
    starts = look.starts
    position = look.position
    inserted = look.inserted
    newest = look.newest
    reset = look.reset
    thin()
  }

  /// What a table had counted when it was looked at last. One that was made since began with nothing; any other has counted
  /// what came while it was no part of the queue.
  private func insertedBefore(_ name: String, now: Int64) -> Int64 {
    inserted[name] ?? (newest > 0 && Int64(name).map { $0 > newest } ?? false ? 0 : now)
  }

  /// The database's own count of insertions: what is in it and was not seen came and left between two samples.
  ///
  /// - Parameter returned: how many of those that count as enqueued were not inserted.
  private mutating func countInsertions(
    _ look: CountingLook, _ movements: inout Movements, returned: Int, isDeadLetters: Bool
  ) {
    guard !look.inserted.isEmpty else { return }
    let counted = look.inserted.reduce(0) { $0 + Int($1.value - insertedBefore($1.key, now: $1.value)) }
    let seen = movements.destinations.values.reduce(0) { $0 + $1.enqueued } - returned
    let unseen = late.count(
      counted: counted, seen: seen, at: look.time, after: time, look.writers, isNeverLate: look.isOneWriterAtATime)
    guard unseen > 0 else { return }
    let names = Set(rows.keys).union(look.rows.keys)
    let name = names.count == 1 ? names.first ?? Snapshot.defaultDestination : Snapshot.defaultDestination
    let disposition = isDeadLetters ? Disposition.dead : .unseen
    movements.destinations[name, default: .init()].add(.init(enqueued: unseen, dispositions: [disposition: unseen]))
  }
}

/// What has changed in one destination between two looks.
private struct Change {
  var depth: Int
  var enqueued: Int
  /// Those of them that were written before the last look.
  var early: Int
  var delivered = CountedRows.Finished()
  var dead: Int
  /// Dead events of the main table that are dead no more: they came back, or were removed.
  var left: Int
  /// The dead events of other tables that died there, and that are there no more.
  var elsewhere: (died: Int, left: Int)
  /// Attempts that ended with a retry, where it can be told.
  var retried: Int

  /// - Parameter last: when the last look was.
  init(from before: CountedRows, to now: CountedRows, since: Int64, last: Int64) {
    depth = now.depth - before.depth
    func written(_ isCounted: (Int64) -> Bool) -> Int {
      now.created.reduce(0) { sum, cell in
        isCounted(cell.key) ? sum + cell.value.since(before.created[cell.key, default: .init()]) : sum
      }
    }
    early = written { $0 >= since && $0 < last }
    enqueued = early + written { $0 >= since && $0 >= last }
    for (start, finished) in now.delivered where start >= since {
      delivered.add(finished.since(before.delivered[start] ?? .init()))
    }
    let (died, left) = now.dead.since(before.dead)
    let (diedElsewhere, leftElsewhere) = now.deadElsewhere.since(before.deadElsewhere)
    dead = died.count + diedElsewhere.count
    self.left = left
    elsewhere = (diedElsewhere.count, leftElsewhere)
    retried = now.retries - before.retries + delivered.retries + died.retries + diedElsewhere.retries
  }

  /// Events that are there without having come, or, below zero, that are gone without having left.
  var excess: Int { depth - enqueued + delivered.count + dead }

  func counts(knowsDelivered: Bool, isDeadLetters: Bool, _ hasObjective: Bool) -> Movements.Counts {
    var counts = Movements.Counts(enqueued: enqueued)
    counts.dispositions = [
      .delivered: delivered.count, .dead: dead, .retried: knowsDelivered ? max(0, retried) : 0,
      .unseen: max(0, -excess),
    ].filter { $0.value != 0 }
    if knowsDelivered {
      // Nobody says when a dead letter in a table of its own was written. It came since the last look where an event is too
      // many and none that was dead can have come back.
      let came = min(max(0, excess - left - elsewhere.left), elsewhere.died)
      counts.enqueued += came
      counts.requeued = max(0, excess - came)
      counts.requeuedLate = hasObjective ? counts.requeued : 0
    } else {
      counts.enqueued += max(0, excess)
    }
    counts.durations = DurationTally(counts: delivered.buckets, sum: Double(delivered.sum) / 1e6)
    return counts
  }
}
