import Assessment
import Outbox
import SQLiteClient
import TestSupport
import Testing

@testable import StateDirectory

@Suite struct `A file of samples` {
  @Test func `that is damaged is set aside, which is said once, and the trend begins anew`() async throws {
    let runs = try Runs()
    for step in 0..<9 { await runs.run(standing(after: Double(step) * 300)) }
    try runs.directory.write("this is no database, and it is long enough to be taken for one", to: "samples.sqlite")
    let (assessment, trouble) = await runs.run(standing(after: 2_700))
    #expect(assessment.verdict == .unknown)
    #expect(
      trouble == "the samples of earlier runs are lost: \(runs.path): file is not a database; it is set aside as "
        + "\(runs.path).damaged, and the trend begins anew")
    #expect(runs.directory.read("samples.sqlite.damaged").hasPrefix("this is no database"))
    #expect(try runs.count() == 1)
    #expect(await runs.run(standing(after: 3_000)).trouble == nil)
  }

  @Test func `whose pages are overwritten is set aside too`() async throws {
    let runs = try Runs()
    for step in 0..<40 { await runs.run(standing(after: Double(step) * 300)) }
    let zero = "dd if=/dev/zero of=\(runs.path) bs=512 seek=1 count=40 conv=notrunc status=none"
    try #require(try run("sh", ["-c", zero]).code == 0)
    let (assessment, trouble) = await runs.run(standing(after: 12_000))
    #expect(assessment.verdict == .unknown)
    #expect(trouble?.contains("set aside") == true, "\(trouble ?? "nothing")")
    #expect(try runs.count() == 1)
  }

  @Test(arguments: ["PRAGMA user_version = 2", "CREATE TABLE other (x)", "DROP TABLE samples"])
  func `of another version, or of somebody else, is set aside`(change: String) async throws {
    let runs = try Runs()
    if !change.hasPrefix("CREATE") { await runs.run(standing(after: 0)) }
    try SQLiteConnection(path: runs.path, access: .readWrite).execute(change)
    let (_, trouble) = await runs.run(standing(after: 300))
    #expect(trouble?.contains("set aside") == true, "\(trouble ?? "nothing")")
    #expect(try runs.count() == 1)
  }

  @Test func `with a line that cannot be read does without that sample`() async throws {
    let runs = try Runs()
    for step in 0..<9 { await runs.run(standing(after: Double(step) * 300)) }
    try SQLiteConnection(path: runs.path, access: .readWrite).execute(
      "UPDATE samples SET figures = 'd ready' WHERE id <= 6")
    let (assessment, trouble) = await runs.run(standing(after: 2_700))
    #expect(assessment.sentence == "4 of the 5 samples that a trend needs" && trouble == nil)
  }

  @Test func `that somebody has locked costs the trend, and is said once`() async throws {
    let runs = try Runs()
    for step in 0..<9 { await runs.run(standing(after: Double(step) * 300)) }
    let locker = try SQLiteConnection(path: runs.path, access: .readWrite)
    try locker.execute("BEGIN EXCLUSIVE")
    let memory = runs.memory()
    let window = await memory.window(of: outbox, now: epoch.advanced(by: .seconds(2_700)))
    #expect(OutboxAssessment(window, of: outbox).verdict == .unknown)
    #expect(
      await memory.takeTrouble()
        == "the samples of earlier runs cannot be read: \(runs.path): database is locked; another program has locked it"
    )
    await memory.keep([standing(after: 2_700)], now: epoch.advanced(by: .seconds(2_700)))
    #expect(await memory.takeTrouble() == nil, "it was said")
    try locker.execute("ROLLBACK")
    await memory.keep([standing(after: 2_700)], now: epoch.advanced(by: .seconds(2_700)))
    #expect(await memory.takeTrouble() == nil)
    #expect(try runs.count() == 10)
  }

  @Test func `on a full file system says so`() throws {
    let runs = try Runs()
    let file = try SampleFile(runs.path)
    try file.connection.execute("PRAGMA max_page_count = 4")
    var many = Snapshot(storeTime: epoch)
    for number in 0..<2_000 {
      many.depths.append(.init(destination: "destination \(number)", state: .ready, retry: false, count: 1))
    }
    do throws(SQLiteError) {
      try file.add([("s", SampleFile.Entry(startedAt: epoch, snapshot: many))], .once)
      Issue.record("there was room")
    } catch {
      #expect(error.kind == .full)
    }
    #expect(try file.entries("s").isEmpty)
  }
}
