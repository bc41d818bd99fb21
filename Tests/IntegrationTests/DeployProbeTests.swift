import Outbox
import TestSupport
import Testing
import YAMLClient

/// The probes of the pod in deploy/, run as the kubelet runs them: the words of the command as they stand there, without a
/// shell around them, in the environment of the container.
@Suite struct `The probes of Kubernetes` {
  private func container() throws -> YAMLNode {
    let text = try ProjectFiles.text(of: "deploy/probe.yaml")
    let pod = try #require(try YAMLNode.parse(text))
    let containers = try #require(pod["spec"]?["containers"]?.elements)
    return try #require(containers.first { $0["name"]?.text == "outbox-exporter" })
  }

  /// Runs a probe. Only the values of the variables are others: the paths of the pod are not those of the tests.
  private func probe(_ name: String, _ fixture: CommandFixture) throws -> (code: Int32, output: String, error: String) {
    let container = try container()
    let variables = try #require(container["env"]?.elements).map { ($0["name"]?.text ?? "", $0["value"]?.text ?? "") }
    var environment = Dictionary(uniqueKeysWithValues: variables)
    #expect(environment["OUTBOX_LAYOUT"] == "praisonai")
    environment["OUTBOX_DSN"] = environment["OUTBOX_DSN"]?.replacing("/outbox/", with: fixture.exporter.home.path + "/")
    for name in ["OUTBOX_LIVENESS_FILE", "XDG_STATE_HOME"] {
      environment[name] = environment[name]?.replacing("/state", with: fixture.exporter.home.path)
    }
    let directory = ExporterCommand.path.dropLast("/outbox-exporter".count)
    environment["PATH"] = "\(directory):\(currentEnvironment()["PATH"] ?? "")"
    let command = try #require(container[name]?["exec"]?["command"]?.elements).map { $0.text ?? "" }
    return try run(command[0], Array(command.dropFirst()), environment: fixture.exporter.variables(environment))
  }

  @Test func `liveness ends with the file that cycles touch`() throws {
    let fixture = try CommandFixture()
    #expect(try probe("livenessProbe", fixture).code != 0, "no cycle yet")
    let arguments = try fixture.writeOutbox(waiting: [5])
    let sidecar = try fixture.start(
      ["--interval", "200ms", "--liveness-file", fixture.exporter.path("alive")] + arguments,
      environment: ["OTEL_METRICS_EXPORTER": "none"])
    #expect(eventually { contents(of: fixture.exporter.path("alive")) != nil })
    #expect(try probe("livenessProbe", fixture).code == 0)
    sidecar.signal(9)
    sidecar.wait()
    #expect(try run("touch", ["-d", "-61 seconds", fixture.exporter.path("alive")]).code == 0)
    #expect(try probe("livenessProbe", fixture).code == 1)
  }

  // Limits of the layout: critical after an hour; dead events warn.
  @Test(arguments: [
    ([5], "", 0, "OK"), ([5_000], "", 1, "CRITICAL"),
    (
      [5], "INSERT INTO outbound_queue VALUES ('d', 'slack:1', '', 'permanent_failure', 5, unixepoch() - 900, 1)", 0, ""
    ),
    ([], "DROP TABLE outbound_queue; CREATE TABLE other (id)", 1, "UNKNOWN"),
  ])
  func `readiness ends with what a check finds, and forgives a warning`(
    waiting: [Int], more: String, code: Int32, health: String
  ) throws {
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: waiting, more: more)
    let outcome = try probe("readinessProbe", fixture)
    #expect(outcome.code == code && outcome.output.hasPrefix(health) && outcome.error == "", "\(outcome)")
    #expect(!outcome.output.contains("event-0"), "the kubelet writes what a probe prints into events")
  }

  @Test func `times leave room for the rhythm of the exporter`() throws {
    let container = try container()
    // `find` looks for a minute, four cycles at the standard interval.
    #expect(container["livenessProbe"]?["exec"]?["command"]?.elements.last?.text?.contains("-mmin -1") == true)
    let timeout = try #require(container["readinessProbe"]?["timeoutSeconds"]?.text.flatMap { Int($0) })
    #expect(timeout >= 10, "connecting and reading may take five seconds each")
  }
}
