package import Outbox

/// The flags as the user wrote them; nil where a flag was not given. Nothing is checked yet.
package struct CommandLineOptions: Sendable, Hashable {
  /// `--once`: one cycle, then an exit status.
  package var once = false
  /// `--window`: sample over and over for so long before judging.
  package var window: String?
  /// `--no-push`: push nothing.
  package var noPush = false
  /// `--require-push`: a push that fails is CRITICAL.
  package var requirePush = false
  /// The flags that say how the report of a single run is printed, those of them that were given.
  package var reporting: [String] = []
  /// `--config`: path of the configuration file.
  package var config: String?
  /// `--dsn`: where the outbox is. A password in it is refused, since other users see the command line.
  package var dsn: Secret?
  /// `--layout`: how the outbox is laid out.
  package var layout: String?
  /// `--name`: what the outbox is called.
  package var name: String?
  /// `--environment`: `outbox.environment` on every point.
  package var environment: String?
  /// `--state-dir`: what is kept between runs.
  package var stateDirectory: String?
  /// `--liveness-file`: touched by every completed cycle.
  package var livenessFile: String?
  /// `--interval`: time between the starts of two cycles.
  package var interval: String?
  /// `--database-share`: the most of a database's time that the sidecar takes.
  package var databaseShare: String?
  /// `--endpoint`: base URL of the collector.
  package var endpoint: String?
  /// `--log-level`: how much is logged.
  package var logLevel: String?
  /// `--exit-after-failed-cycles`: give up after so many cycles without any success.
  package var exitAfterFailedCycles: String?

  /// No flag at all.
  package init() {}
}
