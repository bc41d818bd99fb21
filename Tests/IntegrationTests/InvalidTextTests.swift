import TestSupport
import Testing

/// SQLite keeps any bytes for text.
@Suite(needs("otelcol")) struct `Rows that are no text` {
  @Test func `arrive as replacement characters, and a strict receiver takes them [153]`() async throws {
    let receiver = try OTLPReceiver.collector()
    let fixture = try CommandFixture()
    let outbox = try fixture.writeOutbox(
      more: "INSERT INTO outbound_queue (id, target, ts) VALUES ('x', CAST(X'FF6FC33A31' AS TEXT), unixepoch() - 5)")
    let outcome = try fixture.run(["--once", "--endpoint", receiver.base] + outbox)
    #expect(outcome.output.contains("Pushed "), "\(outcome)")
    #expect(
      await happens { receiver.output.contains("outbox.destination: Str(\u{fffd}o\u{fffd})") }, "\(receiver.output)")
  }
}
