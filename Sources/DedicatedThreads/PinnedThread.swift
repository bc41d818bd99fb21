internal import CSystem
import Glibc
import Synchronization

/// A thread that runs jobs one after the other, and wakes whoever sleeps on it.
@safe final class PinnedThread: Sendable {
  private struct Queue {
    var jobs: [UnownedJob] = []
    var sleepers: [UInt64: Sleeper] = [:]
    var cancelled: Set<UInt64> = []
    var lastSleeper: UInt64 = 0
    var isStopped = false
  }

  private struct Sleeper {
    var end: ContinuousClock.Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private let queue = Mutex(Queue())
  private nonisolated(unsafe) let wakeUp: UnsafeMutablePointer<sem_t>

  init() {
    unsafe wakeUp = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    unsafe sem_init(wakeUp, 0, 0)
  }

  /// Starts it.
  ///
  /// - Parameters:
  ///   - beginning: what it does before the first job.
  ///   - run: runs a job. It keeps whoever runs the jobs alive until the thread was told to stop.
  func start(_ beginning: @escaping @Sendable () -> Void, run: @escaping @Sendable (UnownedJob) -> Void) {
    let owner = unsafe Unmanaged.passRetained(Body(thread: self, beginning: beginning, run: run)).toOpaque()
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        let body = unsafe Unmanaged<Body>.fromOpaque(context!).takeRetainedValue()
        body.thread.work(body)
        return nil
      }, owner)
    precondition(status == 0, "cannot start a thread: \(status)")
    pthread_detach(thread)
  }

  func enqueue(_ job: UnownedJob) {
    queue.withLock { $0.jobs.append(job) }
    unsafe sem_post(wakeUp)
  }

  /// Ends the thread once all queued jobs have run. Whoever still sleeps is woken with an error.
  func stop() {
    queue.withLock { $0.isStopped = true }
    unsafe sem_post(wakeUp)
  }

  /// Waits until a time.
  ///
  /// - Throws: `CancellationError` where the task is cancelled before.
  func sleep(until end: ContinuousClock.Instant) async throws {
    let number = queue.withLock { queue in
      queue.lastSleeper += 1
      return queue.lastSleeper
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isOver = queue.withLock { queue in
          guard queue.cancelled.remove(number) == nil, !queue.isStopped else { return true }
          queue.sleepers[number] = Sleeper(end: end, continuation: continuation)
          return false
        }
        if isOver { continuation.resume(throwing: CancellationError()) } else { unsafe sem_post(wakeUp) }
      }
    } onCancel: {
      let sleeper = queue.withLock { queue in
        let sleeper = queue.sleepers.removeValue(forKey: number)
        if sleeper == nil { queue.cancelled.insert(number) }
        return sleeper
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
    queue.withLock { _ = $0.cancelled.remove(number) }
  }

  private func work(_ body: Body) {
    body.beginning()
    while true {
      wait()
      let (jobs, sleepers, isStopped) = queue.withLock { queue in
        let now = ContinuousClock.now
        let due = queue.sleepers.filter { $0.value.end <= now || queue.isStopped }.sorted {
          $0.value.end < $1.value.end
        }
        for (number, _) in due { queue.sleepers[number] = nil }
        let jobs = queue.jobs
        queue.jobs = []
        return (jobs, due.map(\.value), queue.isStopped)
      }
      for sleeper in sleepers {
        if isStopped {
          sleeper.continuation.resume(throwing: CancellationError())
        } else {
          sleeper.continuation.resume()
        }
      }
      for job in jobs { body.run(job) }
      if isStopped { return }
    }
  }

  private func wait() {
    let next = queue.withLock { queue in queue.jobs.isEmpty ? queue.sleepers.values.map(\.end).min() : nil }
    guard let next else {
      while unsafe sem_wait(wakeUp) != 0 {}
      return
    }
    let rest = max(.zero, ContinuousClock.now.duration(to: next))
    var end = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &end)
    let (seconds, attoseconds) = rest.components
    let nanoseconds = Int64(end.tv_nsec) + attoseconds / 1_000_000_000
    end.tv_sec += Int(seconds + nanoseconds / 1_000_000_000)
    end.tv_nsec = Int(nanoseconds % 1_000_000_000)
    while unsafe sem_clockwait(wakeUp, CLOCK_MONOTONIC, &end) != 0 && errno == EINTR {}
  }

  private final class Body {
    let thread: PinnedThread
    let beginning: @Sendable () -> Void
    let run: @Sendable (UnownedJob) -> Void

    init(
      thread: PinnedThread, beginning: @escaping @Sendable () -> Void, run: @escaping @Sendable (UnownedJob) -> Void
    ) {
      self.thread = thread
      self.beginning = beginning
      self.run = run
    }
  }

  deinit {
    unsafe sem_destroy(wakeUp)
    unsafe wakeUp.deallocate()
  }
}
