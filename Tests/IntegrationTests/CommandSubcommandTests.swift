import SQLiteClient
import TestSupport
import Testing

/// What the command prints about itself.
@Suite struct `Subcommands` {
  private func lines(_ outcome: ExporterCommand.Outcome) -> [String] {
    outcome.output.split(separator: "\n").map(String.init)
  }

  // MARK: - Layouts

  /// Name and kind of store of each layout, by the listing.
  private func listed(_ fixture: CommandFixture) throws -> [(name: String, system: String)] {
    let outcome = try fixture.run(["layouts"])
    #expect(outcome.code == 0 && outcome.error == "")
    return lines(outcome).dropFirst().map { line in
      let words = line.split(separator: " ", maxSplits: 2).map { String($0.filter { $0 != "," }) }
      return (words[0], words[1])
    }
  }

  @Test func `every layout that is listed can be copied into a file and used`() throws {
    let fixture = try CommandFixture()
    let layouts = try listed(fixture)
    #expect(layouts.map(\.name).contains("praisonai") && layouts.map(\.name).contains("kaireon") && layouts.count >= 7)
    for (name, system) in layouts {
      let yaml = try fixture.run(["layouts", name])
      #expect(yaml.code == 0 && yaml.output.hasPrefix("layouts:\n  \(name):\n"), "\(yaml)")
      let dsn = system == "postgresql" ? "postgresql://monitor@db/shop" : "\(system):x"
      let copied = yaml.output.replacing("\n  \(name):\n", with: "\n  copied:\n")
      let configured = try fixture.configured(copied + "outboxes: [{dsn: \"\(dsn)\", layout: copied}]\n")
      let outcome = try fixture.run(["--print-config"] + configured)
      #expect(outcome.code == 0 && outcome.output.contains("copied"), "\(name): \(outcome)")
      // What is printed of the whole configuration can be read again, too.
      if system != "postgresql" {
        try fixture.exporter.home.write(outcome.output, to: "printed.yaml")
        let again = try fixture.run(["--print-config", "--config", "printed.yaml"])
        // The comments tell what was not written in the file; now it is.
        #expect(lines(again) == lines(outcome).filter { !$0.hasPrefix("#") }, "\(name): \(again)")
      }
    }
  }

  @Test func `a copied layout samples what the built-in one does`() throws {
    let fixture = try CommandFixture()
    try fixture.writeOutbox(
      waiting: [5_000, 20, 10],
      more: "INSERT INTO outbound_queue VALUES ('s', 'slack:1', '', 'sending', 0, unixepoch() - 900, unixepoch() - 900)"
    )
    let copied = try fixture.run(["layouts", "praisonai"]).output.replacing("\n  praisonai:\n", with: "\n  copied:\n")
    let configured = try fixture.configured(
      copied + """
        outboxes:
          - {name: one, dsn: "sqlite:outbox.sqlite", layout: praisonai}
          - {name: other, dsn: "sqlite:outbox.sqlite", layout: copied}

        """)
    let outcome = try fixture.run(["--once"] + configured)
    #expect(outcome.code == 2, "\(outcome)")
    let reports = outcome.output.components(startingWith: "CRITICAL  ").dropFirst(2).map { report in
      report.split(separator: "\n").dropFirst().filter { $0.hasPrefix("  ") }
    }
    #expect(reports.count == 2 && reports.first == reports.last && reports.first?.isEmpty == false)
  }

  // MARK: - SQL

