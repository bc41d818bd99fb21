import Layouts
import Outbox
import SystemCalls

extension DirectoryWatch {
  /// The names about which the books and what was read do not agree although nothing was reported of them since.
  func differences(from scan: DirectoryScan) -> Set<FileName> {
    var names: Set<FileName> = []
    for name in scan.live.keys where account.live[name] == nil { names.insert(name) }
    for name in account.live.keys where scan.live[name] == nil { names.insert(name) }
    for name in scan.dead.keys where account.dead[name] == nil { names.insert(name) }
    for name in account.dead.keys where scan.dead[name] == nil && scan.live[name] == nil { names.insert(name) }
    return names.subtracting(touched)
  }

  /// Puts into the books what happened to a name, as far as it shows.
  func correct(_ name: FileName, from scan: DirectoryScan) {
    if let event = scan.live[name], account.live[name] == nil {
      guard exists(livePath(name)) else { return }
      account.arrive(name, now: now())
      account.learn(name, event)
    } else if account.live[name] != nil {
      // A directory that changes while it is listed may keep a name back.
      if exists(livePath(name)) { return }
      if let letter = scan.dead[name] ?? reader.glance(at: deadPath(name), as: name) {
        account.learn(name, letter)
        account.die(name, as: name, now: now())
      } else if scan.marks.contains(name) {
        account.leave(name, .delivered, isTimed: false, now: now())
      } else {
        account.leave(name, .unseen, isTimed: false, now: now())
      }
    } else if let letter = scan.dead[name] {
      account.arriveDead(name, letter, now: now())
    } else if !exists(deadPath(name)) {
      account.removeDead(name)
    }
  }

  /// An event that left before anybody could read it, and whose leaving is not reported yet.
  func unknownEvent(_ name: FileName) -> DirectoryEvent {
    DirectoryEvent(
      name: String(name.text.dropLast(queue.fileSuffix.count)), modified: now(),
      content: .fields(DirectoryEventFields(created: now(), attempts: 0)))
  }
}
