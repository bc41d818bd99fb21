import Outbox
import SystemCalls

/// One queue directory that is watched and sampled. Its figures and its movements are of one moment: what came minus what
/// left is the change of its depth, exactly.
final class WatchedDirectory {
  /// What happened between an operation and its report is waited for: the kernel makes both in one system call.
  private static let settlingRounds = 40
  private static let settlingRound = Duration.milliseconds(5)
  /// A first reading is done again where reports of it were lost, or its directory was replaced.
  private static let firstReadings = 3

  let watch: DirectoryWatch
  private let ownSession: String
  private var history = UncommittedMovements()
  /// The mark of another watch that this one took over from, and the number of the reading it stands for.
  private var origin: (session: String, number: Int, taken: Int)?

  init(_ watch: DirectoryWatch) {
    self.watch = watch
    ownSession = ThisProcess.randomBytes(8).reduce("") { $0 + String($1 >> 4, radix: 16) + String($1 & 15, radix: 16) }
  }

  /// Samples the directory and counts what moved since the mark.
  ///
  /// - Throws: anything that would make the figures wrong; what moved until then is in the next reading.
  func sample(
    since mark: AccountingMark?, deadline: ContinuousClock.Instant, eventIDs: Bool, in watches: DirectoryWatches
  ) throws(SampleFailure) -> (Snapshot, AccountingReading) {
    // First what was reported, since a watch may end now: its directory may have been replaced.
    watches.drain()
    watches.attach(watch)
    let scan: DirectoryScan
    if watch.hasBegun {
      watches.drain()
      watch.beginReading()
      defer { watch.endReading() }
      scan = try watch.reader.scan(deadline: deadline) { watches.drain() }
      if watches.drain() || watch.loss != nil { compare(with: scan, in: watches) }
    } else {
      defer { watch.endReading() }
      scan = try readFirst(deadline: deadline, in: watches)
      begin(scan, since: mark, deadline: deadline, in: watches)
    }
    settle(in: watches)
    let snapshot = watch.reader.tally(
      live: watch.account.live.map { name, file in file.event ?? watch.unknownEvent(name) },
      dead: watch.account.dead.compactMap { name, file in
        watch.account.live[name] == nil ? file.event ?? watch.unknownEvent(name) : nil
      },
      missing: scan.isMissing && watch.account.live.isEmpty, eventIDs: eventIDs)
    return (snapshot, reading(since: mark))
  }

  // MARK: What is there

  private func readFirst(
    deadline: ContinuousClock.Instant, in watches: DirectoryWatches
  ) throws(SampleFailure) -> DirectoryScan {
    var readings = 0
    while true {
      watch.beginReading()
      let scan = try watch.reader.scan(deadline: deadline) { watches.drain() }
      watch.awaitChanges()
      let isComplete = watches.drain() && watch.loss == nil
      readings += 1
      if isComplete || readings == Self.firstReadings { return scan }
    }
  }

  /// Takes what is there, and counts what moved since the mark. An event that moved while the directory was read would be
  /// counted twice, once by its name and once by its report: it is read again until nothing is reported of it meanwhile.
  private func begin(
    _ scan: DirectoryScan, since mark: AccountingMark?, deadline: ContinuousClock.Instant, in watches: DirectoryWatches
  ) {
    watch.begin(scan)
    let position = mark.flatMap { $0.method == .watch ? DirectoryMark($0.position) : nil }
    var comparison = position.flatMap { MarkComparison($0) }
    var files = watch.account.files
    for (name, file) in files { comparison?.take(name, file) }
    for round in 1...Self.settlingRounds where !watch.uncertain.isEmpty {
      let uncertain = watch.uncertain
      let isLast = round == Self.settlingRounds || ContinuousClock.now >= deadline
      watch.settleUncertain(isLast: isLast) { watches.drain() }
      for name in uncertain.subtracting(watch.uncertain) {
        guard let file = watch.account.file(name) else { continue }
        comparison?.take(name, file)
        files[name] = file
      }
    }
    let marked = watch.marked.union(scan.marks).union(watch.markedMeanwhile)
    guard let position,
      let movements = comparison?.end(marked: marked) ?? (position.isOf(files) ? Movements() : nil)
    else { return }
    watch.account.add(movements)
    watch.note(Self.nobodyWatched)
    origin = (position.session, position.number, history.last)
  }

