import Assessment
import Outbox
import Reports
import Testing

@Suite struct `The text report` {
  private let plain = TextStyle(isColoured: false)

  @Test func `of a healthy outbox`() {
    let one = Snapshot(
      storeTime: morning, depths: [.init(destination: "email", state: .ready, retry: false, count: 12)],
      ages: [.init(destination: "email", retry: false, oldest: .seconds(2), median: nil, p99: nil)])
    #expect(
      report([sample("orders", .success(one))], push: .delivered(points: 41)).text(plain) == """
        OK  1 outbox: 1 OK

        OK  orders  (praisonai, sqlite)
          verdict unknown: no samples yet
          destination  ready  scheduled  claimed  parked  unknown  stuck  dead  oldest
          email           12          0        0       0        0      0     0      2s

        Pushed 41 data points.

        """)
  }

  @Test func `of an empty outbox`() {
    #expect(
      report([sample("orders", .success(quiet))], push: .delivered(points: 1)).text(plain) == """
        OK  1 outbox: 1 OK

        OK  orders  (praisonai, sqlite)
          verdict unknown: no samples yet
          destination  ready  scheduled  claimed  parked  unknown  stuck  dead  oldest
          all              0          0        0       0        0      0     0       -

        Pushed 1 data point.

        """)
  }

  @Test func `of several outboxes, the worst first`() {
    let limits = Limits(ready: .init(warning: 100), stuck: .init(warning: 1, critical: 2), dead: .init(warning: 4))
    let failure = SampleFailure(.absent, "cannot open b.db: no such file", hint: "check the path in the DSN")
    var strange = quiet
    strange.implausible = 1
    strange.replicaLag = .milliseconds(1_500)
    strange.exact = false
    #expect(
      report(
        [
          sample("a", .success(strange)), sample("b", layout: "relaycast", .failure(failure)),
          sample("c", limits: limits, .success(busy)),
          sample("d", limits: Limits(dead: .init(warning: 1)), .success(busy)),
        ], push: .failed("9 of 9 data points did not arrive at http://collector:4318: refused")
      ).text(plain) == """
        CRITICAL  4 outboxes: 1 CRITICAL, 1 UNKNOWN, 1 WARNING, 1 OK

        CRITICAL  c  (praisonai, sqlite)
          ! 2 events are stuck (lease_expired), limit 2
          ! 120 events are ready, limit 100
          ! 4 events are dead, limit 4
          verdict unknown: no samples yet
          destination  ready  scheduled  claimed  parked  unknown  stuck  dead  oldest
          email          120          0        3       0        0      2     0  3m 20s
          sms              0          7        0       1        2      0     0  1m 30s
          fax              0          0        0       0        0      0     4       -
          all 3          120          7        3       1        2      2     4  3m 20s

        UNKNOWN  b  (relaycast, sqlite)
          ! not sampled: cannot open b.db: no such file
          verdict unknown: no samples yet
          → check the path in the DSN

        WARNING  d  (praisonai, sqlite)
          ! 4 events are dead, limit 1
          verdict unknown: no samples yet
          destination  ready  scheduled  claimed  parked  unknown  stuck  dead  oldest
          email          120          0        3       0        0      2     0  3m 20s
          sms              0          7        0       1        2      0     0  1m 30s
          fax              0          0        0       0        0      0     4       -
          all 3          120          7        3       1        2      2     4  3m 20s

        OK  a  (praisonai, sqlite)
          verdict unknown: no samples yet
          destination  ready  scheduled  claimed  parked  unknown  stuck  dead  oldest
          all              0          0        0       0        0      0     0       -
          1 event with impossible times, counted in the depth and in no age
          read from a replica that is 1.5s behind
          some figures are estimates

        The push failed: 9 of 9 data points did not arrive at http://collector:4318: refused

        """)
  }

  @Test func `of one outbox says why in its first line`() {
    let text = report([sample("o", .failure(SampleFailure(.timeout, "no answer")))]).text(plain)
    #expect(text.hasPrefix("UNKNOWN  1 outbox: not sampled: no answer\n"))
    #expect(text.hasSuffix("\nNothing was pushed: no OTLP endpoint is configured.\n"))
  }

  @Test func `of nothing is unknown`() {
    #expect(
      report([]).text(plain) == """
        UNKNOWN  0 outboxes: nothing is watched

        Nothing was pushed: no OTLP endpoint is configured.

        """)
    #expect(report([]).health == .unknown)
  }

  @Test func `of a queue that is not in use yet has no table`() {
    let unused = Snapshot(storeTime: morning, missingPath: "/state/o.sqlite")
    let lines = report([sample("o", .success(unused))]).text(plain).split(separator: "\n")
    #expect(lines[3] == "  not in use yet: /state/o.sqlite is not there; if the application is running, check the path")
    #expect(!lines.contains { $0.contains("destination") })
  }

  @Test func `of many destinations shows the busiest and counts the rest`() {
    func rows(_ count: Int) -> [Substring] {
      let depths = (1...count).map {
        Snapshot.Depth(destination: "d\($0)", state: .ready, retry: false, count: $0)
      }
      let text = report([sample("o", .success(Snapshot(storeTime: morning, depths: depths)))]).text(plain)
      return text.split(separator: "\n").dropFirst(4).dropLast()
    }
    let twelve = rows(12)
    #expect(twelve.count == 13)
    #expect(twelve.first?.hasPrefix("  d12 ") == true)
    #expect(twelve.last?.split(separator: " ").prefix(3) == ["all", "12", "78"])

    let thirteen = rows(13)
    #expect(thirteen.count == 12)
    #expect(thirteen[thirteen.startIndex + 9].hasPrefix("  d4 "))
    #expect(thirteen[thirteen.startIndex + 10] == "  … 3 more destinations")
    #expect(thirteen.last?.split(separator: " ").prefix(3) == ["all", "13", "91"])
  }

  @Test func `orders equally busy destinations by name`() {
    let depths = ["b", "c", "a"].map { Snapshot.Depth(destination: $0, state: .ready, retry: false, count: 1) }
    let text = report([sample("o", .success(Snapshot(storeTime: morning, depths: depths)))]).text(plain)
    #expect(text.split(separator: "\n")[4...6].map { $0.split(separator: " ")[0] } == ["a", "b", "c"])
  }

  @Test func `names the events worth looking at, where there are any`() {
    var snapshot = quiet
    snapshot.eventIDs = .init(oldest: ["7", "9"], stuck: [], newestDead: ["d\u{1b}[31m"])
    let text = report([sample("o", .success(snapshot))]).text(plain)
    #expect(text.contains("\n  oldest: 7, 9\n  newest dead: d\u{fffd}[31m\n"))
    #expect(!text.contains("stuck:"))
    #expect(!report([sample("o", .success(quiet))]).text(plain).contains("oldest:"))
  }

  @Test func `has colours only where they are asked for`() {
    let limits = Limits(ready: .init(warning: 1), stuck: .init(critical: 1))
    let samples = [
      sample("a", .success(quiet)), sample("b", limits: limits, .success(busy)),
      sample("c", .failure(SampleFailure(.other, "?"))),
      sample("d", limits: Limits(dead: .init(warning: 1)), .success(busy)),
    ]
    let coloured = report(samples).text(TextStyle(isColoured: true))
    let plain = report(samples).text(self.plain)
    #expect(!plain.contains("\u{1b}"))
    for code in ["\u{1b}[1;32mOK", "\u{1b}[1;33mWARNING", "\u{1b}[1;35mUNKNOWN", "\u{1b}[1;31mCRITICAL", "\u{1b}[1mb"] {
      #expect(coloured.contains(code + "\u{1b}[0m"))
    }
    // Colours change nothing but colour.
    #expect(coloured.replacing(/\u{1b}\[[0-9;]*m/, with: "") == plain)
  }

  @Test func `hands no control characters to the terminal`() {
    let evil = "x\u{1b}[2J\u{07}\u{9b}31m\r\u{0}\u{7f}\u{202e}\u{2066}\u{2028}\ny"
    let snapshot = Snapshot(
      storeTime: morning,
      depths: [.init(destination: evil, state: .ready, retry: false, count: 1)],
      eventIDs: .init(oldest: [evil], stuck: [evil], newestDead: [evil]))
    let samples = [
      sample(evil, layout: evil, .success(snapshot)),
      sample(evil, .failure(SampleFailure(.other, evil, hint: evil))),
    ]
    for push in [CycleReport.Push.failed(evil), .notAttempted(evil)] {
      for shown in [samples, [samples[0]], [samples[1]]] {
        let text = report(shown, push: push).text(plain)
        for scalar in text.unicodeScalars where scalar != "\n" {
          #expect(scalar.properties.generalCategory != .control && !scalar.properties.isBidiControl)
          #expect(scalar.properties.generalCategory != .lineSeparator)
        }
        #expect(!text.contains("\ny"))
      }
    }
    #expect("tab\tand\nbreak".printable == "tab and break")
    #expect("Grüße 👩‍👩‍👧 नमस्ते".printable == "Grüße 👩‍👩‍👧 नमस्ते")
  }
}

@Suite struct `A table` {
  @Test func `lines up its columns and ends its lines with the last character`() {
    var table = TextTable([("name", .left), ("n", .right), ("note", .left)])
    table.add(["a", "1", "é"])
    table.add(["long name", "1000", ""])
    #expect(
      table.lines == [
        "name          n  note",
        "a             1  é",
        "long name  1000",
      ])
  }
}
