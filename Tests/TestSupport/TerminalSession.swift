/// A program in a terminal of its own, played to by a script: what it drew, and how it left the terminal.
///
/// The program has the pseudo-terminal, which Python opens, as its controlling terminal, and a parent in the same session
/// as a shell would be, as in a terminal window.
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
  /// Whether they were so each time the program was stopped; nil where it never was.
  package let wasRestoredWhenStopped: Bool?

  /// What is done once a picture has a text in it, and nothing more of it comes: a key that interrupts makes the terminal
  /// forget what it has not handed on yet.
  package enum Step: Sendable {
    /// These bytes are typed.
    case type(String, after: String)
    /// The program is sent a signal.
    case signal(Int32, after: String)
    /// Ctrl-Z is typed, and once the program has stopped its shell lets it go on.
    case suspend(after: String)
    /// The terminal gets another size.
    case resize(columns: Int, rows: Int, after: String)

    fileprivate var line: String {
      switch self {
      case .type(let text, let awaited):
        "type \(text.unicodeScalars.map { String($0.value) }.joined(separator: ",")) \(awaited)"
      case .signal(let number, let awaited): "signal \(number) \(awaited)"
      case .suspend(let awaited): "suspend 26 \(awaited)"
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
    wasRestoredWhenStopped = result[3] == "None" ? nil : result[3] == "True"
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
    told, tell = os.pipe()
    permitted, permit = os.pipe()
    shell = os.fork()
    if shell == 0:
        os.setsid()
        fcntl.ioctl(program_side, termios.TIOCSCTTY, 0)
        program = os.fork()
        if program == 0:
            os.setpgid(0, 0)
            # Whoever is in the background may not take the terminal unless that is overlooked.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(program_side, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            for number in 0, 1, 2:
                os.dup2(program_side, number)
            os.execvp(sys.argv[2], sys.argv[2:])
        os.write(tell, struct.pack("i", program))
        while True:
            _, code = os.waitpid(program, os.WUNTRACED)
            if not os.WIFSTOPPED(code):
                code = os.waitstatus_to_exitcode(code)
                os._exit(code if code >= 0 else 128 - code)
            os.write(tell, b"y" if termios.tcgetattr(program_side) == before else b"n")
            os.read(permitted, 1)
            os.killpg(program, signal.SIGCONT)
    pid = struct.unpack("i", os.read(told, 4))[0]
    output, seen, took, status, stopped = b"", 0, False, None, None
    end = time.monotonic() + 60
    while True:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            sys.exit("waiting for " + repr(steps) + " in " + repr(output[-3000:]))
        if select.select([terminal], [], [], 0.05)[0]:
            output += os.read(terminal, 65536)
            continue
        elif status is not None:
            break
        else:
            ended, code = os.waitpid(shell, os.WNOHANG)
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
            elif kind == "suspend":
                os.write(terminal, bytes(numbers))
                if not select.select([told], [], [], 20)[0]:
                    os.kill(pid, signal.SIGKILL)
                    sys.exit("it was not stopped")
                stopped = os.read(told, 1) == b"y" and stopped is not False
                os.write(permit, b" ")
            else:
                resize(*numbers)
    print(status if status >= 0 else 128 - status, took, termios.tcgetattr(program_side) == before, stopped)
    print("=====")
    sys.stdout.flush()
    # The terminal makes a carriage return of its own out of every line feed.
    sys.stdout.buffer.write(output.replace(b"\\x1b", b"^[").replace(b"\\r", b""))
    """
}
