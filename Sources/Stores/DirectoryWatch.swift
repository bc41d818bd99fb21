import Layouts
import Outbox
import SystemCalls

/// One queue directory that is watched: what the kernel reports of it goes into its books, and each file is read as soon as
/// it is there, before it may be gone.
final class DirectoryWatch {
  /// What is watched of a queue.
  enum Place: Hashable {
    /// The directory of the events.
    case queue
    /// Its subdirectory of the dead.
    case dead
    /// The directory above, while the queue is not there.
    case parent
  }

  /// The first half of a move: the other half says where to.
  private struct Move {
    let place: Place
    let name: FileName
    let isMark: Bool
    let since: ContinuousClock.Instant
    /// True once the other half would have been reported.
    var isOver = false
  }

  /// Between two samples a move is left half known for so long.
  private static let moveLimit = Duration.seconds(1)

  let path: String
  let queue: DirectoryQueue
  let reader: DirectoryReader
  let now: @Sendable () -> Timestamp
  var account: DirectoryAccount
  /// The watches that are in place.
  var watches: [Place: Inotify.Watch] = [:]
  /// Why one of them is not, for the log.
  var failure: String?
  /// True once the books hold what is in the directory.
  private(set) var hasBegun = false
  /// Why reports were lost since the directory was read last; nil where none were.
  private(set) var loss: String?
  /// What is in no count of this interval, for the log.
  private(set) var gaps: [String] = []
  /// Events that something was reported of while the directory was read.
  private(set) var touched: Set<FileName> = []
  private var isBeingRead = false
  /// Events of which it is not known what of their reports is in the books already: something was reported of them while
  /// the directory was read for the first time. Reports about them are left out until they were read once more.
  private(set) var uncertain: Set<FileName> = []
  /// Events with a mark that they were delivered.
  private(set) var marked: Set<FileName> = []
  /// Events that were marked so while the directory was read, whatever became of the mark.
  private(set) var markedMeanwhile: Set<FileName> = []
  private var moves: [UInt32: Move] = [:]

  init(
    path: String, queue: DirectoryQueue, reader: DirectoryReader, objective: Duration?,
    now: @escaping @Sendable () -> Timestamp
  ) {
    self.path = path
    self.queue = queue
    self.reader = reader
    self.now = now
    account = DirectoryAccount(objective: objective)
  }

  func livePath(_ name: FileName) -> String { "\(path)/\(name.text)" }
  func deadPath(_ name: FileName) -> String { "\(path)/\(queue.deadDirectory)/\(name.text)" }

  /// True while something is not known that the next report will tell.
  var isUnsettled: Bool { !moves.isEmpty || !account.unread.isEmpty }

  // MARK: Readings

  /// Takes what was read as what is there, except for the events that something was reported of meanwhile.
  func begin(_ scan: DirectoryScan) {
    uncertain = touched
    account.begin(
      live: scan.live.filter { !uncertain.contains($0.key) }, dead: scan.dead.filter { !uncertain.contains($0.key) })
    marked = scan.marks
    moves = [:]
    hasBegun = true
  }

  /// Reads the uncertain events once more and takes what is there of those that nothing was reported of in the meantime.
  ///
  /// - Parameters:
  ///   - isLast: takes them in any case.
  ///   - drain: takes what the kernel has to report.
  func settleUncertain(isLast: Bool, drain: () -> Void) {
    touched = []
    let found = uncertain.enumerated().map { count, name in
      if count % 64 == 63 { drain() }
      return (
        name, reader.glance(at: livePath(name), as: name), reader.glance(at: deadPath(name), as: name),
        queue.mark(of: name).map { exists(livePath($0)) } ?? false
      )
    }
    awaitChanges()
    drain()
    for (name, event, letter, isMarked) in found where isLast || !touched.contains(name) {
      uncertain.remove(name)
      account.begin(name, live: event, dead: letter)
      if isMarked { marked.insert(name) } else { marked.remove(name) }
    }
  }

