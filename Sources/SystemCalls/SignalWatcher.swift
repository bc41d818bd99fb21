import CSystem
import Glibc

/// Signals as values, so that shutting down is ordinary code.
///
/// A handler writes the number into a pipe and a thread of its own reads it. Unlike blocking the signals and waiting
/// for them, this does not depend on every thread of every library having inherited the mask.
package enum SignalWatcher {
  /// "Please end": what `kill`, systemd and container runtimes send.
  package static let terminate = SIGTERM
  /// The terminal was closed.
  package static let hangUp = SIGHUP
  /// Ctrl-C.
  package static let interrupt = SIGINT
  /// Ctrl-\.
  package static let quit = SIGQUIT
  /// Ctrl-Z.
  package static let suspend = SIGTSTP
  /// The terminal has another size now.
  package static let resize = SIGWINCH

  /// Writing to a connection or pipe whose other end is gone fails with an error from now on, instead of ending the
  /// process: libraries below do not all ask for that.
  package static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// From now on the signals no longer end the process; each one that arrives becomes an element. The stream never
  /// ends. To be called once in a process.
  ///
  /// - Parameter secondEnds: whether the second of them ends the process at once, whatever it is waiting for, with
  ///   128 + the signal's number as a shell reports a process that was killed.
  /// - Throws: signals are watched already, or a number is no signal that can be caught.
  package static func watch(
    _ signals: [Int32], secondEnds: Bool = false
  ) throws(SystemError) -> AsyncStream<Int32> {
    let descriptor = try retrying("sigaction") {
      unsafe csystem_watch_signals(signals, Int32(signals.count), secondEnds ? 1 : 0)
    }
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    let reader = unsafe Unmanaged.passRetained(Reader(descriptor, continuation)).toOpaque()
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { context in
        let reader = unsafe Unmanaged<Reader>.fromOpaque(context!).takeRetainedValue()
        reader.run()
        return nil
      }, reader)
    guard code == 0 else {
      unsafe Unmanaged<Reader>.fromOpaque(reader).release()
      throw SystemError(code: code, call: "pthread_create")
    }
    pthread_detach(thread)
    return stream
  }

  private final class Reader {
    private let descriptor: Int32
    private let continuation: AsyncStream<Int32>.Continuation

    init(_ descriptor: Int32, _ continuation: AsyncStream<Int32>.Continuation) {
      self.descriptor = descriptor
      self.continuation = continuation
    }

    func run() {
      while true {
        var number: UInt8 = 0
        let count = unsafe read(descriptor, &number, 1)
        if count == 1 {
          continuation.yield(Int32(number))
        } else if count == 0 || errno != EINTR {
          return
        }
      }
    }
  }
}
