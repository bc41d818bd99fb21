package import Logging
package import OTLP
import Outbox

/// Tells an operator in one line when a destination of telemetry stops taking data, and in one when it takes it again.
package enum DeliveryJournal {
  /// Writes the events of an exporter to the log until it is shut down.
  package static func write(_ exporter: OTLPExporter, to log: Logger) async {
    let endpoint = exporter.destination.shownEndpoint
    for await event in exporter.events {
      switch event {
      case .outageBegan(let failure):
        log.error("\(endpoint) does not take data; it is kept and tried again: \(failure.message)")
      case .outageEnded(let lasted, let kept, let lost):
        log.notice("\(endpoint) takes data again after \(lasted.text); kept \(kept) data points, lost \(lost)")
      case .dropped(let points, let failure):
        log.error("\(points) data points dropped at \(endpoint): \(failure.message)")
      case .rejected(let points, let message):
        log.warning("\(endpoint) rejected \(points) data points: \(message)")
      case .spoolSetAside(let message), .spoolFailed(let message): log.error("\(endpoint): \(message)")
      case .spoolWorks(let message): log.notice("\(endpoint): \(message)")
      }
    }
  }
}
