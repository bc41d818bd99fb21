import Glibc

/// A sidecar that prints its figures instead of pushing them, and what it has printed so far.
package final class WatchingSidecar {
  private let process: ChildProcess
  private let command: ExporterCommand
  /// How much of the output has been looked through; it grows to megabytes.
  private var offset = 0
  private var seen: [String: (good: Int, failed: Int)] = [:]
  private var reasons: [String: Set<String>] = [:]
  private var left: [String: Int] = [:]

  /// Starts the sidecar.
  ///
  /// - Parameters:
  ///   - configuration: the YAML text.
  ///   - namespace: where its network is; the machine's own if nil.
  package init(_ configuration: String, in namespace: NetworkNamespace? = nil) throws {
    command = try ExporterCommand()
    try command.home.write(configuration, to: "exporter.yaml")
    let environment = ["OTEL_METRICS_EXPORTER": "console"]
    let program = [ExporterCommand.path, "--config", command.path("exporter.yaml"), "--log-level", "warning"]
    let whole = namespace.map { $0.entering(program) } ?? program
    process = try ChildProcess(
      whole[0], Array(whole.dropFirst()), environment: command.variables(environment), directory: command.home.path)
  }

  /// What it has logged so far.
  package var log: String { process.standardError }

  /// True until it has ended.
  package var isRunning: Bool { process.isRunning }

  /// Its process id, where it runs in the machine's own network.
  package var pid: Int32 { process.pid }

  /// The lines that it has printed so far: `metric{attribute=value,…} value`.
  package var lines: [Substring] { process.standardOutput.split(separator: "\n") }

  /// The cycles that have brought good figures of each outbox so far, and those that have not.
  package var cycles: [String: (good: Int, failed: Int)] {
    lookFurther()
    return seen
  }

  /// How many cycles brought good figures of an outbox so far.
  package func good(_ outbox: String) -> Int { cycles[outbox]?.good ?? 0 }

  /// The reasons for which samples of an outbox failed so far.
  package func failures(_ outbox: String) -> Set<String> {
    lookFurther()
    return reasons[outbox] ?? []
  }

  /// How many cycles of an outbox it says it has left out so far, on a machine that stood still.
  package func skipped(_ outbox: String) -> Int {
    lookFurther()
    return left[outbox] ?? 0
  }

  /// Asks it to stop, and waits; its exit code, or nil where it does not stop.
  @discardableResult
  package func stop() -> Int32? {
    process.signal(15)
    return process.wait(atMost: .seconds(60))
  }

  private func lookFurther() {
    let file = unsafe open("\(process.output.path)/stdout", O_RDONLY)
    defer { close(file) }
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, off_t(offset)) }
      guard count > 0, let end = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) else { return }
      for line in chunk[..<end].split(separator: UInt8(ascii: "\n"))
      where line.starts(with: Self.up) || line.starts(with: Self.failed) || line.starts(with: Self.skipped) {
        note(String(decoding: line, as: UTF8.self))
      }
      offset += end + 1
    }
  }

  private static let up = Array("outbox.up{outbox.name=".utf8)
  private static let skipped = Array("outbox.sample.skipped{outbox.name=".utf8)
  private static let failed = Array("outbox.sample.failures{outbox.name=".utf8)

  private func note(_ line: String) {
    let words = line.split { "={, }".contains($0) }
    let name = String(words[2])
    if line.hasPrefix("outbox.up{") {
      if words.last == "1" { seen[name, default: (0, 0)].good += 1 } else { seen[name, default: (0, 0)].failed += 1 }
    } else if line.hasPrefix("outbox.sample.skipped{") {
      left[name] = words.last.flatMap { Int($0) }
    } else if words.last != "0" {
      reasons[name, default: []].insert(String(words[4]))
    }
  }
}