  /// Corrects the books where they differ from what was read and nothing was reported: reports were lost, or were never
  /// made, as on a file system that others write to.
  private func compare(with scan: DirectoryScan, in watches: DirectoryWatches) {
    var differing = watch.differences(from: scan)
    if let loss = watch.loss {
      // Where they were lost after the last comparison, what comes out now belongs to that gap.
      if !differing.isEmpty { watch.note(loss) }
    } else if watch.watches[.queue] != nil && watch.failure == nil {
      // What was done may be seen before it is reported.
      if !differing.isEmpty {
        watch.awaitChanges()
        watches.drain()
        differing.subtract(watch.touched)
      }
      for _ in 0..<Self.settlingRounds where !differing.isEmpty {
        watches.wait(Self.settlingRound)
        watches.drain()
        differing.subtract(watch.touched)
      }
      if !differing.isEmpty { watch.note("files came or went and nothing was reported") }
    }
    for name in differing { watch.correct(name, from: scan) }
    watch.take(scan)
  }

  /// Waits for the reports that must come, so that nothing is half known. What begins to move meanwhile is still there.
  private func settle(in watches: DirectoryWatches) {
    for _ in 0..<Self.settlingRounds where watch.isUnsettled {
      watch.awaitMoves(all: true)
      watches.wait(Self.settlingRound)
      watches.drain()
      watch.readFiles()
    }
  }

  // MARK: What moved

  private static let nobodyWatched = "nobody watched since the last reading"

  private func reading(since mark: AccountingMark?) -> AccountingReading {
    history.append(watch.account.takeMovements(), gaps: watch.takeGaps())
    let movements: Movements?
    var restart: String?
    if let mark, mark.method == .watch, let position = DirectoryMark(mark.position) {
      if position.session.hasSuffix(Self.unreported) == (watch.failure == nil) {
        // The one sees what comes and goes between two samples, the other does not: they are no one series.
        history.begin()
        movements = nil
        restart =
          "\(watch.path): " + (watch.failure.map { "\($0): names are compared" } ?? "what happens is reported again")
          + ": counting begins anew"
      } else if let interval = number(of: position).flatMap({ history.since($0) }) {
        movements = interval.movements
        restart = gapText(interval.gaps)
      } else if let found = watch.account.movements(since: position, marked: watch.marked) {
        history.replace(found, gaps: [Self.nobodyWatched])
        origin = (position.session, position.number, history.last - 1)
        movements = found
        restart = gapText([Self.nobodyWatched])
      } else {
        history.begin()
        movements = nil
        restart =
          "\(watch.path): nobody watched since the last reading, and there were more than \(DirectoryMark.mostFiles) "
          + "files, too many to keep their names: counting begins anew"
      }
    } else {
      history.begin()
      movements = nil
      if mark != nil { restart = "\(watch.path): what was counted before cannot be read: counting begins anew" }
    }
    let next = DirectoryMark(session: session, number: history.last, files: watch.account.files)
    return AccountingReading(
      mark: AccountingMark(.watch, next.text), movements: movements, restart: restart, notice: notice)
  }

  /// What the name of a session ends with while the kernel reports nothing.
  private static let unreported = "~"

  private var session: String { ownSession + (watch.failure == nil ? "" : Self.unreported) }

  private func number(of mark: DirectoryMark) -> Int? {
    if mark.session == session { return mark.number }
    guard let origin, (mark.session, mark.number) == (origin.session, origin.number) else { return nil }
    return origin.taken
  }

  private func gapText(_ gaps: [String]) -> String? {
    gaps.isEmpty
      ? nil
      : "\(watch.path): \(gaps.joined(separator: "; ")): names were compared, and what came and went meanwhile is in no "
        + "count"
  }

  private var notice: String? {
    watch.failure.map {
      "\(watch.path): \($0); names are compared at each sample, and what comes and goes in between may be in no count"
    }
  }
}
