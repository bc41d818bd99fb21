import TestSupport
import Testing

/// PraisonAI's own library, from PyPI, fills its outbox in a process of its own while the sidecar watches.
@Suite(programs("otelcol", "sqlite3"), .enabled(if: EndToEndPraisonAI.python != nil, "OUTBOX_TEST_PYTHON is not set"))
struct EndToEndPraisonAITests {
  @Test func `what PraisonAI's library leaves behind arrives in the Collector as SQL counts it`() async throws {
    let directory = try TemporaryDirectory()
    let collector = try OTLPReceiver.collector()
    let exporter = try EndToEndExporter(
      """
      interval: 200ms
      end_series_on_stop: false
      outboxes:
        - {name: bots, dsn: "sqlite:\(directory.path)/outbox.sqlite", layout: praisonai}
        - {name: dead, dsn: "sqlite:\(directory.path)/state/*/*_dlq.sqlite", layout: praisonai}
      export: [{url: "\(collector.endpoint)"}]
      """)
    func cycles() -> Int { collector.exportsListed }
    // It watches before there is a file; nothing of the waiting for one may be left in the end.
    #expect(await happens { cycles() >= 1 || !exporter.isRunning })
    let bot = try EndToEndPraisonAI.start(in: directory)
    let started = cycles()
    #expect(await happens { cycles() >= started + 5 || !bot.isRunning })
    try directory.write("", to: "stop")
    #expect(bot.wait() == 0, "\(bot.standardError)")
    let quiet = cycles()
    #expect(await happens { cycles() >= quiet + 3 || !exporter.isRunning })
    #expect(exporter.stop() == 0)
    #expect(exporter.complaintsAboutDelivery == [])

    let dump = collector.dump
    let all = EndToEndPoint.points(dump)
    let cycle = try #require(all.last { $0.metric == "outbox_build" }).time
    let last = all.filter { $0.time >= cycle }
    try expectFigures(of: last, in: directory)
    expectTheRest(of: last, all: all)

    // Every point before the last export was counted as exported, or was still on its way.
    let before = dump.points.count { Double($0.time) / 1e9 < cycle }
    let counted = last.filter { $0.metric.hasPrefix("otel_sdk_exporter_metric_data_point") }.map(\.value).reduce(0, +)
    #expect(Int(counted) == before)

    // The sidecar did not sleep while the library wrote.
    let depths = Dictionary(grouping: all.filter { $0.metric == "outbox_depth" && $0.outbox == "bots" }, by: \.time)
    #expect(Set(depths.values.map { $0.map(\.value).reduce(0, +) }).count >= 3)
  }

  private func expectFigures(of last: [EndToEndPoint], in directory: TemporaryDirectory) throws {
    let seen = wallSeconds()
    let outboxes = [
      ("bots", "outbox.sqlite", EndToEndPraisonAI.outboundQueue),
      ("dead/telegram/outbound_dlq", "state/telegram/outbound_dlq.sqlite", EndToEndPraisonAI.outboundDeadLetters),
      ("dead/telegram/inbound_dlq", "state/telegram/inbound_dlq.sqlite", EndToEndPraisonAI.inboundDeadLetters),
      ("dead/slack/outbound_dlq", "state/slack/outbound_dlq.sqlite", EndToEndPraisonAI.outboundDeadLetters),
    ]
    for (name, file, events) in outboxes {
      // A back-off goes on while the test looks: the figures are those of the moment of the sample.
      let time = try #require(last.first { $0.metric == "outbox_up" && $0.outbox == name }, "\(name)").time
      let lines = try EndToEndSQL.sqlite("\(directory.path)/\(file)", EndToEndSQL.figures(events, now: "\(time)"))
      let figures = EndToEndFigures(lines, outbox: name, stuckReasons: ["lease_expired"])
      #expect(figures.differences(from: last, seen: seen) == [])
      if name == "bots" {
        // Guards against a comparison of nothing with nothing.
        for state in ["ready", "scheduled", "claimed"] { #expect(lines.contains("|\(state)|true|"), "\(lines)") }
        #expect(lines.contains("stuck|telegram|lease_expired") && lines.contains("dlq|slack"), "\(lines)")
      }
    }
    #expect(Set(last.map(\.outbox)).subtracting([""]) == Set(outboxes.map(\.0)))
  }

  /// The points that are not figures of the store.
  private func expectTheRest(of last: [EndToEndPoint], all: [EndToEndPoint]) {
    for point in last where !EndToEndNames.figures.contains(point.metric) {
      let samples = all.filter { $0.metric == "outbox_up" && $0.outbox == point.outbox }
      switch point.metric {
      case "outbox_up":
        #expect(point.value == 1)
        #expect(point.labels["outbox_layout"] == "praisonai" && point.labels["db_system_name"] == "sqlite")
      case "outbox_sample_exact", "outbox_build": #expect(point.value == 1)
      case "outbox_sample_interval_seconds": #expect(point.value == 0.2)
      case "outbox_sample_time_seconds": #expect(abs(point.value - point.time) < 0.000_01)
      case "outbox_sample_duration_seconds":
        let isHead = point.labels["outbox_sample_kind"] == "head"
        #expect(Int(point.value) == (isHead ? 0 : samples.count), "\(point)")
      case "outbox_sample_failures_total":
        // The library creates a file first and its table then: a sample between the two says so.
        #expect(Int(point.value) == samples.count { $0.value == 0 } && point.labels["error_type"] == "schema")
      case "outbox_sample_skipped_total", "outbox_drain_time_seconds": #expect(point.value >= 0)
      case "outbox_verdict": #expect(point.value == 0 || point.value == 1)
      case "outbox_spool_depth", "outbox_spool_age_seconds": #expect(point.value >= 0)
      case let metric where EndToEndNames.movements.contains(metric):
        // Delivered messages stay in the queue; a mere dead-letter file has no times of delivery.
        #expect(point.labels["outbox_accounting"] == (point.outbox == "bots" ? "history" : "statistics"), "\(point)")
      case "outbox_spool_dropped_total": #expect(point.value == 0)
      default: #expect(point.metric.hasPrefix("otel_sdk_exporter_"), "\(point)")
      }
    }
    let kinds = Dictionary(grouping: last) { $0.outbox }.mapValues { Set($0.map(\.metric)) }
    let ofOutbox = EndToEndNames.figures.union([
      "outbox_up", "outbox_sample_exact", "outbox_sample_interval_seconds", "outbox_sample_time_seconds",
      "outbox_sample_duration_seconds", "outbox_sample_skipped_total", "outbox_verdict",
    ])
    for (outbox, metrics) in kinds where !outbox.isEmpty {
      let sometimes: Set = ["outbox_sample_failures_total", "outbox_drain_time_seconds"]
      #expect(metrics.subtracting(sometimes.union(EndToEndNames.movements)) == ofOutbox, "\(outbox)")
      #expect(metrics.isSuperset(of: ["outbox_enqueued_total", "outbox_deliveries_total"]), "\(outbox)")
    }
    #expect(
      kinds[""] == [
        "outbox_build", "outbox_spool_depth", "outbox_spool_age_seconds", "outbox_spool_dropped_total",
        "otel_sdk_exporter_metric_data_point_exported_total",
        "otel_sdk_exporter_metric_data_point_inflight", "otel_sdk_exporter_operation_duration_seconds",
      ])
  }
}

