import Configuration
import Testing

@Suite struct `Settings of a single run` {
  @Test func `a window comes from the flag, the variable or the file, in this order`() throws {
    #expect(try ConfigurationCase(watching: [:]).configuration().window == nil)
    var input = ConfigurationCase(file: "window: 20s", ConfigurationCase.watched)
    #expect(try input.configuration().window == .seconds(20))
    input.environment["OUTBOX_WINDOW"] = ""
    #expect(try input.configuration().window == .seconds(20))
    input.environment["OUTBOX_WINDOW"] = "30s"
    #expect(try input.configuration().window == .seconds(30))
    input.flags.once = true
    input.flags.window = "1m30s"
    #expect(try input.configuration().window == .seconds(90))
    #expect(ConfigurationYAML.text(try input.configuration(), catalog: []).contains("\nwindow: 1m30s\n"))
  }

  @Test(arguments: ["1s", "1h"]) func `a window is as short and as long as it may be`(text: String) throws {
    let input = ConfigurationCase(watching: ["OUTBOX_WINDOW": text])
    #expect(try input.configuration().window != nil)
  }

  @Test func `a window that is none is refused wherever it stands`() {
    var input = ConfigurationCase(file: "window: 20", ConfigurationCase.watched)
    input.environment["OUTBOX_WINDOW"] = "999ms"
    input.flags.once = true
    input.flags.window = "3601s"
    #expect(
      input.problems() == [
        "--window: a window of 1h1s is out of range (from 1s to 1h)",
        "OUTBOX_WINDOW: a window of 999ms is out of range (from 1s to 1h)",
        "outbox.yaml:1:9: `20` is not a duration (write a whole number and a unit, for example 250ms, 15s, 5m or 1h30m)",
      ])
  }

  @Test func `flags of a single run are refused to a sidecar, which may have the file's window`() throws {
    let input = ConfigurationCase(watching: ["OUTBOX_WINDOW": "5s"]) { flags in
      flags.window = "2s"
      flags.noPush = true
      flags.requirePush = true
      flags.reporting = ["--format", "--quiet"]
    }
    #expect(
      input.problems()
        == ["--window", "--no-push", "--require-push", "--format", "--quiet"].map {
          "\($0): is set, but `--once` is not (it says how a single run goes)"
        })
    #expect(try ConfigurationCase(watching: ["OUTBOX_WINDOW": "5s"]).configuration().window == .seconds(5))
  }

  @Test func `a push can be refused, and a required one needs somewhere to go`() throws {
    func input(_ environment: [String: String], refused: Bool = false, required: Bool = true) -> ConfigurationCase {
      ConfigurationCase(watching: environment) { flags in
        flags.once = true
        flags.noPush = refused
        flags.requirePush = required
      }
    }
    let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"]
    #expect(try input(endpoint).configuration().reasonNotToPush(once: true) == nil)
    #expect(try input(endpoint).configuration().pushIsRequired)
    let refused = try input(endpoint, refused: true, required: false).configuration()
    #expect(refused.reasonNotToPush(once: true) == "--no-push was given")
    let hint = "(name an endpoint with --endpoint or OTEL_EXPORTER_OTLP_ENDPOINT, or leave the flag away)"
    for (input, reason) in [
      (input([:]), "no OTLP endpoint is configured"), (input(endpoint, refused: true), "--no-push was given"),
      (input(endpoint.merging(["OTEL_SDK_DISABLED": "true"]) { $1 }), "OTEL_SDK_DISABLED is true"),
      (input(endpoint.merging(["OTEL_METRICS_EXPORTER": "none"]) { $1 }), "OTEL_METRICS_EXPORTER is none"),
    ] {
      #expect(input.problems() == ["--require-push: nothing would be pushed: \(reason) \(hint)"])
    }
  }
}
