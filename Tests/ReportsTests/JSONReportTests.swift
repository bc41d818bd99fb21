import Assessment
import Outbox
import Reports
import TestSupport
import Testing

@Suite struct `The JSON report` {
  private let failure = SampleFailure(.absent, "cannot open \"b.db\"", hint: nil)

  private var whole: CycleReport {
    var snapshot = busy
    snapshot.eventIDs = .init(oldest: ["7"], stuck: [], newestDead: ["\u{1}ü"])
    snapshot.implausible = 1
    snapshot.replicaLag = .milliseconds(1_500)
    return report(
      [
        sample("c", limits: Limits(dead: .init(warning: 4)), .success(snapshot)), sample("b", .failure(failure)),
        sample("a", .success(quiet)),
      ], push: .failed("refused"))
  }

  @Test func `of one outbox`() {
    let one = Snapshot(
      storeTime: morning, depths: [.init(destination: "email", state: .ready, retry: true, count: 2)],
      ages: [.init(destination: "email", retry: true, oldest: .milliseconds(2_500), median: nil, p99: nil)])
    #expect(
      report([sample("orders", .success(one))]).json(exitCode: 0).text == """
        {
          "health": "OK",
          "exit_code": 0,
          "time": "2027-01-15T08:00:00.250Z",
          "outboxes": [
            {
              "name": "orders",
              "layout": "praisonai",
              "system": "sqlite",
              "health": "OK",
              "findings": [],
              "verdict": "unknown",
              "verdict_reason": "no samples yet",
              "drain_time_seconds": null,
              "breach_time_seconds": null,
              "destination_verdicts": [],
              "sampled_at": "2027-01-15T08:00:00.250Z",
              "duration_seconds": 0.003,
              "in_use": true,
              "exact": true,
              "depth": {
                "ready": 2,
                "scheduled": 0,
                "claimed": 0,
                "parked": 0,
                "unknown": 0
              },
              "oldest_age_seconds": 2.5,
              "stuck": 0,
              "stuck_oldest_age_seconds": null,
              "dead": 0,
              "dead_oldest_age_seconds": null,
              "implausible": 0,
              "replica_lag_seconds": null,
              "destinations": [
                {
                  "name": "email",
                  "depth": {
                    "ready": 2,
                    "scheduled": 0,
                    "claimed": 0,
                    "parked": 0,
                    "unknown": 0
                  },
                  "retry": 2,
                  "oldest_age_seconds": 2.5,
                  "stuck": 0,
                  "dead": 0
                }
              ],
              "dead_acknowledged": 0,
              "acknowledgements": []
            }
          ],
          "push": {
            "attempted": false,
            "delivered": false,
            "required": false,
            "message": "nothing was pushed: no OTLP endpoint is configured"
          }
        }
        """)
  }

  @Test func `says what became of the push`() {
    #expect(
      report([], push: .delivered(points: 3)).json(exitCode: 3).text.contains(
        """
          "push": {
            "attempted": true,
            "delivered": true,
            "required": false,
            "message": null
          }
        """))
  }

  /// Every key that the README documents, as paths; depth and destinations have the same states.
  static let documented: Set<String> = {
    let states = ["ready", "scheduled", "claimed", "parked", "unknown"]
    let outbox =
      [
        "name", "layout", "system", "health", "findings[].health", "findings[].message", "verdict",
        "verdict_reason", "drain_time_seconds", "drain_time_seconds.expected", "drain_time_seconds.earliest",
        "drain_time_seconds.latest", "breach_time_seconds", "breach_time_seconds.expected",
        "breach_time_seconds.earliest", "breach_time_seconds.latest", "destination_verdicts[].name",
        "destination_verdicts[].verdict", "destination_verdicts[].reason", "sampled_at",
        "duration_seconds", "failure.reason", "failure.message", "failure.hint", "in_use", "exact",
        "oldest_age_seconds", "stuck", "stuck_oldest_age_seconds", "dead", "dead_oldest_age_seconds", "implausible",
        "replica_lag_seconds", "destinations[].name", "destinations[].retry", "destinations[].oldest_age_seconds",
        "destinations[].stuck", "destinations[].dead", "event_ids.oldest[]", "event_ids.stuck[]",
        "event_ids.newest_dead[]", "dead_acknowledged", "acknowledgements[].dead", "acknowledgements[].covered",
        "acknowledgements[].destination", "acknowledgements[].reason", "acknowledgements[].until",
        "acknowledgements[].expired",
      ] + states.flatMap { ["depth.\($0)", "destinations[].depth.\($0)"] }
    return Set(
      ["health", "exit_code", "time", "push.attempted", "push.delivered", "push.required", "push.message"]
        + outbox.map { "outboxes[].\($0)" })
  }()

  @Test func `has the documented keys, and no other`() {
    var found: Set<String> = []
    func walk(_ value: JSONValue, _ path: String) {
      switch value {
      case .object(let pairs): for (key, value) in pairs { walk(value, path.isEmpty ? key : "\(path).\(key)") }
      case .array(let values):
        for value in values { walk(value, path + "[]") }
        if values.isEmpty, Self.documented.contains(path + "[]") { found.insert(path + "[]") }
      default: found.insert(path)
      }
    }
    var report = whole
    report.samples[0].outbox.acknowledgements = [
      Acknowledgement(dead: 1, reason: "ticket", until: "2027-01-15", end: morning.advanced(by: .seconds(1)))
    ]
    report.assessments = [report.samples[0].outbox.name: .complete]
    walk(report.json(exitCode: 3), "")
    #expect(found == Self.documented)
  }

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
  func `is read by another program as it was meant`() throws {
    let script = """
      import json, sys
      report = json.load(sys.stdin, object_pairs_hook=dict)
      outbox, failed, empty = report["outboxes"]
      print(report["health"], report["exit_code"], report["time"])
      print(outbox["depth"]["ready"], outbox["depth"]["unknown"], outbox["oldest_age_seconds"], outbox["dead"])
      print(outbox["dead_oldest_age_seconds"], outbox["stuck_oldest_age_seconds"], outbox["replica_lag_seconds"])
      print([d["name"] for d in outbox["destinations"]], [d["retry"] for d in outbox["destinations"]])
      print(ascii(outbox["event_ids"]))
      print(outbox["findings"])
      print(failed["failure"], "depth" in failed, empty["destinations"], "event_ids" in empty)
      """
    let result = try run("python3", ["-c", script], input: whole.json(exitCode: 3).text)
    #expect(result.code == 0, "\(result.error)")
    #expect(
      result.output == """
        UNKNOWN 3 2027-01-15T08:00:00.250Z
        120 2 200 4
        86400.5 30 1.5
        ['email', 'sms', 'fax'] [3, 7, 0]
        {'oldest': ['7'], 'stuck': [], 'newest_dead': ['\\x01\\xfc']}
        [{'health': 'WARNING', 'message': '4 events are dead, limit 4'}]
        {'reason': 'absent', 'message': 'cannot open "b.db"', 'hint': None} False [] False

        """)
  }
}

