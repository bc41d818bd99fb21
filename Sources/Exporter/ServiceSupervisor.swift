package import Logging
import Outbox
import SystemCalls

/// What the sidecar tells whoever started it.
package enum ServiceState: Sendable, Hashable {
  /// It holds its state directory, and the first cycle begins.
  case ready
  /// A cycle came to its end, stores that did not answer included; the text says how the outboxes are, in one line.
  case cycleCompleted(String)
  /// It was asked to end, or has given up.
  case stopping
}

/// systemd, where it started this process as a service of `Type=notify`.
package struct ServiceSupervisor: Sendable {
  private let socket: NotifySocket
  private let log: Logger

  /// The manager that the environment names; nil where there is none.
  ///
  /// - Parameters:
  ///   - environment: NOTIFY_SOCKET, and WATCHDOG_USEC where the manager kills who is silent for too long.
  ///   - interval: between the starts of two cycles.
  package init?(environment: [String: String], interval: Duration, log: Logger) {
    guard let name = environment["NOTIFY_SOCKET"], !name.isEmpty else { return nil }
    do {
      socket = try NotifySocket(name)
    } catch {
      log.error("systemd cannot be told anything: NOTIFY_SOCKET: \(error)")
      return nil
    }
    self.log = log
    // A cycle that waits for a slow store ends up to four fifths of an interval after it began.
    if let limit = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }).map(Duration.microseconds), limit < interval * 2
    {
      log.warning(
        """
        WatchdogSec is \(limit.text): systemd would take an interval of \(interval.text) for a hang; \
        set it to \((interval * 4).text)
        """)
    }
  }

  /// Tells the manager. One that does not listen changes nothing.
  package func tell(_ state: ServiceState) {
    do {
      try socket.send(state.assignments)
    } catch {
      log.error("systemd was not told: \(error)")
    }
  }
}

extension ServiceState {
  /// In the words of sd_notify(3).
  fileprivate var assignments: [String] {
    switch self {
    case .ready: ["READY=1"]
    case .cycleCompleted(let status): ["WATCHDOG=1", "STATUS=\(status)"]
    case .stopping: ["STOPPING=1"]
    }
  }
}