/// PraisonAI's library at work, and what hand-written SQL says of its three tables.
enum EndToEndPraisonAI {
  static let python = currentEnvironment()["OUTBOX_TEST_PYTHON"]

  /// Queues, delivers and fails messages until the file `stop` appears; then leaves one of everything behind.
  static func start(in directory: TemporaryDirectory) throws -> ChildProcess {
    try directory.write(script, to: "bot.py")
    return try ChildProcess(python ?? "", [directory.path + "/bot.py", directory.path])
  }

  private static let script = """
    import asyncio, os, sys, time
    from praisonai_bot.bots import _outbox
    from praisonai_bot.bots._dlq import InboundDLQ, OutboundDLQ
    base = sys.argv[1]
    path = base + "/outbox.sqlite"
    real = time.time
    number = 0

    async def put(queue, platform):
        global number
        number += 1
        return await queue.enqueue(f"key-{number}", f"{platform}:{number}", {"text": "secret"})

    def claim(queue, key):
        assert queue._claim_entry(key, int(key.rsplit(":", 1)[1]))

    async def main():
        queue = _outbox.OutboundQueue(path, max_attempts=3, dead_letter_min_age=0)
        while not os.path.exists(base + "/stop"):
            for platform in ("telegram", "slack"):
                for outcome in ("sent", "sent", "503", "403", None):
                    key = await put(queue, platform)
                    claim(queue, key)
                    if outcome == "sent":
                        await queue.mark_sent(key)
                    elif outcome:
                        await queue.mark_failed(key, outcome, permanent=outcome == "403")
            await asyncio.sleep(0.01)
        # What a process that dies leaves in flight is recovered by the next one that opens the file.
        queue = _outbox.OutboundQueue(path, max_attempts=50, dead_letter_min_age=0)
        for platform in ("telegram", "slack", "discord"):
            time.time = lambda: real() - 5000
            for count in range(7):
                key = await put(queue, platform)
                claim(queue, key)
                for _ in range(count):
                    await queue.mark_failed(key, "503")
            claim(queue, await put(queue, platform))
            time.time = lambda: real() - 400
            claim(queue, await put(queue, platform))
            time.time = real
            claim(queue, await put(queue, platform))
            for failures in (1, 6, 7):
                key = await put(queue, platform)
                for _ in range(failures):
                    await queue.mark_failed(key, "503")
            key = await put(queue, platform)
            await queue.mark_failed(key, "503")
            claim(queue, key)
            await put(queue, platform)
        for platform in ("telegram", "slack"):
            letters = OutboundDLQ(f"{base}/state/{platform}/outbound_dlq.sqlite")
            for number in range(3):
                await letters.enqueue_outbound(platform=platform, channel_id="1", reply_text="secret", error="403")
        inbound = InboundDLQ(base + "/state/telegram/inbound_dlq.sqlite")
        for number in range(5):
            inbound.enqueue(platform="telegram", user_id="1", prompt="secret", error="no agent")

    asyncio.run(main())
    """

  static let outboundQueue = """
    SELECT substr(target, 1, instr(target, ':') - 1) AS dest,
      CASE status WHEN 'permanent_failure' THEN 'dead' WHEN 'sending' THEN 'claimed'
        ELSE CASE WHEN last_attempt + min(30, 2 * power(1.8, attempts)) > now THEN 'scheduled' ELSE 'ready' END END
        AS state,
      CASE status WHEN 'failed' THEN 1 WHEN 'recovered' THEN 1 ELSE attempts > 0 END AS retry,
      CASE status WHEN 'permanent_failure' THEN last_attempt ELSE ts END AS due,
      'lease_expired' AS reason, CASE status WHEN 'sending' THEN last_attempt + 300 END AS since
    FROM outbound_queue CROSS JOIN clock WHERE status <> 'sent'
    """

  private static let deadLetters =
    "SELECT platform AS dest, 'dead' AS state, 0 AS retry, ts AS due, NULL AS reason, NULL AS since FROM "
  static let outboundDeadLetters = deadLetters + "outbound_entries"
  static let inboundDeadLetters = deadLetters + "entries"
}
