import Assessment
import Outbox
import Reports
import Testing

@Test func `a status line names the worst outbox and why, in one line`() {
  let limits = Limits(dead: .init(warning: 1))
  #expect(report([sample("orders", .success(quiet))]).statusLine == "OK: 1 outbox")
  #expect(report([]).statusLine == "nothing is watched")
  let failed = sample("bots", .failure(SampleFailure(.timeout, "no answer\nin \u{1b}5s")))
  #expect(
    report([sample("orders", limits: limits, .success(busy)), failed, sample("mail", .success(quiet))]).statusLine
      == "UNKNOWN: bots: not sampled: no answer in \u{fffd}5s; 2 more")
  #expect(
    report([sample("mail", .success(quiet)), sample("orders", limits: limits, .success(busy))]).statusLine
      == "WARNING: orders: 4 events are dead, limit 1; 1 more")
}
