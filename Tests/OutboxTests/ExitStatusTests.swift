import Outbox
import Testing

// Swift Testing has an ExitStatus too, hence the module's name below.
struct ExitStatusTests {
  /// The numbers are those of the monitoring plugins' guidelines and of sysexits.h.
  @Test func `the numbers are what monitoring systems and shells expect`() {
    #expect(Outbox.ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3, 64, 69, 78])
  }

  @Test(
    arguments: [
      ([], Outbox.ExitStatus.ok), ([.ok, .ok], .ok), ([.ok, .warning], .warning),
      ([.unknown, .warning, .ok], .unknown),
      ([.unknown, .critical, .warning], .critical),
    ] as [([Outbox.ExitStatus], Outbox.ExitStatus)])
  func `critical beats unknown beats warning beats ok`(statuses: [Outbox.ExitStatus], worst: Outbox.ExitStatus) {
    #expect(Outbox.ExitStatus.worst(statuses) == worst)
    #expect(Outbox.ExitStatus.worst(statuses.reversed()) == worst)
  }
}
