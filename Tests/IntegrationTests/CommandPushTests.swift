import TestSupport
import Testing

/// What a push, or its failure, means to a script.
@Suite struct `A push that a script asks for` {
  private let soon = ["OTEL_METRIC_EXPORT_TIMEOUT": "400"]

  @Test func `and that fails is CRITICAL, first and last`() throws {
    let fixture = try CommandFixture()
    let endpoint = "http://127.0.0.1:\(freePort())"
    let arguments = try ["--once", "--require-push", "--endpoint", endpoint] + fixture.writeOutbox(waiting: [5])
    let text = try fixture.run(arguments, environment: soon)
    #expect(text.code == 2)
    #expect(text.output.hasPrefix("CRITICAL  1 outbox: the push failed: "), "\(text)")
    #expect(text.output.contains("\nOK  praisonai  ") && text.output.contains("\nThe push failed: "), "\(text)")
    let json = try ParsedJSON(fixture.run(arguments + ["--format", "json"], environment: soon).output)
    #expect(json["health"] == .string("CRITICAL") && json["exit_code"] == .number("2"))
    #expect(json["push"]?["required"] == .bool(true) && json["push"]?["delivered"] == .bool(false))
    #expect(json["outboxes"]?.elements.first?["health"] == .string("OK"))
    let nagios = try fixture.run(arguments + ["--format", "nagios"], environment: soon)
    #expect(nagios.code == 2 && nagios.output.hasPrefix("OUTBOX CRITICAL: the push failed: "), "\(nagios)")
    // Without the flag it leaves the health as it is.
    let other = try fixture.run(arguments.filter { $0 != "--require-push" }, environment: soon)
    #expect(other.code == 0 && other.output.hasPrefix("OK") && other.output.contains("The push failed: "))
  }

  @Test func `and that arrives changes nothing`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let arguments = try ["--once", "--endpoint", server.url("")] + fixture.writeOutbox(waiting: [5])
    let outcome = try fixture.run(arguments + ["--require-push"])
    #expect(outcome.code == 0 && outcome.output.hasPrefix("OK  1 outbox: 1 OK\n"), "\(outcome)")
    #expect(server.requests.count == 1)
  }

  @Test func `has to have somewhere to go`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once", "--require-push"] + fixture.writeOutbox(waiting: [5]))
    #expect(outcome.code == 78 && outcome.output == "")
    #expect(outcome.error.contains("--require-push: nothing would be pushed: no OTLP endpoint is configured"))
  }

  @Test func `not to happen does not happen`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let arguments = try ["--once", "--no-push", "--endpoint", server.url("")] + fixture.writeOutbox(waiting: [5])
    let text = try fixture.run(arguments)
    #expect(text.code == 0 && text.output.hasSuffix("\nNothing was pushed: --no-push was given.\n"), "\(text)")
    let json = try ParsedJSON(fixture.run(arguments + ["--format", "json"]).output)
    #expect(json["push"]?["message"] == .string("nothing was pushed: --no-push was given"))
    #expect(server.requests.isEmpty)
  }

  @Test func `is no reason to speak where all is well and nobody wants to hear it`() throws {
    let fixture = try CommandFixture()
    let quiet = try ["--once", "--quiet"] + fixture.writeOutbox(waiting: [5])
    for format in ["text", "json"] {
      let outcome = try fixture.run(quiet + ["--format", format], environment: ["OTEL_METRICS_EXPORTER": "console"])
      #expect(outcome.code == 0 && outcome.output == "", "\(outcome)")
      #expect(outcome.error.contains("outbox.up{"), "the points are still there for who asks for them")
    }
    // A push that fails is told, but elsewhere: it does not count.
    let failing = quiet + ["--endpoint", "http://127.0.0.1:\(freePort())"]
    let push = try fixture.run(failing, environment: soon)
    #expect(push.code == 0 && push.output == "", "\(push)")
    #expect(push.error.hasPrefix("outbox-exporter: The push failed: "), "\(push)")
    #expect(push.error.split(separator: "\n").count == 1)
    // Where it counts, or where something else is wrong, all is said.
    let required = try fixture.run(failing + ["--require-push"], environment: soon)
    #expect(required.code == 2 && required.output.hasPrefix("CRITICAL  1 outbox: the push failed: "), "\(required)")
    try fixture.writeOutbox("late.sqlite", waiting: [2_000])
    let late = ["--once", "--dsn", "sqlite:late.sqlite", "--layout", "praisonai", "--no-ids"]
    let loud = try fixture.run(late)
    let said = try fixture.run(late + ["--quiet"])
    #expect(said.code == 1 && loud.code == 1)
    #expect(said.output.split(separator: "\n").count == loud.output.split(separator: "\n").count)
  }
}
