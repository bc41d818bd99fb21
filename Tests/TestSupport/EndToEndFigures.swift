/// What all points of one outbox have to say, by numbers that hand-written SQL found.
package struct EndToEndFigures {
  private enum Figure {
    case count(Int)
    /// An age that began then, in microseconds since 1970.
    case since(Int64)
    case noAge
  }

  /// The outbox that they are about.
  package let outbox: String
  private var figures: [String: Figure] = [:]

  /// Figures from the lines that ``EndToEndSQL/figures`` prints.
  ///
  /// - Parameters:
  ///   - stuckReasons: the reasons for which events of the layout can be stuck, by its documentation.
  ///   - environment: what stands on every point as `outbox.environment`.
  package init(_ lines: String, outbox: String, stuckReasons: [String], environment: String? = nil) {
    self.outbox = outbox
    let rows = lines.split(separator: "\n").map { $0.split(separator: "|", omittingEmptySubsequences: false) }
    var base = ["outbox_name": outbox]
    base["outbox_environment"] = environment
    func set(_ metric: String, _ labels: [String: String], _ figure: Figure) {
      figures[EndToEndPoint.series(metric, base.merging(labels) { $1 })] = figure
    }
    // What is not in the store is zero, for every destination that is.
    var destinations = Set(rows.filter { $0[0] == "depth" || $0[0] == "dlq" }.map { String($0[1]) })
    if destinations.isEmpty { destinations = ["default"] }
    for destination in destinations {
      let label = ["outbox_destination": destination]
      for retry in ["false", "true"] {
        for state in ["ready", "scheduled", "claimed", "parked", "unknown"] {
          set("outbox_depth", label.merging(["outbox_state": state, "outbox_retry": retry]) { $1 }, .count(0))
        }
        for stat in ["oldest", "p50", "p99"] {
          set("outbox_event_age_seconds", label.merging(["outbox_stat": stat, "outbox_retry": retry]) { $1 }, .noAge)
        }
      }
      for reason in stuckReasons {
        set("outbox_stuck", label.merging(["outbox_stuck_reason": reason]) { $1 }, .count(0))
      }
      set("outbox_dlq_depth", label, .count(0))
    }
    for reason in stuckReasons { set("outbox_stuck_age_seconds", ["outbox_stuck_reason": reason], .noAge) }
    set("outbox_dlq_age_seconds", [:], .noAge)
    for row in rows {
      let (kind, name, first, second) = (row[0], String(row[1]), String(row[2]), String(row[3]))
      let destination = ["outbox_destination": name]
      let count = Figure.count(Int(row[4]) ?? -1)
      let since = Figure.since(Int64(row[4]) ?? -1)
      switch kind {
      case "depth":
        set("outbox_depth", destination.merging(["outbox_state": first, "outbox_retry": second]) { $1 }, count)
      case "age":
        set(
          "outbox_event_age_seconds", destination.merging(["outbox_stat": first, "outbox_retry": second]) { $1 }, since)
      case "stuck": set("outbox_stuck", destination.merging(["outbox_stuck_reason": first]) { $1 }, count)
      case "stuck_age": set("outbox_stuck_age_seconds", ["outbox_stuck_reason": first], since)
      case "dlq": set("outbox_dlq_depth", destination, count)
      case "dlq_age": set("outbox_dlq_age_seconds", [:], since)
      case "implausible": set("outbox_events_implausible", [:], count)
      default: set("unknown figure \(kind)", [:], count)
      }
    }
  }

  /// Everything in which what a backend has of the outbox differs from what it should have; empty where all is right.
  ///
  /// An age plus the time at which it began is the store's clock at the sample. So all ages of a sample have to agree
  /// on that clock, and it stood between the time on the points and the moment at which they were looked at.
  ///
  /// - Parameters:
  ///   - found: points of any outbox and any metric, several of a series too: the last one of each counts.
  ///   - seen: when the points were read, in seconds since 1970.
  package func differences(from found: [EndToEndPoint], seen: Double) -> [String] {
    let own = found.filter { $0.outbox == outbox && EndToEndNames.figures.contains($0.metric) }
    let time = own.map(\.time).max() ?? 0
    var last: [String: EndToEndPoint] = [:]
    // A series that ended earlier has no point at the time of the last sample.
    for point in own where abs(point.time - time) < 0.001 { last[point.series] = point }
    var differences: [String] = []
    var clocks: [Double] = []
    for (series, figure) in figures {
      guard let point = last.removeValue(forKey: series) else {
        differences.append("missing: \(series)")
        continue
      }
      switch figure {
      case .count(let count) where point.value != Double(count): differences.append("\(point), not \(count)")
      case .noAge where point.value != 0: differences.append("\(point), not 0")
      case .since(let microseconds): clocks.append(Double(microseconds) / 1e6 + point.value)
      default: break
      }
    }
    differences += last.values.map { "unexpected: \($0)" }
    if let earliest = clocks.min(), let latest = clocks.max() {
      if latest - earliest > 0.000_01 {
        differences.append("the ages were taken at \(clocks.sorted()): not one moment")
      }
      // The time on a point has milliseconds in Prometheus.
      if earliest < time - 0.002 || latest > seen {
        differences.append("the ages were taken at \(earliest), not between \(time) and \(seen)")
      }
    }
    return differences.sorted()
  }
}