  /// From now on what is reported is newer than what is read.
  func beginReading() {
    (touched, markedMeanwhile, isBeingRead) = ([], [], true)
    if !hasBegun { loss = nil }
  }

  /// The directory is not read any more.
  func endReading() { (touched, markedMeanwhile, isBeingRead) = ([], [], false) }

  /// Takes what was read of the names that nothing was reported of: a retry on a file system that others write to, say.
  func take(_ scan: DirectoryScan) {
    for name in marked.union(scan.marks) where !touched.contains(name) {
      if scan.marks.contains(name) { marked.insert(name) } else { marked.remove(name) }
    }
    for (name, event) in scan.live where !touched.contains(name) { account.learn(name, event) }
    for (name, event) in scan.dead where !touched.contains(name) || account.dead[name]?.event == nil {
      account.learnDead(name, event)
    }
    loss = nil
  }

  /// - Returns: false for an event of which nothing is to be taken yet.
  private func touch(_ name: FileName) -> Bool {
    if isBeingRead { touched.insert(name) }
    return hasBegun && !uncertain.contains(name)
  }

  /// Reports were lost: what the books say has to be compared with what is there.
  ///
  /// - Parameter gap: what is not counted for it, for the log. Before the first reading nothing was.
  func lose(_ gap: String) {
    loss = gap
    if hasBegun { note(gap) }
  }

  /// Something is in no count of this interval.
  func note(_ gap: String) {
    if !gaps.contains(gap) { gaps.append(gap) }
  }

  /// What is in no count since this was asked last.
  func takeGaps() -> [String] {
    defer { gaps = [] }
    return gaps
  }

  // MARK: Reports

  /// Puts a report about a name into the books.
  func apply(_ change: Inotify.Change, at place: Place) {
    guard hasBegun || isBeingRead, let text = change.name, !change.isDirectory else { return }
    switch (place, queue.meaning(of: text)) {
    case (.queue, .event): applyLive(change, FileName(text))
    case (.queue, .delivered(let event)): applyMark(change, of: event, at: livePath(FileName(text)))
    case (.dead, .event): applyDead(change, FileName(text))
    case (.queue, .nothing), (.dead, _):
      // An event that got a name that means nothing is gone.
      if change.kind == .movedHere, let move = moves.removeValue(forKey: change.cookie), !move.isMark {
        if move.place == .queue { account.leave(move.name, .unseen, now: now()) } else { account.removeDead(move.name) }
      }
    case (.parent, _): break
    }
  }

  private func applyLive(_ change: Inotify.Change, _ name: FileName) {
    guard touch(name) else { return }
    switch change.kind {
    case .made, .movedHere:
      let move = moves.removeValue(forKey: change.cookie)
      finishMoves { $0.place == .queue && $0.name == name }
      guard let move else { return account.arrive(name, isOpen: change.kind == .made, now: now()) }
      _ = touch(move.name)
      if move.isMark {
        account.arrive(name, returns: true, now: now())
      } else if move.place == .queue {
        account.rename(move.name, to: name, now: now())
      } else {
        account.requeue(account.removeDead(move.name) ?? DeadFile(), as: name, now: now())
      }
    case .movedAway: if isThere(name) { begin(change.cookie, .queue, name) }
    case .removed: if isThere(name) { leave(name, orElse: queue.removal) }
    case .written: account.write(name, wasClosed: true)
    default: break
    }
  }

  private func applyMark(_ change: Inotify.Change, of event: FileName, at markPath: String) {
    let isMade = change.kind == .made || change.kind == .movedHere
    if isMade, isBeingRead { markedMeanwhile.insert(event) }
    guard touch(event) else { return }
    switch change.kind {
    case .made, .movedHere:
      marked.insert(event)
      guard let move = moves.removeValue(forKey: change.cookie), !move.isMark else { return }
      _ = touch(move.name)
      guard move.place == .queue else { return _ = account.removeDead(move.name) }
      read(move.name, at: markPath)
      account.leave(move.name, .delivered, now: now())
    case .movedAway:
      marked.remove(event)
      begin(change.cookie, .queue, event, isMark: true)
    case .removed: marked.remove(event)
    default: break
    }
  }

