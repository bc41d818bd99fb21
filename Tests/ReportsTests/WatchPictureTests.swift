import Assessment
import Outbox
import Reports
import Testing

@Suite struct `The picture of watch` {
  private func lines(_ columns: Int, _ rows: Int, isASCII: Bool = false, isColoured: Bool = false) -> String {
    let canvas = WatchCanvas(columns: columns, rows: rows, isColoured: isColoured, isASCII: isASCII)
    return WatchPicture(WatchStory.night, interval: .seconds(5), footer: "q quits", on: canvas).lines
      .joined(separator: "\n")
  }

  @Test func `has the worst first, and below it why, in 80 columns`() {
    #expect(
      lines(80, 24) == """
        CRITICAL  4 outboxes: 1 CRITICAL, 1 UNKNOWN, 2 OK            every 5s  08:03:15Z

          outbox    verdict         backlog   oldest       rate  last 3m
        X orders    stalled              77   2m 15s     +0.4/s  ▃▃▃▃▃▃▃▃▄▄▅▅▆▆▆▇▇███
            ! stalled: 77 events due, none left in 2m 10s and none was tried; the
              oldest waits 2m 15s
            77 ready, 4 dead
            destination             ready   oldest  stuck   dead
            email                      74   2m 15s      0      0  stalled
            sms                         3   2m 15s      0      0  stalled
            fax                         0        -      0      4
            backlog ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▄▄▄▄▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇█████  peak 77
        ? payments  unknown               -        -          -  ▂▂▂▂▂▃▃▄▄▅▅▅▆▆▇▇███
            ! not sampled: the store has not answered yet
            → a network file system or a server hangs; its answer is taken whenever it
              comes
            last seen 15s ago: backlog 36, oldest 2s
            backlog ▁▂▂▂▂▂▂▂▂▂▃▃▃▃▄▄▄▄▄▅▅▅▅▅▆▆▆▆▇▇▇▇▇████     peak 36
          billing   draining            490       1m      -18/s  ███▇▇▇▆▆▆▅▅▅▄▄▃▃▃▂▂▂
            draining: 490 events ready, 18 a second fewer; empty in 27s (24s to 29s)
            490 ready
          audit     idle                  0        -        0/s  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
            idle: nothing is due
        q quits
        """)
  }

  @Test func `has a column for the time to drain where there is room, and the keys in the last row`() {
    let filled = """
      CRITICAL  4 outboxes: 1 CRITICAL, 1 UNKNOWN, 2 OK                                                    every 5s  08:03:15Z

        outbox    verdict         backlog   oldest       rate   drains  last 3m
      X orders    stalled              77   2m 15s     +0.4/s        -  ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▄▄▄▄▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇█████
          ! stalled: 77 events due, none left in 2m 10s and none was tried; the oldest waits 2m 15s
          77 ready, 4 dead
          destination                       ready   oldest  stuck   dead
          email                                74   2m 15s      0      0  stalled
          sms                                   3   2m 15s      0      0  stalled
          fax                                   0        -      0      4
      ? payments  unknown               -        -          -        -  ▁▂▂▂▂▂▂▂▂▂▃▃▃▃▄▄▄▄▄▅▅▅▅▅▆▆▆▆▇▇▇▇▇████
          ! not sampled: the store has not answered yet
          → a network file system or a server hangs; its answer is taken whenever it comes
          last seen 15s ago: backlog 36, oldest 2s
        billing   draining            490       1m      -18/s      27s  ██████▇▇▇▇▇▇▆▆▆▆▆▅▅▅▅▅▅▄▄▄▄▄▃▃▃▃▃▃▂▂▂▂▂▂
          draining: 490 events ready, 18 a second fewer; empty in 27s (24s to 29s)
          490 ready
        audit     idle                  0        -        0/s        -  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
          idle: nothing is due
      """
    #expect(lines(120, 40) == filled + String(repeating: "\n", count: 21) + "q quits")
  }

  @Test func `leaves out the least important in a small terminal`() {
    #expect(
      lines(40, 10) == """
        CRITICAL  4 outboxes: 1 CRITICAL, 1 UNK…
          outbox    verdict         ready    age
        X orders    stalled            77     2m
          ! stalled: 77 events due, none left
            in 2m 10s and none was tried; the
            oldest waits 2m 15s
        ? payments  unknown             -      -
          ! not sampled: the store has not
          billing   draining          490     1m
          audit     idle                0      -
        """)
  }

  @Test func `is one block of plain text with the time in a pipe, cut nowhere`() {
    let lines = WatchPicture(WatchStory.night, interval: .seconds(5), footer: "q quits", on: WatchCanvas()).lines
    #expect(
      lines.joined(separator: "\n") == """
        2027-01-15T08:03:15.250Z  CRITICAL  4 outboxes: 1 CRITICAL, 1 UNKNOWN, 2 OK
          outbox    verdict         backlog   oldest       rate   drains
        X orders    stalled              77   2m 15s     +0.4/s        -
            ! stalled: 77 events due, none left in 2m 10s and none was tried; the oldest waits 2m 15s
            destination             ready   oldest  stuck   dead
            email                      74   2m 15s      0      0  stalled
            sms                         3   2m 15s      0      0  stalled
            fax                         0        -      0      4
        ? payments  unknown               -        -          -        -
            ! not sampled: the store has not answered yet
            → a network file system or a server hangs; its answer is taken whenever it comes
            last seen 15s ago: backlog 36, oldest 2s
          billing   draining            490       1m      -18/s      27s
            draining: 490 events ready, 18 a second fewer; empty in 27s (24s to 29s)
          audit     idle                  0        -        0/s        -
        """)
  }

  @Test func `is ASCII where the locale has nothing else, and coloured apart from that`() {
    let coloured = lines(80, 12, isASCII: true, isColoured: true)
    #expect(coloured.utf8.allSatisfy { $0 < 0x7f })
    #expect(coloured.contains("\u{1b}[1;31mstalled       \u{1b}[0m"))
    #expect(coloured.contains("\n    -> a network file system or a server hangs; its answer is taken whenever\n"))
    #expect(lines(80, 12, isASCII: true).contains("  ::::::::--==+++**###\n"))
  }
}
