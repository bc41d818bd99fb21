import Outbox
import TestSupport
import Testing

/// A workload with the sidecar that counts it.
struct AccountingOracle {
  static let python = currentEnvironment()["OUTBOX_TEST_PYTHON"]
  static let objective = Duration.seconds(2)
  private static let script = "\(ProjectFiles.root)/Tests/Workload/workload.py"

  private let command: ExporterCommand
  private let one: OracleCase
  private let address: String
  private var control: String { command.path("control") }

  init(_ one: OracleCase, endpoint: String) throws {
    command = try ExporterCommand()
    self.one = one
    try command.home.write("", to: "control/made")
    let dsn: String
    switch one.store {
    case .postgresql:
      address = try TemporaryPostgres.shared().createDatabase().conninfo()
      dsn = address
    case .sqlite:
      address = command.path("outbox.sqlite")
      dsn = "sqlite:\(address)"
    case .files:
      address = command.path("queue")
      dsn = "files:\(address)"
    }
    let made = try run(Self.python ?? "", [Self.script, "make", one.system, address])
    #expect(made.code == 0, "\(one.name): \(made.error)")
    if one.methods.values.contains(.ledger) {
      let installed = try command.run(["ledger", "install", "--all", "--dsn", dsn, "--layout", one.layout])
      #expect(installed.code == 0, "\(one.name): \(installed.error)")
    }
    try command.home.write(
      """
      state_dir: \(command.path("state"))
      liveness_file: \(command.path("alive"))
      log_level: debug
      interval: 500ms
      end_series_on_stop: false
      outboxes: [{name: \(one.name), dsn: "\(dsn)", layout: \(one.layout), objective: {age: 2s, target: 0.9}}]
      export: [{url: "\(endpoint)"}]
      """, to: "exporter.yaml")
  }

  func startSidecar() throws -> ChildProcess { try command.start(["--config", command.path("exporter.yaml")]) }

  /// A sidecar that has looked at everything once: from here on it counts.
  func startCountingSidecar() async throws -> ChildProcess {
    let sidecar = try startSidecar()
    await waitForCycle(of: sidecar)
    let isCounting = try await slowly { try report().isCounting(one) }
    #expect(isCounting, "\(one.name): \(sidecar.standardError)")
    return sidecar
  }

  /// Waits until a whole cycle that begins from now on has been completed.
  func waitForCycle(of sidecar: ChildProcess) async {
    // The first one may have begun before.
    for _ in 0..<2 {
      command.home.remove("alive")
      _ = await happens { !sidecar.isRunning || command.home.exists("alive") }
    }
  }

  /// Ends the sidecar. What a busy Collector has not taken by then stays in the spool, and comes with the next one.
  ///
  /// - Returns: what the last one has logged.
  func end(_ sidecar: ChildProcess) async throws -> String {
    var sidecar = sidecar
    for _ in 0..<10 {
      sidecar.signal(15)
      sidecar.wait()
      guard sidecar.standardError.contains("stay in the spool") else { break }
      sidecar = try startSidecar()
      await waitForSamples(of: sidecar)
    }
    return Self.log(sidecar)
  }

  /// Waits until every outbox was sampled from now on: a cycle ends without a store that does not answer in time.
  func waitForSamples(of sidecar: ChildProcess) async {
    func samples() -> [String: Int] {
      let log = sidecar.standardError
      return one.outboxes.reduce(into: [:]) { $0[$1] = log.split(separator: " debug \($1): ready ").count }
    }
    let before = samples()
    // The first one may have begun before.
    _ = await slowly {
      !sidecar.isRunning || samples().allSatisfy { outbox, count in count >= (before[outbox] ?? 0) + 2 }
    }
  }

  /// The end of what a sidecar has logged for an operator.
  static func log(_ sidecar: ChildProcess) -> String {
    let lines = sidecar.standardError.split(separator: "\n").filter { !$0.contains(" debug ") }
    return String(lines.joined(separator: "\n").suffix(2_000))
  }

