/// What the process ends with. 0 to 3 follow the monitoring plugins' convention, the others sysexits.h.
package enum ExitStatus: Int32, Sendable, Hashable, CaseIterable {
  /// `--once`: every outbox is within its limits and has no bad verdict. The sidecar: it was asked to stop. Everything
  /// else: it did what it was asked for.
  case ok = 0
  /// `--once`: a figure has reached its warning limit, or a verdict is worth one.
  case warning = 1
  /// `--once`: a figure has reached its critical limit, or a verdict is worth one. `ledger status`: one is broken.
  case critical = 2
  /// `--once`: a store could not be read, so nothing is known. `sql` and `ledger`: a database
  /// could not be asked, or refused a change. With `--format nagios` also wrong usage and bad
  /// configuration.
  case unknown = 3
  /// The command line could not be understood (EX_USAGE).
  case usage = 64
  /// The sidecar, where the user asked for it: nothing worked for a number of cycles (EX_UNAVAILABLE).
  case unavailable = 69
  /// The configuration holds a mistake; nothing was sampled (EX_CONFIG).
  case configuration = 78

  /// One sentence for the README and for `--help`.
  package var meaning: String {
    switch self {
    case .ok:
      "`--once`: OK, every figure is within its limits and no verdict is bad; the sidecar: stopped by SIGTERM; `report`, `ledger` and the other commands: done"
    case .warning:
      "`--once`: WARNING, a figure has reached its warning limit, or the verdict is rewound or falling_behind"
    case .critical:
      "`--once`: CRITICAL, a figure has reached its critical limit, the verdict is stalled, spinning or stuck, or a push failed with `--require-push`; `ledger status`: a ledger is broken"
    case .unknown:
      "`--once`: UNKNOWN, an outbox could not be read; `sql` and `ledger`: the database could not be asked, or refused the change; with `--format nagios` 64 and 78 too"
    case .usage:
      "the command line could not be understood; `report`: no such outbox, or no state directory is named; `ledger`: no such outbox, or several"
    case .unavailable: "the sidecar, with `--exit-after-failed-cycles`: so many cycles in a row had no success"
    case .configuration: "the configuration holds a mistake; `report`: nothing can be read in the state directory"
    }
  }

  /// The status of several outboxes together: CRITICAL before UNKNOWN before WARNING before OK. OK for none.
  package static func worst(_ statuses: some Sequence<ExitStatus>) -> ExitStatus {
    statuses.max { $0.severity < $1.severity } ?? .ok
  }

  private var severity: Int {
    switch self {
    case .ok: 0
    case .warning: 1
    case .unknown: 2
    case .critical: 3
    case .unavailable, .configuration, .usage: 4
    }
  }
}
