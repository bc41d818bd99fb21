/// A serial executor with one thread of its own, for actors that call blocking C functions.
///
/// The cooperative pool has as many threads as there are cores: one in a small sidecar. A database that does not
/// answer must not hold one of them.
package final class PinnedThreadExecutor: SerialExecutor {
  private let thread = PinnedThread()

  /// Starts the thread.
  ///
  /// - Parameter beginning: what it does before the first job.
  package init(_ beginning: @escaping @Sendable () -> Void = {}) {
    // The thread owns a reference until it is told to stop, so the executor outlives its last job.
    thread.start(beginning) { job in unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  /// Queues a job for the thread.
  package func enqueue(_ job: consuming ExecutorJob) { thread.enqueue(UnownedJob(job)) }

  /// The executor as an actor hands it to the runtime. The actor has to keep the executor alive, as a stored property.
  @safe package var unowned: UnownedSerialExecutor { unsafe asUnownedSerialExecutor() }

  /// Ends the thread once all queued jobs have run. Call it when the actor is gone.
  package func stop() { thread.stop() }
}
