import Layouts
import Outbox
import SystemCalls

/// The queue directories of a store, and the kernel's reports about all of them.
final class DirectoryWatches {
  /// Reports are read in pieces; so many of them at once, then whoever waits has a turn.
  private static let mostPieces = 64

  private let inotify: Inotify?
  /// Why nothing is reported, for the log.
  private let failure: String?
  private var directories: [String: DirectoryWatch] = [:]
  private var owners: [Inotify.Watch: [(directory: DirectoryWatch, place: DirectoryWatch.Place)]] = [:]

  /// Watches for directories; without the kernel's reports where those cannot be had.
  ///
  /// - Parameter earlier: whose directories these are from now on.
  init(_ inotify: Result<Inotify, SystemError>, keeping earlier: DirectoryWatches? = nil) {
    directories = earlier?.directories ?? [:]
    for directory in directories.values { directory.watches = [:] }
    switch inotify {
    case .success(let inotify):
      self.inotify = inotify
      failure = nil
    case .failure(let error):
      self.inotify = nil
      failure = error.inotifyLimit ?? "\(error)"
    }
  }

  /// The watch of a directory; made where there is none.
  func directory(_ path: String, make: () -> DirectoryWatch) -> DirectoryWatch {
    if let known = directories[path] { return known }
    let made = make()
    directories[path] = made
    return made
  }

  /// Forgets the directories that are not among these.
  func keep(_ paths: [String]) {
    for (path, directory) in directories where !paths.contains(path) {
      for place in directory.watches.keys { release(directory, place) }
      directories[path] = nil
    }
  }

  // MARK: Watching

  /// Sees to it that a directory is watched, or the one above it where it is not there.
  func attach(_ directory: DirectoryWatch) {
    directory.failure = failure
    guard let inotify, failure == nil else { return }
    let all: Inotify.Interest = [.arrivals, .departures, .writes]
    do {
      let before = directory.watches[.queue]
      if try watch(directory, .queue, directory.path, all, inotify) {
        release(directory, .parent)
        _ = try watch(directory, .dead, "\(directory.path)/\(directory.queue.deadDirectory)", all, inotify)
        if before != directory.watches[.queue] {
          directory.lose("the directory was made or replaced, or could not be watched before")
          if directory.hasBegun { directory.readNames() }
        }
        if FileSystem.isShared(directory.path) {
          directory.failure = "the file system is shared, and what others do to it is not reported to this host"
        }
      } else {
        release(directory, .dead)
        _ = try watch(directory, .parent, parent(of: directory.path), .arrivals, inotify)
      }
    } catch {
      directory.failure = error.inotifyLimit ?? "\(error)"
    }
  }

  /// Watches one place; false where it is not there.
  private func watch(
    _ directory: DirectoryWatch, _ place: DirectoryWatch.Place, _ path: String, _ interest: Inotify.Interest,
    _ inotify: Inotify
  ) throws(SystemError) -> Bool {
    let old = directory.watches[place]
    do {
      let watch = try inotify.watch(path, for: interest)
      if watch == old { return true }
      release(directory, place)
      directory.watches[place] = watch
      owners[watch, default: []].append((directory, place))
      return true
    } catch {
      release(directory, place)
      if error.kind == .notFound || error.kind == .notADirectory { return false }
      throw error
    }
  }

  private func release(_ directory: DirectoryWatch, _ place: DirectoryWatch.Place) {
    guard let watch = directory.watches.removeValue(forKey: place) else { return }
    owners[watch]?.removeAll { $0.directory === directory && $0.place == place }
    if owners[watch]?.isEmpty ?? false {
      owners[watch] = nil
      inotify?.end(watch)
    }
  }

  // MARK: Reports

  /// Takes what the kernel has to report; false where it had more than was taken.
  @discardableResult func drain() -> Bool {
    guard let inotify else { return true }
    for _ in 0..<Self.mostPieces {
      guard let changes = try? inotify.read(), !changes.isEmpty else {
        var isWaiting = false
        for directory in directories.values {
          directory.finishMoves()
          if directory.awaitMoves() { isWaiting = true }
        }
        if isWaiting { continue }
        return true
      }
      var changed: [ObjectIdentifier: DirectoryWatch] = [:]
      for change in changes { apply(change) { changed[ObjectIdentifier($0)] = $0 } }
      for directory in changed.values { directory.readFiles() }
    }
    return false
  }

  /// Waits for reports; not at all where nothing is reported.
  func wait(_ limit: Duration) {
    _ = inotify?.wait(atMost: limit)
  }

  private func apply(_ change: Inotify.Change, _ isChanged: (DirectoryWatch) -> Void) {
    guard let watch = change.watch else {
      if change.kind == .overflow {
        for directory in directories.values {
          directory.lose("the kernel's queue of file events (fs.inotify.max_queued_events) was full")
        }
      }
      return
    }
    for (directory, place) in owners[watch] ?? [] {
      switch change.kind {
      case .directoryGone, .watchEnded:
        release(directory, place)
        attach(directory)
      case .made where change.isDirectory, .movedHere where change.isDirectory:
        let awaited: String? =
          switch place {
          case .parent: directory.path.split(separator: "/").last.map(String.init)
          case .queue: directory.queue.deadDirectory
          case .dead: nil
          }
        if change.name == awaited { attach(directory) }
      default: directory.apply(change, at: place)
      }
      isChanged(directory)
    }
  }
}
