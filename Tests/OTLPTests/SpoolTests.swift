import Outbox
import SQLiteClient
import TestSupport
import Testing

@testable import OTLP

/// A queue whose requests are in a file, and a second connection that sees what is committed.
struct SpooledQueue {
  let directory: TemporaryDirectory
  var queue = DeliveryQueue(limit: 1 << 20, start: queueEpoch)
  var notice: String?

  var path: String { directory.path + "/spool.sqlite" }

  init(in directory: TemporaryDirectory, limit: Int = 1 << 20, ageLimit: Duration? = nil) throws {
    self.directory = directory
    queue = DeliveryQueue(limit: 1 << 20, ageLimit: ageLimit, start: queueEpoch)
    let (file, notice) = try SpoolFile.open(directory.path + "/spool.sqlite", now: queueEpoch)
    queue.use(file, limit: limit)
    self.notice = notice
  }

  /// The points of the requests in the file, oldest first, and what it counts as dropped.
  func committed() throws -> (points: [Int], dropped: [DropReason: Int]) {
    let connection = try SQLiteConnection(path: path, access: .readOnly)
    var points: [Int] = []
    try connection.query("SELECT points FROM requests ORDER BY id") { points.append(Int($0.integer(0) ?? -1)) }
    var dropped: [DropReason: Int] = [:]
    try connection.query("SELECT reason, points FROM dropped") { row in
      if let reason = row.text(0).flatMap(DropReason.init) { dropped[reason] = Int(row.integer(1) ?? -1) }
    }
    return (points, dropped)
  }

  func execute(_ sql: String) throws {
    try SQLiteConnection(path: path, access: .readWrite).execute(sql)
  }
}

struct `A spool` {
  @Test func `gives the next exporter what it was given, in order, with what was counted`() throws {
    let directory = try TemporaryDirectory()
    do {
      var first = try SpooledQueue(in: directory, limit: 30)
      for number in 1...4 { _ = first.queue.append([queued(number, after: Double(number))]) }
      first.queue.removeHead()
      first.queue.countDropped(7, .tooLarge)
      #expect(try first.committed() == ([3, 4], [.full: 1, .tooLarge: 7]))
    }
    var compressed = queued(5, after: 5)
    compressed.compression = .gzip
    var second = try SpooledQueue(in: directory)
    _ = second.queue.append([compressed])
    #expect(second.notice == nil && second.queue.start == queueEpoch && second.queue.spooledPointCount == 12)
    #expect(second.queue.dropped == [.full: 1, .tooLarge: 7])
    for expected in [queued(3, after: 3), queued(4, after: 4), compressed] {
      #expect(second.queue.head() == expected)
      second.queue.removeHead()
    }
    #expect(second.queue.isEmpty && second.queue.spooledByteCount == 0)
    #expect(try second.committed().points == [])
  }

  @Test func `keeps its start time for as long as it lives`() throws {
    let directory = try TemporaryDirectory()
    _ = try SpoolFile.open(directory.path + "/s", now: queueEpoch)
    let later = queueEpoch.advanced(by: .seconds(60))
    #expect(try SpoolFile.open(directory.path + "/s", now: later).0.start == queueEpoch)
    #expect(try SpoolFile.open(directory.path + "/t", now: later).0.start == later)
  }

  @Test func `removes and counts in one transaction`() throws {
    var spooled = try SpooledQueue(in: TemporaryDirectory(), limit: 30)
    for number in 1...3 { _ = spooled.queue.append([queued(number)]) }
    // Removing works, counting does not: nothing may have happened.
    try spooled.execute(
      "CREATE TRIGGER t BEFORE INSERT ON dropped BEGIN SELECT RAISE(ABORT, 'no counting today'); END")
    spooled.queue.removeHead(.rejected)
    #expect(try spooled.committed() == ([1, 2, 3], [:]))
    #expect(spooled.queue.dropped == [.rejected: 1] && spooled.queue.head()?.pointCount == 2)
    #expect(spooled.queue.spoolError?.message.contains("no counting today") == true)
    // What could not be told is told with the next transaction.
    try spooled.execute("DROP TRIGGER t")
    spooled.queue.removeHead(.rejected, lost: 1)
    #expect(try spooled.committed() == ([3], [.rejected: 2]))
    #expect(spooled.queue.spoolError == nil)
  }

  @Test func `that is full goes on in memory, in order, until there is room`() throws {
    var spooled = try SpooledQueue(in: TemporaryDirectory())
    _ = spooled.queue.append([queued(1)])
    try spooled.execute(
      "CREATE TRIGGER t BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'full'); END")
    _ = spooled.queue.append([queued(2)])
    #expect(spooled.queue.spoolError != nil && spooled.queue.byteCount == 10)
    try spooled.execute("DROP TRIGGER t")
    _ = spooled.queue.append([queued(3)])
    #expect(spooled.queue.spoolError == nil)
    #expect(try spooled.committed().points == [1, 3])
    for number in 1...3 {
      #expect(spooled.queue.head() == queued(number))
      spooled.queue.removeHead()
    }
  }