  @Test(.enabled(if: programOnPath("sqlite3") != nil, "sqlite3 is not on PATH"))
  func `the statements for SQLite run in its shell as they are printed`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(
      waiting: [30, 20, 10],
      more: "INSERT INTO outbound_queue VALUES ('s', 'slack:1', '', 'permanent_failure', 5, unixepoch() - 900, 1)")
    let printed = try fixture.run(["sql"] + arguments)
    #expect(printed.code == 0 && printed.output.hasPrefix("-- praisonai (praisonai, sqlite)\n"), "\(printed)")
    try fixture.exporter.home.write(printed.output, to: "sample.sql")
    let rows = try fixture.exporter.runShell("sqlite3 -readonly outbox.sqlite <sample.sql")
    #expect(rows.code == 0 && rows.error == "", "\(rows)")
    // Destination, state, retry, reason for being stuck, count.
    let figures = lines(rows).map {
      $0.split(separator: "|", omittingEmptySubsequences: false).prefix(5).joined(separator: " ")
    }
    #expect(Set(figures) == ["telegram ready 0  3", "slack dead 0  1"])
  }

  @Test func `a directory has no SQL, and that is said`() throws {
    let outcome = try CommandFixture().run(["sql", "--dsn", "files:queue", "--layout", "openclaw-files"])
    #expect(outcome.code == 0 && outcome.output.contains("A directory has no SQL"), "\(outcome)")
  }

  @Test func `statements of a database that is not there end with 3`() throws {
    let outcome = try CommandFixture().run(["sql", "--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai"])
    #expect(outcome.code == 3 && outcome.error.contains("there is no file nowhere/x.db; check the path"), "\(outcome)")
  }

  // MARK: - Metrics, version, help

  @Test func `every metric that arrives is in the list of metrics`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let list = try fixture.run(["metrics"])
    #expect(list.code == 0 && list.error == "")
    let names = Set(lines(list).dropFirst().prefix { !$0.isEmpty }.map { $0.prefix { $0 != " " } })
    #expect(lines(list).contains { $0.contains("outbox.depth") && $0.contains("outbox_depth") })
    _ = try fixture.run(["--once", "--endpoint", server.url("")] + fixture.writeOutbox(waiting: [5]))
    let arrived = server.requests.flatMap { ReceivedFigure.all(in: $0.body) }.map(\.metric)
    #expect(!arrived.isEmpty)
    for metric in Set(arrived) { #expect(names.contains(metric[...]), "\(metric)") }
  }

  @Test func `the version`() throws {
    let outcome = try CommandFixture().run(["--version"])
    #expect(outcome.code == 0 && outcome.error == "")
    let number = outcome.output.split(separator: " ")[0].split(separator: ".")
    #expect(number.count == 3 && number.allSatisfy { Int($0) != nil }, "\(outcome)")
  }

  @Test func `help teaches`() throws {
    let fixture = try CommandFixture()
    let help = try fixture.run(["--help"])
    #expect(help.code == 0 && help.error == "")
    for word in [
      "As a sidecar:", "As a health check", "0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN", "OTEL_EXPORTER_OTLP_ENDPOINT",
      "--once --dsn sqlite:", "outbox-exporter demo", "layouts", "sql", "metrics",
    ] { #expect(help.output.contains(word), "\(word) is not in \(help.output)") }
    let run = try fixture.run(["run", "--help"])
    for word in ["64", "78", "--dsn", "--layout", "--state-dir", "--liveness-file", "--no-ids", "--print-config"] {
      #expect(run.output.contains(word), "\(word) is not in \(run.output)")
    }
    for subcommand in ["run", "layouts", "sql", "metrics", "demo"] {
      #expect(try fixture.run([subcommand, "--help"]).code == 0)
    }
  }

  // MARK: - The configuration in force

  @Test func `the configuration is printed without its secrets`() throws {
    let fixture = try CommandFixture()
    let secret = CommandFixture.secret
    try fixture.exporter.home.write("Authorization: Bearer \(secret)\n", to: "headers")
    try fixture.exporter.home.write("host=db user=shop password=\(secret)", to: "dsn")
    let configured = try fixture.configured(
      """
      environment: production
      outboxes:
        - {name: a, dsn: "postgresql://shop:\(secret)@db/shop?sslpassword=\(secret)", layout: kaireon}
        - {name: b, dsn_file: dsn, layout: kaireon}
        - {name: c, dsn: "${env:SHOP_DSN}", layout: kaireon, objective: {age: 60s, target: 0.999}}
      export:
        - {endpoint: "http://collector:4318?token=\(secret)", headers: {X-Token: \(secret)}, headers_file: headers}
      """)
    let outcome = try fixture.run(
      ["--print-config"] + configured,
      environment: ["SHOP_DSN": "postgresql://shop:\(secret)@db/c", "OTEL_EXPORTER_OTLP_HEADERS": ""])
    #expect(outcome.code == 0 && outcome.error == "", "\(outcome)")
    for word in [
      "environment: production", "name: c", "layout: kaireon", "X-Token: \"•••\"", "Authorization: \"•••\"", "age: 1m",
    ] {
      #expect(outcome.output.contains(word), "\(word) is not in \(outcome.output)")
    }
    // Three DSNs, two headers, one query.
    #expect(outcome.output.split(separator: "•••", omittingEmptySubsequences: false).count == 7, "\(outcome.output)")
    let variables = try fixture.run(
      ["--print-config", "--layout", "kaireon"],
      environment: [
        "OUTBOX_DSN": "postgresql://shop:\(secret)@db/shop", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h/?key=\(secret)",
      ])
    #expect(variables.code == 0 && variables.output.contains("•••"), "\(variables)")
  }
}

extension String {
  /// The text cut before each of these beginnings.
  fileprivate func components(startingWith beginning: String) -> [Substring] {
    split(separator: beginning, omittingEmptySubsequences: false)
  }
}