/// SQL that counts events which a statement before it has classified, the same in PostgreSQL and SQLite.
package enum EndToEndSQL {
  /// Prints figures, one a line: `kind|destination|…|…|value`, times in microseconds since 1970.
  ///
  /// - Parameters:
  ///   - events: a query with the columns dest, state, retry (0 or 1), due, reason, since; times in unix seconds, those
  ///     of dead events when they died. It may refer to `clock.now`.
  ///   - now: the store's clock, as an SQL expression in unix seconds.
  package static func figures(_ events: String, now: String) -> String {
    """
    WITH clock AS (SELECT \(now) AS now),
    classified AS (\(events)),
    event AS (
      SELECT COALESCE(NULLIF(dest, ''), 'default') AS dest, state,
        CASE retry WHEN 1 THEN 'true' ELSE 'false' END AS retry, due, reason, since, now, CASE WHEN due >= 946684800 AND due <= now THEN 1 ELSE 0 END AS credible
      FROM classified CROSS JOIN clock),
    waiting AS (
      SELECT dest, retry, due, row_number() OVER (PARTITION BY dest, retry ORDER BY due DESC) AS place,
        count(*) OVER (PARTITION BY dest, retry) AS places
      FROM event
      WHERE credible = 1 AND (state IN ('ready', 'claimed') OR state = 'scheduled' AND retry = 'true')),
    figure(kind, dest, first, second, value) AS (
      SELECT 'depth', dest, state, retry, CAST(count(*) AS bigint) FROM event WHERE state <> 'dead'
        GROUP BY dest, state, retry
      UNION ALL SELECT 'age', dest, 'oldest', retry, \(microseconds("min(due)")) FROM waiting GROUP BY dest, retry
      UNION ALL SELECT 'age', dest, 'p50', retry, \(microseconds("due")) FROM waiting WHERE place = (places + 1) / 2
      UNION ALL SELECT 'age', dest, 'p99', retry, \(microseconds("due")) FROM waiting
        WHERE place = (99 * places + 99) / 100
      UNION ALL SELECT 'stuck', dest, reason, '', CAST(count(*) AS bigint) FROM event WHERE since <= now
        GROUP BY dest, reason
      UNION ALL SELECT 'stuck_age', '', reason, '', \(microseconds("min(since)")) FROM event WHERE since <= now
        GROUP BY reason
      UNION ALL SELECT 'dlq', dest, '', '', CAST(count(*) AS bigint) FROM event WHERE state = 'dead' GROUP BY dest
      UNION ALL SELECT 'dlq_age', '', '', '', \(microseconds("min(due)")) FROM event
        WHERE state = 'dead' AND credible = 1 HAVING count(*) > 0
      UNION ALL SELECT 'implausible', '', '', '', CAST(count(*) AS bigint) FROM event
        WHERE credible = 0 AND (state IN ('ready', 'claimed') OR state = 'dead' AND due IS NOT NULL
          OR state = 'scheduled' AND (retry = 'true' OR due IS NULL OR due <= now)))
    SELECT kind, dest, first, second, value FROM figure;

    """
  }

  private static func microseconds(_ seconds: String) -> String { "CAST(round(\(seconds) * 1000000) AS bigint)" }

  /// SQLite's clock in unix seconds, to the millisecond.
  package static let sqliteClock = "(julianday('now') - 2440587.5) * 86400.0"

  /// What the sqlite3 program prints.
  package static func sqlite(_ path: String, _ statements: String) throws -> String {
    let result = try run("sqlite3", ["-batch", "-bail", path], input: statements)
    guard result.code == 0 else { throw Failed(text: result.error) }
    return result.output
  }

  /// Statements that could not be run.
  package struct Failed: Error {
    let text: String
  }
}
