/// A program in a terminal of its own, played to by a script: what it drew, and how it left the terminal.
///
/// The program has the pseudo-terminal, which Python opens, as its controlling terminal, as in a terminal window.
package struct TerminalSession: Sendable {
  /// The pictures, each as its lines; colours are taken out.
  package let pictures: [[String]]
  /// All bytes that the terminal was sent, in which ESC is written as `^[`; without carriage returns.
  package let output: String
  /// The exit code, or 128 + the signal that ended the program.
  package let code: Int32
  /// Whether keys came one by one and unseen while it was drawing.
  package let tookKeyboard: Bool
  /// Whether the settings of the terminal are in the end what they were before.
  package let isRestored: Bool

  /// What is done once a picture has a text in it.
  package enum Step: Sendable {
    /// These bytes are typed.
    case type(String, after: String)
    /// The program is sent a signal.
    case signal(Int32, after: String)
    /// The terminal gets another size.
    case resize(columns: Int, rows: Int, after: String)

    fileprivate var line: String {
      switch self {
      case .type(let text, let awaited):
        "type \(text.unicodeScalars.map { String($0.value) }.joined(separator: ",")) \(awaited)"
      case .signal(let number, let awaited): "signal \(number) \(awaited)"
      case .resize(let columns, let rows, let awaited): "resize \(columns),\(rows) \(awaited)"
      }
    }
  }

  /// Plays a session of 80 columns and 24 rows to the end of the program.
  ///
  /// - Parameter environment: added to that of the tests.
  package init(_ command: [String], environment: [String: String?], _ steps: [Step]) throws {
    let outcome = try run(
      "python3", ["-c", Self.player] + [steps.map(\.line).joined(separator: "\n")] + command,
      environment: ["TERM": "xterm-256color", "LC_ALL": "C.UTF-8"].merging(environment) { _, given in given })
    let parts = outcome.output.split(separator: "\n=====\n", omittingEmptySubsequences: false).map(String.init)
    guard outcome.code == 0, parts.count >= 2 else { throw Unplayed(reason: outcome.output + outcome.error) }
    let result = parts[0].split(separator: " ")
    code = Int32(result[0]) ?? -1
    tookKeyboard = result[1] == "True"
    isRestored = result[2] == "True"
    output = parts[1]
    pictures = parts[1].split(separator: "^[[H", omittingEmptySubsequences: false).dropFirst().map { text in
      text.replacing(/\^\[\[[0-9;?]*[a-zA-Z]/, with: "").split(separator: "\n", omittingEmptySubsequences: false)
        .map(String.init)
    }
  }

  /// A session that did not come to its end.
  package struct Unplayed: Error, CustomStringConvertible {
    let reason: String
    package var description: String { "the session did not end: \(reason)" }
  }

  private static let player = """
    import fcntl, os, select, signal, struct, sys, termios, time
    steps = [line.split(" ", 2) for line in sys.argv[1].split("\\n")]
    terminal, program_side = os.openpty()
    def resize(columns, rows):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    resize(80, 24)
    before = termios.tcgetattr(program_side)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(program_side, termios.TIOCSCTTY, 0)
        for number in 0, 1, 2:
            os.dup2(program_side, number)
        os.execvp(sys.argv[2], sys.argv[2:])
    output, seen, took, status = b"", 0, False, None
    end = time.monotonic() + 60
    while True:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            sys.exit("waiting for " + repr(steps) + " in " + repr(output[-3000:]))
        if select.select([terminal], [], [], 0.05)[0]:
            output += os.read(terminal, 65536)
        elif status is not None:
            break
        else:
            ended, code = os.waitpid(pid, os.WNOHANG)
            if ended:
                status = os.waitstatus_to_exitcode(code)
        if steps and steps[0][2].encode() in output[seen:]:
            kind, value, awaited = steps.pop(0)
            seen = len(output)
            took = took or not termios.tcgetattr(program_side)[3] & (termios.ICANON | termios.ECHO)
            numbers = [int(number) for number in value.split(",")]
            if kind == "type":
                os.write(terminal, bytes(numbers))
            elif kind == "signal":
                os.kill(pid, numbers[0])
            else:
                resize(*numbers)
    print(status if status >= 0 else 128 - status, took, termios.tcgetattr(program_side) == before)
    print("=====")
    sys.stdout.flush()
    # The terminal makes a carriage return of its own out of every line feed.
    sys.stdout.buffer.write(output.replace(b"\\x1b", b"^[").replace(b"\\r", b""))
    """
}
