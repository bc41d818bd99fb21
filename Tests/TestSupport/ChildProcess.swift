package import Glibc

/// A child process whose output goes to files. It is killed and reaped when it goes out of use.
package final class ChildProcess {
  /// The process id.
  package let pid: pid_t
  /// Where standard output and standard error are written.
  package let output: TemporaryDirectory
  private var status: Int32?

  /// Starts a program found on `PATH`.
  ///
  /// - Parameters:
  ///   - environment: added to this process's environment; a nil value removes a variable.
  ///   - input: what the child reads from standard input; nothing by default.
  package init(
    _ program: String, _ arguments: [String] = [], environment: [String: String?] = [:], input: String? = nil,
    directory: String? = nil
  ) throws {
    output = try TemporaryDirectory()
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    if let input { try output.write(input, to: "stdin") }
    unsafe posix_spawn_file_actions_addopen(
      &actions, 0, input == nil ? "/dev/null" : output.path + "/stdin", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(
      &actions, 1, output.path + "/stdout", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_addopen(
      &actions, 2, output.path + "/stderr", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    // Tests run on threads that block all signals, and a child inherits that.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var noSignals = sigset_t()
    unsafe sigemptyset(&noSignals)
    unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let command = directory.map { ["env", "-C", $0, program] } ?? [program]
    var variables = currentEnvironment()
    for (name, value) in environment { variables[name] = value }
    var child = pid_t()
    let code = unsafe withCStrings(command + arguments) { argv in
      unsafe withCStrings(variables.map { "\($0.key)=\($0.value)" }) { envp in
        unsafe posix_spawnp(&child, command[0], &actions, &attributes, argv, envp)
      }
    }
    guard code == 0 else { throw CannotStart(program: program, code: code) }
    pid = child
  }

  /// A program that could not be started.
  package struct CannotStart: Error, CustomStringConvertible {
    let program: String
    let code: Int32
    package var description: String { "cannot start \(program): error \(code)" }
  }

  /// What the child has written to standard output so far.
  package var standardOutput: String { output.read("stdout") }

  /// What the child has written to standard error so far.
  package var standardError: String { output.read("stderr") }

  /// Sends a signal.
  package func signal(_ number: Int32) {
    if status == nil { kill(pid, number) }
  }

  /// True until the child has ended.
  package var isRunning: Bool {
    if status == nil { reap(WNOHANG) }
    return status == nil
  }

  /// Waits until the child has ended; its exit code, or 128 + the signal that ended it.
  @discardableResult
  package func wait() -> Int32 {
    if status == nil { reap(0) }
    return status ?? -1
  }

  /// Waits for the child at most so long, then kills it and answers nil.
  package func wait(atMost limit: Duration) -> Int32? {
    let end = ContinuousClock.now + limit
    while isRunning {
      if ContinuousClock.now >= end {
        kill(pid, SIGKILL)
        wait()
        return nil
      }
      usleep(2_000)
    }
    return status
  }

  private func reap(_ options: Int32) {
    var raw: Int32 = 0
    guard unsafe waitpid(pid, &raw, options) == pid else { return }
    status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
  }

  deinit {
    if isRunning {
      kill(pid, SIGKILL)
      reap(0)
    }
  }
}

/// Stops a process that is nobody's child here, as a debugger or a full machine does, or lets it go on.
package func signalProcess(_ process: Int32, stop: Bool) {
  kill(process, stop ? SIGSTOP : SIGCONT)
}

/// Runs a program to its end: exit code, standard output, standard error.
package func run(
  _ program: String, _ arguments: [String] = [], environment: [String: String?] = [:], input: String? = nil,
  directory: String? = nil
) throws -> (code: Int32, output: String, error: String) {
  let child = try ChildProcess(
    program, arguments, environment: environment, input: input, directory: directory)
  let code = child.wait()
  return (code, child.standardOutput, child.standardError)
}

/// Waits until a condition holds; false where it does not within the limit. For readiness only, never as an assertion
/// about speed.
package func eventually(within limit: Duration = .seconds(30), _ condition: () throws -> Bool) rethrows -> Bool {
  let end = ContinuousClock.now + limit
  while try !condition() {
    if ContinuousClock.now >= end { return false }
    usleep(5_000)
  }
  return true
}

/// The path of a program on `PATH`, or nil.
package func programOnPath(_ name: String) -> String? {
  for directory in (currentEnvironment()["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
    let path = "\(directory)/\(name)"
    if unsafe access(path, X_OK) == 0 { return path }
  }
  return nil
}

/// The environment of this process.
package func currentEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  var cursor = unsafe environ
  while let entry = unsafe cursor.pointee {
    let text = unsafe String(cString: entry)
    if let equals = text.firstIndex(of: "=") {
      variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
    }
    unsafe cursor += 1
  }
  return variables
}

/// A TCP port on the loopback address that nobody listens on at the moment.
package func freePort() -> Int {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  unsafe withUnsafeMutablePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      _ = unsafe bind(descriptor, generic, length)
      _ = unsafe getsockname(descriptor, generic, &length)
    }
  }
  return Int(UInt16(bigEndian: address.sin_port))
}

private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  let pointers = unsafe strings.map { unsafe strdup($0) } + [nil]
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
}