  func startWorkload(seed: UInt64) throws -> ChildProcess {
    try ChildProcess(
      Self.python ?? "",
      [Self.script, one.system, address, control, "\(seed)", "3", one.operations.joined(separator: ",")])
  }

  /// Gives the kernel more to report of a queue directory than it keeps for a reader that does not read.
  func makeReports() throws {
    let most = Int(try run("cat", ["/proc/sys/fs/inotify/max_queued_events"]).output.prefix { $0.isNumber }) ?? 16_384
    let script = """
      import os, sys
      for number in range(int(sys.argv[2])):
        name = f"{sys.argv[1]}/report-{number}.tmp"
        open(name, "w").close()
        os.unlink(name)
      """
    let outcome = try run(Self.python ?? "", ["-c", script, address, "\(most / 2)"])
    #expect(outcome.code == 0, "\(outcome.error)")
  }

  /// What `report` says of all that was counted.
  func report() throws -> Report {
    let outcome = try command.run(
      ["report", "--state-dir", command.path("state"), "--since", "7d", "--by", "destination", "--format", "json"])
    return Report(json: outcome.code == 0 ? try ParsedJSON(outcome.output) : .null, outbox: one.name)
  }

  /// Has everybody pause; the truth until then.
  func pause() async -> Truth? {
    try? command.home.write("", to: "control/pause")
    guard await happens({ command.home.read("control/truth.json").hasSuffix("]") }) else { return nil }
    return (try? ParsedJSON(command.home.read("control/truth.json"))).map(Truth.init)
  }

  func goOn() async {
    command.home.remove("control/pause")
    _ = await happens { command.home.read("control/truth.json").isEmpty }
  }

  /// What is known of the truth once the sidecar has told all of it.
  func lastTruth() async throws -> Truth? {
    try command.home.write("", to: "control/quiet")
    await goOn()
    return await pause()
  }

  func stop() { try? command.home.write("", to: "control/stop") }

  /// Where something moved.
  struct Place: Hashable, Comparable {
    var queue: String
    var destination: String

    static func < (one: Place, other: Place) -> Bool { (one.queue, one.destination) < (other.queue, other.destination) }
  }

  /// The number of each movement by place.
  struct Counts: Equatable {
    var counts: [Place: [String: Int]] = [:]

    mutating func add(_ kind: String, _ place: Place, _ count: Int) {
      if count != 0 { counts[place, default: [:]][kind, default: 0] += count }
    }

    func count(_ kind: String, _ queue: String? = nil) -> Int {
      counts.reduce(0) { sum, entry in
        queue == nil || entry.key.queue == queue ? sum + (entry.value[kind] ?? 0) : sum
      }
    }

    var total: Int { counts.values.reduce(0) { $0 + $1.values.reduce(0, +) } }

    /// What these movements leave waiting.
    var depth: Int {
      count("enqueued") + count("requeued") - count("delivered") - count("dead") - count("discarded") - count("unseen")
    }

    func differences(to other: Counts) -> String {
      Set(counts.keys).union(other.counts.keys).sorted().flatMap { place in
        let (own, others) = (counts[place] ?? [:], other.counts[place] ?? [:])
        return Set(own.keys).union(others.keys).sorted().compactMap { kind in
          own[kind] == others[kind]
            ? nil : "\(place.queue) \(place.destination) \(kind): \(own[kind] ?? 0) counted, \(others[kind] ?? 0) true"
        }
      }.joined(separator: "; ")
    }
  }

  /// What a report says.
  struct Report {
    private let outboxes: [ParsedJSON]
    private let outbox: String

    init(json: ParsedJSON, outbox: String) {
      outboxes = json["outboxes"]?.elements ?? []
      self.outbox = outbox
    }

    func isCounting(_ one: OracleCase) -> Bool {
      one.methods.allSatisfy { queue, method in
        outboxes.contains { self.queue($0) == queue && $0["accounting"]?.text == method.rawValue }
      }
    }