  private func applyDead(_ change: Inotify.Change, _ name: FileName) {
    guard touch(name) else { return }
    switch change.kind {
    case .made, .movedHere:
      guard let move = moves.removeValue(forKey: change.cookie), !move.isMark else {
        return account.arriveDead(name, reader.glance(at: deadPath(name), as: name), now: now())
      }
      _ = touch(move.name)
      if move.place == .queue {
        read(move.name, at: deadPath(name))
        account.die(move.name, as: name, now: now())
      } else {
        account.renameDead(move.name, to: name)
      }
    case .movedAway: begin(change.cookie, .dead, name)
    case .removed: account.removeDead(name)
    default: break
    }
  }

  /// True for an event that is in the books. While reports are lost, one that is not came in the meantime.
  private func isThere(_ name: FileName) -> Bool {
    if account.live[name] == nil && loss != nil { account.arrive(name, now: now()) }
    return account.live[name] != nil
  }

  // MARK: Leaving

  private func begin(_ cookie: UInt32, _ place: Place, _ name: FileName, isMark: Bool = false) {
    moves[cookie] = Move(place: place, name: name, isMark: isMark, since: .now)
  }

  /// Waits for whoever is in the middle of a move. On a busy machine it may be kept for long from going on between the two
  /// reports, the first of which wakes this process.
  ///
  /// - Parameter all: also for those that have just begun.
  /// - Returns: true where there was one. What is reported of it now is all that will be.
  @discardableResult func awaitMoves(all: Bool = false) -> Bool {
    let limit = ContinuousClock.now - Self.moveLimit
    let begun = moves.filter { !$0.value.isOver && (all || $0.value.since < limit) }.keys
    guard !begun.isEmpty else { return false }
    awaitChanges()
    for cookie in begun { moves[cookie]?.isOver = true }
    return true
  }

  /// Waits until what was done to the names so far is reported.
  func awaitChanges() {
    FileSystem.awaitChanges(in: path)
    FileSystem.awaitChanges(in: "\(path)/\(queue.deadDirectory)")
  }

  /// Ends the moves whose other half did not come: to somewhere that nobody watches.
  func finishMoves() {
    finishMoves { $0.isOver }
  }

  private func finishMoves(where isOver: (Move) -> Bool) {
    for (cookie, move) in moves where isOver(move) {
      moves[cookie] = nil
      if move.isMark { continue }
      if move.place == .queue { leave(move.name, orElse: .unseen) } else { account.removeDead(move.name) }
    }
  }

  /// An event is not there any more; it is said how where it left something behind.
  func leave(_ name: FileName, isTimed: Bool = true, orElse disposition: Disposition) {
    let isDead = account.dead[name]?.isCopy ?? (watches[.dead] == nil && exists(deadPath(name)))
    if isDead {
      read(name, at: deadPath(name))
      account.die(name, as: name, now: now())
    } else {
      account.leave(name, marked.contains(name) ? .delivered : disposition, isTimed: isTimed, now: now())
    }
  }

  func exists(_ path: String) -> Bool { (try? FileSystem.status(path, followingLinks: false)) != nil }

  // MARK: Reading

  /// Reads the files that came or were written since they were read.
  func readFiles() {
    for name in account.unread {
      if let event = reader.glance(at: livePath(name), as: name) { account.learn(name, event) }
    }
  }

  private func read(_ name: FileName, at path: String) {
    guard account.unread.contains(name), let event = reader.glance(at: path, as: name) else { return }
    account.learn(name, event)
  }

  /// Puts the files of a directory that was just made into the books.
  func readNames() {
    for entry in (try? FileSystem.list(path)) ?? [] where queue.meaning(of: entry.name) == .event {
      let name = FileName(entry.name)
      if entry.kind != .directory && account.live[name] == nil { account.arrive(name, now: now()) }
    }
    readFiles()
  }
}
