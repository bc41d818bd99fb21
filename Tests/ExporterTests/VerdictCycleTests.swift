import Assessment
import Exporter
import Metrics
import Outbox
import Testing

@Suite struct `The cycle's memory` {
  private func cycle(_ store: ScriptedStore) -> ExportCycle {
    ExportCycle(
      stores: [store], exporters: [], resource: [], environment: nil, destinationLimit: 100, interval: .seconds(15),
      build: .current, now: { OutboxSample.time }, clock: ManualTimer())
  }

  @Test func `gives an outbox a verdict once there are samples enough`() async {
    let cycle = cycle(ScriptedStore { _ in [.good("orders", ready: 0)] })
    var verdicts: [Verdict?] = []
    for _ in 0..<6 {
      let (outcome, batches) = await cycle.delivered()
      verdicts.append(outcome.assessments["orders"]?.verdict)
      #expect(batches.flatMap(\.metrics).contains { $0.instrument == MetricCatalog.verdict })
    }
    #expect(verdicts == [.unknown, .unknown, .unknown, .unknown, .idle, .idle])
  }

  @Test func `forgets an outbox that is not there any more`() async {
    let cycle = cycle(ScriptedStore { call in call == 8 ? [] : [.good("orders", ready: 0)] })
    var verdict: Verdict?
    for _ in 0..<9 { verdict = await cycle.run(eventIDs: false, patience: nil).assessments["orders"]?.verdict }
    #expect(verdict == .unknown)
  }
}