@Suite struct `JSON values` {
  @Test(
    arguments: [
      (.null, "null"), (.bool(true), "true"), (.bool(false), "false"), (.int(.min), "-9223372036854775808"),
      (.number(0), "0"), (.number(-0.0), "0"), (.number(0.1), "0.1"), (.number(-2.5), "-2.5"), (.number(3), "3"),
      (.number(1e17), "1e+17"), (.number(1e-7), "1e-07"), (.number(.nan), "null"), (.number(.infinity), "null"),
      (.number(-.infinity), "null"), (.string(""), "\"\""), (.array([]), "[]"), (.object([]), "{}"),
      (.string("a\"b\\c/d\n\r\t\u{8}\u{0}\u{1f}\u{7f}é😀"), #""a\"b\\c/d\n\r\t\u0008\u0000\u001f\u007fé😀""#),
      (.object([("a\"", .array([.int(1), .null]))]), "{\n  \"a\\\"\": [\n    1,\n    null\n  ]\n}"),
    ] as [(JSONValue, String)]) func `are written as RFC 8259 has it`(value: JSONValue, text: String)
  {
    #expect(value.text == text)
  }

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"), arguments: UInt64(1)...3)
  func `of any text and number come back from another program`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var texts: [String] = []
    var numbers: [Double] = []
    for _ in 0..<300 {
      var text = ""
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        let limits: [UInt32] = [0x20, 0x7f, 0x100, 0x1_0000, 0x11_0000]
        let limit = limits.randomElement(using: &random) ?? 0x7f
        if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) {
          text.unicodeScalars.append(scalar)
        }
      }
      texts.append(text)
      let number = Double(bitPattern: random.next())
      if number.isFinite { numbers.append(number) }
      numbers.append(Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 1_000)
    }
    let value = JSONValue.object([
      ("texts", .array(texts.map(JSONValue.string))), ("numbers", .array(numbers.map(JSONValue.number))),
    ])
    let script = """
      import json, struct, sys
      value = json.loads(sys.stdin.buffer.read().decode("utf-8", "strict"))
      for text in value["texts"]: print(text.encode().hex())
      for number in value["numbers"]: print(struct.pack(">d", number).hex())
      """
    let result = try run("python3", ["-c", script], input: value.text)
    func hex(_ bytes: some Sequence<UInt8>) -> String {
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    let expected =
      texts.map { hex($0.utf8) }
      + numbers.map { number in
        // JSON has one zero.
        let bits = (number == 0 ? 0 : number).bitPattern
        return hex((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) })
      }
    #expect(result.output == expected.map { $0 + "\n" }.joined(), "seed \(seed)")
  }
}

extension OutboxAssessment {
  /// An assessment in which nothing is missing.
  fileprivate static let complete: OutboxAssessment = {
    var assessment = OutboxAssessment(outbox: "orders")
    assessment.drainTime = TimeRange(expected: .seconds(60), earliest: .seconds(50), latest: .seconds(70))
    assessment.breachTime = TimeRange(expected: .seconds(90), earliest: .seconds(80), latest: .seconds(99))
    assessment.destinations = [.init(name: "email", verdict: .stalled, sentence: "3 events due")]
    return assessment
  }()
}
