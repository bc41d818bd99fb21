import Glibc

/// A sidecar that runs beside a test, from a configuration file.
package final class EndToEndExporter {
  private let process: ChildProcess
  private let command: ExporterCommand

  /// Starts the sidecar.
  ///
  /// - Parameter configuration: the YAML text.
  package init(_ configuration: String) throws {
    command = try ExporterCommand()
    try command.home.write(configuration, to: "exporter.yaml")
    process = try command.start(["--config", command.path("exporter.yaml"), "--log-level", "debug"])
  }

  /// What it has logged so far.
  package var log: String { process.standardError }

  /// True until it has ended.
  package var isRunning: Bool { process.isRunning }

  /// Asks it to stop as a supervisor does, and waits; its exit code.
  @discardableResult
  package func stop() -> Int32 {
    process.signal(SIGTERM)
    return process.wait()
  }

  /// Lines of its log that speak of data that did not arrive where it should, or not at once.
  package var complaintsAboutDelivery: [String] {
    log.split(separator: "\n").map(String.init).filter { line in
      ["does not take data", "dropped", "rejected", "were lost"].contains { line.contains($0) }
    }
  }
}

/// The wall clock, in seconds since 1970.
package func wallSeconds() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
