import Layouts
import Outbox

/// The books of one queue directory: which events are in it, and what moved among them. It does no input or output: it is
/// told what happened, in order, and what the files say.
///
/// An event that came is counted when it leaves or at the next reading, whichever is first, since by then its file has
/// been read. What came equals what left plus what is there, always.
struct DirectoryAccount {
  /// Destinations beyond so many in one interval are counted together.
  static let mostDestinations = 1_000
  static let otherDestinations = "_other"

  private let objective: Duration?
  private let bounds: DeliveryBounds
  private(set) var live: [FileName: WaitingFile] = [:]
  private(set) var dead: [FileName: DeadFile] = [:]
  private var unsettled: Set<FileName> = []
  /// Events whose file has to be read.
  private(set) var unread: Set<FileName> = []
  var movements = Movements()

  init(objective: Duration?) {
    self.objective = objective
    bounds = DeliveryBounds(objective: objective)
  }

  /// Takes what is in the directory as given, without a movement.
  mutating func begin(live events: [FileName: DirectoryEvent], dead letters: [FileName: DirectoryEvent]) {
    live = events.mapValues(WaitingFile.init(known:))
    dead = letters.mapValues { DeadFile(event: $0) }
    (unsettled, unread) = ([], [])
  }

  /// Takes what is there under one name as given, without a movement.
  mutating func begin(_ name: FileName, live event: DirectoryEvent?, dead letter: DirectoryEvent?) {
    live[name] = event.map(WaitingFile.init(known:))
    dead[name] = letter.map { DeadFile(event: $0, isCopy: event != nil) }
    unsettled.remove(name)
    unread.remove(name)
  }

  /// What moved since it was taken last.
  mutating func takeMovements() -> Movements {
    for name in unsettled { settle(name) }
    unsettled = []
    defer { movements = Movements() }
    return movements
  }

  // MARK: Coming

  /// A file of that name is there: a new event, a dead one that came back, or an event whose file was replaced.
  mutating func arrive(_ name: FileName, isOpen: Bool = false, returns: Bool = false, now: Timestamp) {
    if live[name] != nil { return write(name) }
    // Where it was written anew or copied back, the dead file is there until its removal is reported.
    let letter = dead[name]
    dead[name]?.isCopy = false
    enter(name, letter?.event, isOpen: isOpen, returns: returns || letter != nil, now: now)
  }

  /// A dead event was moved back, perhaps under another name.
  mutating func requeue(_ letter: DeadFile, as name: FileName, now: Timestamp) {
    leave(name, .unseen, now: now)
    dead[name] = nil
    enter(name, letter.event, isOpen: false, returns: true, now: now)
  }

  private mutating func enter(
    _ name: FileName, _ letter: DirectoryEvent?, isOpen: Bool, returns: Bool, now: Timestamp
  ) {
    var file = WaitingFile(came: now, returns ? .requeued : .enqueued)
    file.isOpen = isOpen
    if let letter {
      file.event = letter
      file.attempts = letter.attempts ?? 0
      file.countsAttempts = true
    }
    live[name] = file
    unsettled.insert(name)
    unread.insert(name)
  }

  /// The file was written again, or replaced by another one.
  mutating func write(_ name: FileName, wasClosed: Bool = false) {
    guard live[name] != nil else { return }
    if wasClosed && live[name]!.isOpen {
      live[name]!.isOpen = false
    } else {
      live[name]!.writes += 1
    }
    unread.insert(name)
  }

  /// What a file says.
  mutating func learn(_ name: FileName, _ event: DirectoryEvent) {
    unread.remove(name)
    guard var file = live[name], file.event != event else { return }
    file.event = event
    if let attempts = event.attempts {
      if file.countsAttempts && attempts > file.attempts {
        count(event.destination) { $0.dispositions[.retried, default: 0] += attempts - file.attempts }
      }
      file.attempts = attempts
    }
    live[name] = file
  }

  // MARK: Going

  /// An event left. Nothing where it is not there.
  ///
  /// - Parameter isTimed: false where it is not known when it left.
  mutating func leave(_ name: FileName, _ disposition: Disposition, isTimed: Bool = true, now: Timestamp) {
    guard live[name] != nil else { return }
    settle(name)
    unsettled.remove(name)
    unread.remove(name)
    // Forced: it was there above, and settling keeps it.
    let file = live.removeValue(forKey: name)!
    count(file.destination) { [objective, bounds] counts in
      counts.dispositions[disposition, default: 0] += 1
      guard isTimed, let created = file.event?.created, created.isPlausible(now: now) else { return }
      let age = now.since(created)
      if disposition == .delivered { counts.durations.record(age.seconds, bounds) }
      if disposition == .discarded, let objective, age > objective { counts.discardedLate += 1 }
    }
  }

