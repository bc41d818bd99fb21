package import Assessment
import DedicatedThreads
package import Outbox
import SQLiteClient
import SystemCalls

/// The samples of earlier runs, kept in the state directory, so that a run that takes one sample sees a trend, and a
/// sidecar goes on where it was stopped.
///
/// Whatever is wrong with the directory or the file costs the trend and nothing else.
package actor SampleMemory {
  private let executor = PinnedThreadExecutor()
  private let directory: String
  private let rhythm: SampleRhythm
  private let source: @Sendable (WatchedOutbox) -> String
  private var file: SampleFile?
  private var places: [String: String] = [:]
  private var roundsUntilForgetting = 0
  private var trouble: String?
  private var told: String?

  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// The memory in a state directory.
  ///
  /// - Parameters:
  ///   - directory: is made where it is not there.
  ///   - rhythm: in which samples are taken.
  ///   - source: where an outbox is and how it is laid out, as text without secrets; figures of another source, or of
  ///     another layout, are no trend together with those of this one. Asked for once for each outbox.
  package init(directory: String, rhythm: SampleRhythm, source: @escaping @Sendable (WatchedOutbox) -> String) {
    self.directory = directory
    self.rhythm = rhythm
    self.source = source
  }

  deinit { executor.stop() }

  /// The file in a state directory.
  package static func path(in directory: String) -> String { directory + "/samples.sqlite" }

  /// The windows of some outboxes before now, by their names.
  package func windows(of outboxes: [WatchedOutbox], now: Timestamp) -> [String: SampleWindow] {
    Dictionary(outboxes.map { ($0.name, window(of: $0, now: now)) }) { first, _ in first }
  }

  /// The window of the samples of an outbox before now; an empty one where none are kept.
  package func window(of outbox: WatchedOutbox, now: Timestamp) -> SampleWindow {
    let entries = attempt("read") { file throws(SQLiteError) in try file.entries(series(outbox)) } ?? []
    // A sample from the future was taken before the clock was set back.
    let kept = entries.filter {
      let age = now.since($0.startedAt)
      return age <= rhythm.ageLimit && .zero - age <= rhythm.ageLimit
    }
    return SampleWindow(kept.map { $0.sample(of: outbox) })
  }

  /// What the readings of some outboxes last cost their databases, by name; those of their queues and files among them.
  package func costs(of outboxes: [WatchedOutbox]) -> [String: [ReadingCost]] {
    let kept = attempt("read") { file throws(SQLiteError) in try file.costs() } ?? [:]
    var costs: [String: [ReadingCost]] = [:]
    for (key, found) in kept {
      guard let end = key.firstIndex(of: "\n") else { continue }
      let name = String(key[..<end])
      let isWanted = outboxes.contains { outbox in
        (name == outbox.name || name.hasPrefix(outbox.name + "/")) && key[key.index(after: end)...] == place(of: outbox)
      }
      if isWanted { costs[name] = found }
    }
    return costs
  }

  /// Keeps what the readings of a cycle have cost their databases.
  package func keep(costs samples: [OutboxSample], now: Timestamp) {
    let costs = samples.flatMap { sample in
      sample.costs.map { (outbox: "\(sample.outbox.name)\n\(place(of: sample.outbox))", cost: $0) }
    }
    if costs.isEmpty { return }
    let first = now.advanced(by: .zero - SampleRhythm.once.ageLimit)
    attempt("kept") { file throws(SQLiteError) in try file.keep(costs, since: first) }
  }

  /// Keeps the samples of a cycle.
  package func keep(_ samples: [OutboxSample], now: Timestamp) {
    // What is not judged need not be kept; see `SampleWindow`.
    let samples = samples.filter { $0.failure != nil || $0.snapshot?.isEstimate == false }
    if samples.isEmpty { return }
    let entries = samples.map { sample in
      (series: series(sample.outbox), entry: SampleFile.Entry(startedAt: sample.startedAt, snapshot: sample.snapshot))
    }
    let isForgetting = roundsUntilForgetting == 0
    roundsUntilForgetting = isForgetting ? SampleWindow.capacity : roundsUntilForgetting - 1
    let limit = SampleRhythm.once.ageLimit
    let span = now.advanced(by: .zero - limit)...now.advanced(by: limit)
    let isKept: Void? = attempt("kept") { [rhythm] file throws(SQLiteError) in
      try file.add(entries, rhythm, forgetting: isForgetting ? span : nil)
    }
    if isKept != nil { told = nil }
  }

  /// Keeps the samples of a cycle, and answers what ``takeTrouble()`` has to say.
  package func remember(_ samples: [OutboxSample], now: Timestamp) -> String? {
    keep(samples, now: now)
    keep(costs: samples, now: now)
    return takeTrouble()
  }

  /// What an operator should know about the file and was not told yet, in a sentence.
  package func takeTrouble() -> String? {
    defer { trouble = nil }
    return trouble
  }

  private func series(_ outbox: WatchedOutbox) -> String {
    "\(rhythm.name)\n\(outbox.name)\n\(place(of: outbox))"
  }

  /// Where an outbox is, as its ``source`` said it once.
  private func place(of outbox: WatchedOutbox) -> String {
    if let known = places[outbox.name] { return known }
    let place = source(outbox)
    places[outbox.name] = place
    return place
  }

  @discardableResult
  private func attempt<Result>(
    _ verb: String, _ body: (SampleFile) throws(SQLiteError) -> Result
  ) -> Result? {
    let path = Self.path(in: directory)
    do throws(SystemError) {
      if file == nil { try FileSystem.makeDirectories(directory) }
    } catch {
      tell("the samples of earlier runs cannot be kept: \(error); point --state-dir to a directory that may be written")
      return nil
    }
    do throws(SQLiteError) {
      if let file { return try body(file) }
      let opened = try SampleFile(path)
      file = opened
      return try body(opened)
    } catch {
      file = nil
      if [.corrupt, .notADatabase, .statement].contains(error.kind) || error == SampleFile.otherVersion {
        setAside(path, error)
      } else {
        tell("the samples of earlier runs cannot be \(verb): \(path): \(error.message); \(error.advice)")
      }
      return nil
    }
  }

  private func setAside(_ path: String, _ error: SQLiteError) {
    let aside = path + ".damaged"
    do throws(SystemError) {
      // What was to be undone in the old file must not be undone in the new one.
      try FileSystem.remove(path + "-journal")
      try FileSystem.move(path, to: aside)
      tell(
        "the samples of earlier runs are lost: \(path): \(error.message); it is set aside as \(aside), and the trend "
          + "begins anew")
    } catch {
      tell("the samples of earlier runs are lost, and \(path) cannot be replaced: \(error); remove it")
    }
  }

  private func tell(_ sentence: String) {
    guard told == nil else { return }
    told = sentence
    trouble = sentence
  }
}

extension SampleFile.Entry {
  fileprivate func sample(of outbox: WatchedOutbox) -> OutboxSample {
    OutboxSample(
      outbox: outbox, startedAt: startedAt, duration: .zero,
      result: snapshot.map { .success($0) } ?? .failure(SampleFailure(.other, "a sample of an earlier run failed")))
  }
}

extension SQLiteError {
  /// What to do about a file that costs the trend.
  fileprivate var advice: String {
    switch kind {
    case .full: "make room on its file system"
    case .permission, .readOnly, .cannotOpen: "make it writable, or point --state-dir elsewhere"
    case .busy: "another program has locked it"
    case .inputOutput, .interrupted, .corrupt, .notADatabase, .statement, .other: "check the disk and the file system"
    }
  }
}
