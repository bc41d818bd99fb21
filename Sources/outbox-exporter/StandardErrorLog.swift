import Logging
import Outbox
import Reports
import SystemCalls

/// Log lines on standard error: time, level, message. One line each, whatever is in the message.
struct StandardErrorLog: LogHandler {
  var logLevel = Logger.Level.info
  var metadata = Logger.Metadata()

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let time = Timestamp(nanoseconds: SystemClock.wallNanoseconds()).text
    printError("\(time) \(event.level.rawValue) \(event.message.description.printable)")
  }
}
