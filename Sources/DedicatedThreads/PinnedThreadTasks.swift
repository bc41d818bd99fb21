/// One thread for tasks that prefer it, and for everything in them that no other executor claims.
///
/// What takes turns anyway takes them without waking a thread of the cooperative pool for each, and waits without the
/// thread that the pool has for its timers.
package final class PinnedThreadTasks: TaskExecutor {
  private let thread = PinnedThread()

  /// Starts the thread.
  package init() {
    thread.start({}) { job in unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }

  /// Queues a job for the thread.
  package func enqueue(_ job: consuming ExecutorJob) { thread.enqueue(UnownedJob(job)) }

  /// Ends the thread once all queued jobs have run. Call it when no task prefers it any more.
  package func stop() { thread.stop() }

  /// A clock whose sleepers are woken by this thread.
  package var clock: some Clock<Duration> { PinnedThreadClock(thread: thread) }
}

/// A clock that goes on while the machine sleeps, but does not wake it.
struct PinnedThreadClock: Clock {
  let thread: PinnedThread

  var now: ContinuousClock.Instant { .now }
  var minimumResolution: Duration { ContinuousClock().minimumResolution }

  func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
    try await thread.sleep(until: deadline)
  }
}
