import Glibc

/// The `outbox-exporter` program that is built beside these tests, run as a user runs it: with a home directory of its
/// own, and with nothing set of what may be set on the machine of whoever runs the tests.
package final class ExporterCommand: Sendable {
  /// The home directory, where the program is started.
  package let home: TemporaryDirectory

  /// How a run ended.
  package struct Outcome: Sendable {
    /// The exit code, or 128 + the signal that ended the program.
    package let code: Int32
    /// Standard output.
    package let output: String
    /// Standard error.
    package let error: String
  }

  /// A program that does not do its part.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// A new home for the program.
  package init() throws {
    home = try TemporaryDirectory()
  }

  /// The program. `swift build --build-tests` puts it where it puts the tests; long runs name a faster build of it.
  package static let path: String = {
    if let named = currentEnvironment()["OUTBOX_TEST_EXPORTER"] { return named }
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = unsafe buffer.withUnsafeMutableBytes { bytes in
      unsafe readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    let executable = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    return executable.prefix(through: executable.lastIndex(of: "/") ?? executable.startIndex) + "outbox-exporter"
  }()

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - environment: added to an environment in which no variable of the program is set.
  ///   - obeysPermissions: as a user for whom file permissions count, which they do not for root.
  package func start(
    _ arguments: [String], environment: [String: String] = [:], obeysPermissions: Bool = false
  ) throws -> ChildProcess {
    let prefix = obeysPermissions ? Self.withoutOverride : []
    let command = prefix + [Self.path] + arguments
    return try ChildProcess(
      command[0], Array(command.dropFirst()), environment: variables(environment), directory: home.path)
  }

  /// Runs the program to its end.
  package func run(
    _ arguments: [String], environment: [String: String] = [:], obeysPermissions: Bool = false
  ) throws -> Outcome {
    try Self.outcome(
      of: start(arguments, environment: environment, obeysPermissions: obeysPermissions), arguments)
  }

  /// Runs a shell script to its end, in which `exporter` is the program.
  package func runShell(_ script: String, environment: [String: String] = [:]) throws -> Outcome {
    let child = try ChildProcess(
      "bash", ["-c", "exporter() { \"$PROGRAM\" \"$@\"; }\n\(script)"],
      environment: variables(environment.merging(["PROGRAM": Self.path]) { old, _ in old }), directory: home.path)
    return try Self.outcome(of: child, [script])
  }

  /// Waits for the end of a program that was started.
  package static func outcome(of child: ChildProcess, _ arguments: [String] = []) throws -> Outcome {
    guard let code = child.wait(atMost: .seconds(120)) else {
      throw Failure(description: "\(arguments) does not end: \(child.standardOutput)\(child.standardError)")
    }
    return Outcome(code: code, output: child.standardOutput, error: child.standardError)
  }

  /// The path of a file in the home directory.
  package func path(_ name: String) -> String { "\(home.path)/\(name)" }

  /// Changes who may do what with a file of the home directory.
  package func setPermissions(_ name: String, _ mode: UInt32) {
    unsafe chmod(path(name), mode)
  }

  /// The environment that the program is run with: nothing is set of what may be set for it or by another program on the
  /// machine, but its home, a rhythm and what is added.
  package func variables(_ added: [String: String]) -> [String: String?] {
    var variables: [String: String?] = [:]
    for name in currentEnvironment().keys
    where ["OUTBOX_", "OTEL_", "PG", "XDG_"].contains(where: name.hasPrefix) || name == "NO_COLOR" {
      variables.updateValue(nil, forKey: name)
    }
    variables["HOME"] = home.path
    // The sidecars of tests sample many times a second, and count every time.
    variables["OUTBOX_DATABASE_SHARE"] = "100%"
    for (name, value) in added { variables[name] = value }
    return variables
  }

  /// Root without the capabilities by which it may read and write everything (capabilities(7)).
  private static var withoutOverride: [String] {
    let given = "-dac_override,-dac_read_search"
    return geteuid() == 0 ? ["setpriv", "--bounding-set=\(given)", "--inh-caps=\(given)"] : []
  }
}