    private func queue(_ entry: ParsedJSON) -> String {
      let name = entry["outbox"]?.text ?? ""
      return name == outbox ? "" : String(name.dropFirst(outbox.count + 1))
    }

    /// Everything but what the sum of the others follows from.
    var counts: Counts {
      var counts = Counts()
      for entry in outboxes {
        for destination in entry["destinations"]?.elements ?? [] {
          let place = Place(queue: queue(entry), destination: destination["destination"]?.text ?? "")
          for kind in ["enqueued", "requeued"] + Disposition.allCases.map(\.rawValue) {
            counts.add(kind, place, Int(destination[kind]?.text ?? "") ?? 0)
          }
        }
      }
      return counts
    }
  }

  /// What was truly done.
  struct Truth: Sendable {
    private let all: [Entry]

    private struct Entry: Sendable {
      var queue: String
      var kind: String
      var destination: String
      var count: Int
    }

    init() { all = [] }

    init(json: ParsedJSON) {
      all = json.elements.map { entry in
        Entry(
          queue: entry["queue"]?.text ?? "", kind: entry["kind"]?.text ?? "",
          destination: entry["destination"]?.text ?? "", count: Int(entry["count"]?.text ?? "") ?? 0)
      }
    }

    /// The movements.
    var counts: Counts {
      var counts = Counts()
      let kinds = ["enqueued", "requeued"] + Disposition.allCases.map(\.rawValue)
      for entry in all where kinds.contains(entry.kind) {
        counts.add(entry.kind, Place(queue: entry.queue, destination: entry.destination), entry.count)
      }
      return counts
    }

    var depth: Int { counts.depth }

    func count(_ kind: String, _ queue: String? = nil) -> Int {
      all.reduce(0) { $1.kind == kind && (queue == nil || $1.queue == queue) ? $0 + $1.count : $0 }
    }

    /// How many there are of a kind in each destination that has any.
    func byDestination(_ kind: String, _ queue: String) -> [String: Int] {
      all.reduce(into: [:]) { counts, entry in
        if entry.kind == kind, entry.queue == queue { counts[entry.destination, default: 0] += entry.count }
      }
    }

    /// How many deliveries of each destination took so long, by the bounds that are documented for the objective.
    func durations(_ queue: String) -> [String: [Double: Int]] {
      var durations: [String: [Double: Int]] = [:]
      for entry in all where entry.queue == queue && entry.kind.hasPrefix("took ") {
        guard let bound = Double(entry.kind.dropFirst("took ".count)) else { continue }
        durations[entry.destination, default: [:]][bound, default: 0] += entry.count
      }
      return durations
    }

    /// Deliveries of which it is known between which two of these bounds their durations lie, by destination.
    var estimatedDurations: [String: [EstimatedDurations]] {
      all.reduce(into: [:]) { durations, entry in
        let words = entry.kind.split(separator: " ")
        guard words.count == 4, words[2] == "to", let least = Double(words[1]), let most = Double(words[3]) else {
          return
        }
        durations[entry.destination, default: []]
          .append(.init(isSure: words[0] == "took", range: least...most, count: entry.count))
      }
    }

    /// Deliveries that kept the objective.
    func deliveriesOnTime(_ queue: String) -> Int {
      durations(queue).values.reduce(0) { $0 + $1.upTo(AccountingOracle.objective.seconds) }
    }

    /// Deliveries that missed it.
    func deliveriesLate(_ queue: String) -> Int {
      durations(queue).values.reduce(0) { $0 + $1.upTo(.infinity) } - deliveriesOnTime(queue)
    }
  }

  /// Some deliveries whose durations are known between two bounds.
  struct EstimatedDurations {
    /// False where they may have none, as nobody may have read the event.
    let isSure: Bool
    /// The upper bounds of the first and the last bucket that they may be in.
    let range: ClosedRange<Double>
    let count: Int
  }
}
