import Outbox
import TestSupport

/// Processes that treat a queue directory as its application does, at random and at full speed, and keep the true counts.
final class DirectoryWorkload {
  /// What may follow what.
  enum Pace: String {
    /// Any operation at any time: a file may come and go before anybody can look into it.
    case breakneck
    /// No file is touched twice between two quiescent points.
    case paced
  }

  private let control: TemporaryDirectory
  private let workers: [ChildProcess]
  private var round = 0

  /// Starts the processes; they wait for the first round.
  init(queue: String, seed: UInt64, workers count: Int = 2, operations: Int, _ pace: Pace) throws {
    let control = try TemporaryDirectory()
    self.control = control
    workers = try (0..<count).map { worker in
      try ChildProcess(
        "python3", ["-c", script, queue, control.path, "\(worker)", "\(seed)", "\(operations)", pace.rawValue])
    }
  }

  /// Begins a round of every process.
  func begin() throws {
    round += 1
    try control.write("", to: "go-\(round)")
  }

  /// True once every process has ended its round: nothing happens in the directory until the next one begins.
  var isQuiescent: Bool {
    for worker in workers where !worker.isRunning {
      fatalError("the workload ended: \(worker.standardError)")
    }
    return workers.indices.allSatisfy { !control.read("done-\($0)-\(round)").isEmpty }
  }

  /// The counts of all rounds, by destination; valid while it is quiescent.
  func truth() -> [String: Movements.Counts] {
    var truth: [String: Movements.Counts] = [:]
    for worker in workers.indices {
      for line in control.read("done-\(worker)-\(round)").split(separator: "\n").dropLast() {
        let parts = line.split(separator: " ").map(String.init)
        var counts = Movements.Counts()
        switch parts[1] {
        case "enqueued": counts.enqueued = Int(parts[2])!
        case "requeued": counts.requeued = Int(parts[2])!
        default: counts.dispositions[Disposition(rawValue: parts[1])!] = Int(parts[2])!
        }
        truth[parts[0], default: Movements.Counts()].add(counts)
      }
    }
    return truth
  }

  func stop() {
    for worker in workers { worker.signal(9) }
  }
}

extension Movements {
  /// One line for each figure that is not zero, to compare; durations by how many there are.
  var lines: [String] { Movements.lines(destinations) }

  static func lines(_ destinations: [String: Counts]) -> [String] {
    destinations.flatMap { destination, counts -> [String] in
      var figures = [("enqueued", counts.enqueued), ("requeued", counts.requeued)]
      figures += counts.dispositions.map { ($0.key.rawValue, $0.value) }
      figures.append(("discardedLate", counts.discardedLate))
      figures.append(("requeuedLate", counts.requeuedLate))
      return figures.filter { $0.1 != 0 }.map { "\(destination) \($0.0) \($0.1)" }
    }.sorted()
  }

  /// The movements of all destinations together.
  var total: Counts {
    destinations.values.reduce(into: Counts()) { $0.add($1) }
  }

  mutating func take(_ other: Movements) {
    for (destination, counts) in other.destinations { destinations[destination, default: Counts()].add(counts) }
  }
}

/// Written as OpenClaw writes: a temporary file that is renamed, a marker of what was delivered, a rename into failed/.
/// Some files are written in place, some are linked, and some dead ones are put back by copying.
private let script = """
  import collections, json, os, random, sys, time
  queue, control, worker, seed, operations, pace = sys.argv[1:]
  chance = random.Random(f"{seed} {worker}")
  count = collections.Counter()
  live, dead, touched, serial = {}, {}, set(), 0

  def event(name, channel, retries):
    return json.dumps({"id": name, "enqueuedAt": int(time.time() * 1000) - 5, "retryCount": retries,
      "channel": channel, "to": "somebody", "payloads": [{"text": "x" * chance.randrange(600)}]})

  def write(name, text):
    temporary = f"{queue}/{name}.json.{os.getpid()}.tmp"
    with open(temporary, "w") as file: file.write(text)
    os.rename(temporary, f"{queue}/{name}.json")

  def pick(files):
    for _ in range(5):
      if files:
        name = chance.choice(list(files)) if len(files) < 50 else next(reversed(files)) if chance.random() < .1 else (
          chance.choice(keys(files)))
        if name in files and not (pace == "paced" and name in touched): return name
    return None

  cache = {}
  def keys(files):
    known = cache.get(id(files))
    if not known or chance.random() < .01: known = cache[id(files)] = list(files)
    return known

  def operate():
    global serial
    what = chance.choices(
      ["enqueue", "place", "link", "deliver", "fail", "die", "discard", "prune", "requeue", "copy"],
      [30, 4, 1, 20, 16, 5, 2, 1, 2, 1])[0]
    path = lambda name: f"{queue}/{name}.json"
    grave = lambda name: f"{queue}/failed/{name}.json"
    if what in ("enqueue", "place", "link"):
      serial += 1
      name, channel = f"{worker}-{serial}", chance.choice(["telegram", "slack", "signal"])
      if what == "enqueue": write(name, event(name, channel, 0))
      elif what == "place":
        with open(path(name), "w") as file: file.write(event(name, channel, 0))
      else:
        with open(f"{queue}/{name}.tmp", "w") as file: file.write(event(name, channel, 0))
        os.link(f"{queue}/{name}.tmp", path(name))
        os.unlink(f"{queue}/{name}.tmp")
      live[name] = [channel, 0]
      count[channel, "enqueued"] += 1
      touched.add(name)
      return
    files = dead if what in ("prune", "requeue", "copy") else live
    name = pick(files)
    if name is None: return
    touched.add(name)
    channel = files[name][0]
    if what == "deliver":
      os.rename(path(name), f"{queue}/{name}.delivered")
      os.unlink(f"{queue}/{name}.delivered")
      count[channel, "delivered"] += 1
      del live[name]
    elif what == "fail":
      live[name][1] += 1
      write(name, event(name, channel, live[name][1]))
      count[channel, "retried"] += 1
    elif what == "die":
      os.rename(path(name), grave(name))
      count[channel, "dead"] += 1
      dead[name] = live.pop(name)
    elif what == "discard":
      os.unlink(path(name))
      count[channel, "discarded"] += 1
      del live[name]
    elif what == "prune":
      os.unlink(grave(name))
      del dead[name]
    else:
      if what == "requeue": os.rename(grave(name), path(name))
      else:
        dead[name][1] = 0
        write(name, event(name, channel, 0))
        os.unlink(grave(name))
      count[channel, "requeued"] += 1
      live[name] = dead.pop(name)

  round = 0
  while True:
    round += 1
    while not os.path.exists(f"{control}/go-{round}"): time.sleep(.001)
    touched = set()
    for _ in range(int(operations)): operate()
    text = "".join(f"{channel} {what} {number}\\n" for (channel, what), number in count.items())
    with open(f"{control}/tmp-{worker}", "w") as file: file.write(text + f"live {len(live)}\\n")
    os.rename(f"{control}/tmp-{worker}", f"{control}/done-{worker}-{round}")
  """
