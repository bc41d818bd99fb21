import Glibc
import Synchronization

/// A serial executor with one thread of its own, for actors that call blocking C functions.
///
/// The cooperative pool has as many threads as there are cores: one in a small sidecar. A database that does not
/// answer must not hold one of them.
@safe package final class PinnedThreadExecutor: SerialExecutor {
  private struct Queue {
    var jobs: [UnownedJob] = []
    var isStopped = false
  }

  private let queue = Mutex(Queue())
  private nonisolated(unsafe) let wakeUp: UnsafeMutablePointer<sem_t>

  /// Starts the thread.
  ///
  /// - Parameter beginning: what it does before the first job.
  package init(_ beginning: @escaping @Sendable () -> Void = {}) {
    unsafe wakeUp = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    unsafe sem_init(wakeUp, 0, 0)
    // The thread owns one reference until it is told to stop, so the executor outlives its last job.
    let owner = unsafe Unmanaged.passRetained(ThreadBody(self, beginning)).toOpaque()
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        let body = unsafe Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue()
        body.run()
        return nil
      }, owner)
    precondition(status == 0, "cannot start a thread for a store: \(status)")
    pthread_detach(thread)
  }

  /// Queues a job for the thread.
  package func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    queue.withLock { $0.jobs.append(unowned) }
    unsafe sem_post(wakeUp)
  }

  /// The executor as an actor hands it to the runtime. The actor has to keep the executor alive, as a stored property.
  @safe package var unowned: UnownedSerialExecutor { unsafe asUnownedSerialExecutor() }

  /// Ends the thread once all queued jobs have run. Call it when the actor is gone.
  package func stop() {
    queue.withLock { $0.isStopped = true }
    unsafe sem_post(wakeUp)
  }

  /// What the thread runs. It keeps the executor alive until it was stopped.
  private final class ThreadBody {
    private let executor: PinnedThreadExecutor
    private let beginning: @Sendable () -> Void

    init(_ executor: PinnedThreadExecutor, _ beginning: @escaping @Sendable () -> Void) {
      self.executor = executor
      self.beginning = beginning
    }

    func run() {
      beginning()
      while true {
        while unsafe sem_wait(executor.wakeUp) != 0 {}
        let (jobs, isStopped) = executor.queue.withLock { queue in
          let jobs = queue.jobs
          queue.jobs = []
          return (jobs, queue.isStopped)
        }
        for job in jobs {
          unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor())
        }
        if isStopped { return }
      }
    }
  }

  deinit {
    unsafe sem_destroy(wakeUp)
    unsafe wakeUp.deallocate()
  }
}