  /// An event left and is dead, perhaps under another name.
  mutating func die(_ name: FileName, as deadName: FileName, now: Timestamp) {
    let event = live[name]?.event
    leave(name, .dead, now: now)
    dead[deadName] = DeadFile(event: event)
  }

  /// A file came to the dead from elsewhere: of an event that waits still, a copy; else of one that nobody saw waiting.
  mutating func arriveDead(_ name: FileName, _ event: DirectoryEvent?, now: Timestamp) {
    guard live[name] == nil, dead[name] == nil else {
      dead[name] = DeadFile(event: event ?? dead[name]?.event, isCopy: live[name] != nil)
      return
    }
    arrive(name, now: now)
    if let event { learn(name, event) }
    die(name, as: name, now: now)
  }

  /// A dead event goes, which is no movement.
  @discardableResult mutating func removeDead(_ name: FileName) -> DeadFile? { dead.removeValue(forKey: name) }

  /// A dead event's file got another name.
  mutating func renameDead(_ name: FileName, to newName: FileName) {
    dead[newName] = dead.removeValue(forKey: name) ?? DeadFile()
  }

  /// What a dead event's file says.
  mutating func learnDead(_ name: FileName, _ event: DirectoryEvent) {
    dead[name]?.event = event
  }

  /// An event's file got another name. The event that had it before is gone, nobody knows how.
  mutating func rename(_ name: FileName, to newName: FileName, now: Timestamp) {
    guard name != newName, let file = live.removeValue(forKey: name) else { return }
    leave(newName, .unseen, now: now)
    live[newName] = file
    if unsettled.remove(name) != nil { unsettled.insert(newName) }
    if unread.remove(name) != nil { unread.insert(newName) }
  }

  // MARK: Counting

  private mutating func settle(_ name: FileName) {
    guard var file = live[name], let entrance = file.entrance else { return }
    count(file.destination) { [objective] counts in
      switch entrance {
      case .enqueued: counts.enqueued += 1
      case .requeued:
        counts.requeued += 1
        if let objective, let created = file.event?.created, created.isPlausible(now: file.came),
          file.came.since(created) > objective
        {
          counts.requeuedLate += 1
        }
      }
      let failed = min(file.attempts, file.writes)
      if !file.countsAttempts && failed > 0 { counts.dispositions[.retried, default: 0] += failed }
    }
    file.entrance = nil
    file.countsAttempts = true
    live[name] = file
  }

  private mutating func count(_ destination: String, _ change: (inout Movements.Counts) -> Void) {
    let isKnown = movements.destinations[destination] != nil
    let name =
      isKnown || movements.destinations.count < Self.mostDestinations ? destination : Self.otherDestinations
    change(&movements.destinations[name, default: Movements.Counts()])
  }
}

/// The file of a dead event.
struct DeadFile {
  /// What it says; nil where that is not known.
  var event: DirectoryEvent?
  /// True where it came while its event was waiting: that dies once its own file goes.
  var isCopy = false
}

/// The file of an event that waits.
struct WaitingFile {
  enum Entrance { case enqueued, requeued }

  /// What it says; nil until it could be read.
  var event: DirectoryEvent?
  /// When the event came.
  var came: Timestamp
  /// How it came, where that is not counted yet.
  var entrance: Entrance?
  /// The failed attempts that are known.
  var attempts = 0
  /// True where attempts beyond the known ones failed here. Of an event that is new, no more can have failed than its file
  /// was written again: one that was copied to here may have brought some along.
  var countsAttempts = false
  /// How often the file was written again.
  var writes = 0
  /// True until a file that was just made is closed: what is written until then belongs to its making.
  var isOpen = false

  init(came: Timestamp, _ entrance: Entrance) {
    self.came = came
    self.entrance = entrance
  }

  /// A file that has been there.
  init(known event: DirectoryEvent) {
    self.event = event
    came = event.modified
    attempts = event.attempts ?? 0
    countsAttempts = true
  }

  /// Where the event goes, as far as it is known.
  var destination: String { event?.destination ?? Snapshot.defaultDestination }
}

extension DirectoryEvent {
  /// Failed attempts; nil where the file does not say.
  var attempts: Int? {
    if case .fields(let fields) = content { fields.attempts } else { nil }
  }

  /// When it was written into the queue; nil where the file does not say.
  var created: Timestamp? {
    if case .fields(let fields) = content { fields.created } else { nil }
  }
}
