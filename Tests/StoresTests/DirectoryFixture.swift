import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport

/// A state directory with a queue in it, and a clock that stands at noon on 2026-06-01.
final class DirectoryFixture {
  /// 2026-06-01T12:00:00Z (`date -u -d 2026-06-01T12:00 +%s`).
  static let noon = 1_780_315_200
  static let clock: @Sendable () -> Timestamp = { Timestamp(nanoseconds: Int64(noon) * 1_000_000_000) }

  let directory: TemporaryDirectory
  var queue: String { "\(directory.path)/delivery-queue" }
  private(set) lazy var reader = makeReader()

  init(makesQueue: Bool = true) throws {
    directory = try TemporaryDirectory()
    if makesQueue { try FileSystem.makeDirectories("\(directory.path)/delivery-queue/failed") }
  }

  func makeReader(
    _ layout: Layout = .openClawFiles, clock: @escaping @Sendable () -> Timestamp = DirectoryFixture.clock
  ) -> DirectoryReader {
    DirectoryReader(path: queue, queue: layout.directory!, createdLazily: layout.createdLazily, now: clock)
  }

  /// Writes a file of the queue; its modification time is so many seconds before noon.
  func write(_ name: String, _ content: String, writtenBefore seconds: Double = 3_600) throws {
    try directory.write(content, to: "delivery-queue/\(name)")
    try touch(name, before: seconds)
  }

  func touch(_ name: String, before seconds: Double) throws {
    _ = try run("touch", ["-h", "-d", "@\(Double(Self.noon) - seconds)", "\(queue)/\(name)"])
  }

  func sample(eventIDs: Bool = false) throws -> Snapshot {
    try reader.sample(deadline: .now + .seconds(600), eventIDs: eventIDs)
  }

  /// Unix milliseconds so many seconds before noon.
  static func before(_ seconds: Double) -> Int64 { Int64((Double(noon) - seconds) * 1_000) }

  /// An event as OpenClaw writes it, with the personal data that it holds.
  static func event(
    _ id: String = "e", channel: String = "telegram", enqueued: Double = 60, retries: Int = 0,
    lastAttempt: Double? = nil, sendStarted: Double? = nil, recovery: String? = nil
  ) -> String {
    var fields = [
      #""id": "\#(id)""#, #""enqueuedAt": \#(before(enqueued))"#, #""retryCount": \#(retries)"#,
      #""channel": "\#(channel)", "to": "+4915112345678", "accountId": "account-of-somebody""#,
      #""payloads": [{"text": "the message itself", "retryCount": 99}]"#,
      #""mirror": {"sessionKey": "agent:main:somebody", "channel": "inner"}"#,
    ]
    if let lastAttempt { fields.append(#""lastAttemptAt": \#(before(lastAttempt)), "lastError": "chat not found""#) }
    if let sendStarted { fields.append(#""platformSendStartedAt": \#(before(sendStarted))"#) }
    if let recovery { fields.append(#""recoveryState": "\#(recovery)""#) }
    return "{\n  " + fields.joined(separator: ",\n  ") + "\n}\n"
  }
}

extension Snapshot {
  /// One line for each depth figure, to compare.
  var depthLines: [String] {
    depths.map { "\($0.destination) \($0.state) \($0.retry ? "retry" : "first") \($0.count)" }
  }

  var stuckLines: [String] {
    stuck.map { "\($0.destination) \($0.reason.rawValue) \($0.count) \($0.oldest.seconds)" }
  }
}

/// The failure of a sample that has to fail.
func failure(_ sample: () throws -> Snapshot) -> SampleFailure? {
  do {
    _ = try sample()
    return nil
  } catch {
    return error as? SampleFailure
  }
}