  @Test func `on a full file system says so`() throws {
    let directory = try TemporaryDirectory()
    let file = try SpoolFile.open(directory.path + "/spool.sqlite", now: queueEpoch).0
    try file.connection.execute("PRAGMA max_page_count = 8")
    var queue = DeliveryQueue(limit: 1 << 20, start: queueEpoch)
    queue.use(file, limit: 1 << 20)
    _ = queue.append([queued(1, size: 100_000)])
    #expect(queue.spoolError?.kind == .full)
    #expect(queue.spoolError?.advice == "Make room on its file system")
    #expect(queue.head() == queued(1, size: 100_000))
  }

  @Test func `that was changed on the disk gives back nothing wrong`() throws {
    var spooled = try SpooledQueue(in: TemporaryDirectory())
    _ = spooled.queue.append([queued(1)])
    _ = spooled.queue.append([queued(2)])
    try spooled.execute("UPDATE requests SET body = x'00' WHERE id = 1")
    #expect(spooled.queue.head() == nil && !spooled.queue.isEmpty)
    spooled.queue.removeHead(.corrupt)
    #expect(spooled.queue.head() == queued(2))
    #expect(try spooled.committed() == ([2], [.corrupt: 1]))
  }

  enum Damage: CaseIterable { case noDatabase, pages, table, version }

  @Test(arguments: Damage.allCases)
  func `that is damaged is set aside, said, and begins anew`(damage: Damage) throws {
    let directory = try TemporaryDirectory()
    do {
      var spooled = try SpooledQueue(in: directory)
      for number in 1...9 { _ = spooled.queue.append([queued(number, size: 5000)]) }
      switch damage {
      case .noDatabase, .pages: break
      case .table: try spooled.execute("DROP TABLE accounts")
      case .version: try spooled.execute("PRAGMA user_version = 99")
      }
    }
    switch damage {
    case .noDatabase: try directory.write("this is no database, whatever its name says", to: "spool.sqlite")
    case .pages:
      #expect(
        try run(
          "dd",
          [
            "if=/dev/zero", "of=\(directory.path)/spool.sqlite", "bs=4096", "seek=1", "count=9",
            "conv=notrunc",
          ]
        ).code == 0)
    case .table, .version: break
    }
    var spooled = try SpooledQueue(in: directory)
    let notice = try #require(spooled.notice)
    let aside = directory.path + "/spool.sqlite.damaged-1800000000"
    #expect(notice.contains(aside) && notice.contains("was damaged ("), "\(notice)")
    #expect(try run("test", ["-s", aside]).code == 0)
    #expect(spooled.queue.isEmpty && spooled.queue.dropped.isEmpty)
    _ = spooled.queue.append([queued(1)])
    #expect(try spooled.committed().points == [1])
  }

  @Test func `has a name that a new token does not change, and one for each destination`() {
    let paths = Spool.paths(
      in: "/state",
      [
        OTLPDestination(endpoint: "http://a:4318/v1/metrics?token=1"),
        OTLPDestination(endpoint: "http://b:4318/v1/metrics"),
        OTLPDestination(endpoint: "http://a:4318/v1/metrics?token=2"),
      ])
    #expect(Set(paths).count == 3 && paths[2] == paths[0].replacing(".sqlite", with: "-2.sqlite"))
    #expect(
      paths[0] == Spool.paths(in: "/state", [OTLPDestination(endpoint: "http://a:4318/v1/metrics?token=3")])[0])
    #expect(paths.allSatisfy { $0.wholeMatch(of: /\/state\/spool-[0-9a-f]{16}(-2)?\.sqlite/) != nil })
  }

  /// Against a model: a list of requests and a table of counts.
  @Test(arguments: 1...20)
  func `does what a list would do, whenever the process ends`(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let directory = try TemporaryDirectory()
    let (limit, age) = (60, 50.0)
    var model: [QueuedRequest] = []
    var dropped: [DropReason: Int] = [:]
    var spooled = try SpooledQueue(in: directory, limit: limit, ageLimit: .seconds(age))
    var time = 0.0
    for number in 1...120 {
      time += Double.random(in: 0...12, using: &random)
      let now = queueEpoch.advanced(by: .seconds(time))
      func expire() {
        while let first = model.first, now.since(first.created) > .seconds(age) {
          dropped[.tooOld, default: 0] += model.removeFirst().pointCount
        }
        while model.count > 1, model.reduce(0, { $0 + $1.body.count }) > limit {
          dropped[.full, default: 0] += model.removeFirst().pointCount
        }
      }
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let request = queued(number, size: Int.random(in: 1...30, using: &random), after: time)
        _ = spooled.queue.append([request])
        model.append(request)
        expire()
      case 6..<9:
        _ = spooled.queue.enforceLimits(at: now)
        expire()
        #expect(spooled.queue.head() == model.first, "seed \(seed)")
        guard !model.isEmpty else { continue }
        let lost = Bool.random(using: &random) ? Int.random(in: 1...model[0].pointCount, using: &random) : 0
        spooled.queue.removeHead(lost > 0 ? .rejected : nil, lost: lost)
        if lost > 0 { dropped[.rejected, default: 0] += lost }
        model.removeFirst()
      default:
        spooled = try SpooledQueue(in: directory, limit: limit, ageLimit: .seconds(age))
      }
      #expect(spooled.queue.dropped == dropped, "seed \(seed)")
      #expect(spooled.queue.pointCount == model.reduce(0) { $0 + $1.pointCount }, "seed \(seed)")
      #expect(try spooled.committed() == (model.map(\.pointCount), dropped), "seed \(seed)")
    }
  }
}

/// Steele and others 2014.
private struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
