import Glibc

/// Keys as they are pressed, without an Enter after them and without their being shown.
package final class Keyboard: Sendable {
  private let usual: termios

  /// Takes the terminal on standard input; nil where there is none. To be given back with ``restore()``.
  package init?() {
    var settings = termios()
    guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    usual = settings
    take()
  }

  /// Takes the terminal again, after it was given back.
  package func take() {
    var settings = usual
    // Ctrl-C and Ctrl-Z stay signals.
    settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
    unsafe withUnsafeMutableBytes(of: &settings.c_cc) { codes in
      unsafe codes[Int(VMIN)] = 1
      unsafe codes[Int(VTIME)] = 0
    }
    unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  /// Gives the terminal back as it was, without what was typed meanwhile: it was not meant for the shell.
  package func restore() {
    var settings = usual
    unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
  }

  /// The bytes of the keys from now on; ends with the terminal. To be called once: a thread of its own reads them.
  package var keys: AsyncStream<UInt8> {
    let (stream, continuation) = AsyncStream.makeStream(of: UInt8.self)
    let context = unsafe Unmanaged.passRetained(Listener(continuation)).toOpaque()
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { context in
        unsafe Unmanaged<Listener>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context)
    if code == 0 {
      pthread_detach(thread)
    } else {
      unsafe Unmanaged<Listener>.fromOpaque(context).release()
      continuation.finish()
    }
    return stream
  }

  private final class Listener {
    private let continuation: AsyncStream<UInt8>.Continuation

    init(_ continuation: AsyncStream<UInt8>.Continuation) { self.continuation = continuation }

    func run() {
      while true {
        var key: UInt8 = 0
        let count = unsafe read(STDIN_FILENO, &key, 1)
        if count == 1 {
          continuation.yield(key)
        } else if count == 0 || errno != EINTR {
          continuation.finish()
          return
        }
      }
    }
  }
}
