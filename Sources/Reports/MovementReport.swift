package import Accounting
import Outbox

/// What moved over a stretch of time, for the operator who asks how many were delivered, failed, and how long they took.
package struct MovementReport: Sendable {
  private let history: MovementHistory
  private let byDestination: Bool

  /// A report of a history.
  ///
  /// - Parameter byDestination: whether every destination has a line, or every outbox.
  package init(_ history: MovementHistory, byDestination: Bool) {
    self.history = history
    self.byDestination = byDestination
  }

  /// The report for people.
  package var text: String {
    var lines = ["From \(history.since.minute) to \(history.until.minute)", ""]
    let rows = byDestination ? history.entries.sorted(by: mostFailures) : history.totals
    if rows.isEmpty {
      lines.append(
        history.methods.isEmpty
          ? "Nothing has been counted yet: a sidecar counts what moves, and keeps it in its state directory."
          : "Nothing has moved.")
    } else {
      lines += table(rows)
      lines += notes(rows)
      if !byDestination { lines += topDestinations }
    }
    let beginnings = history.restarts.filter { $0.reason == MovementHistory.beginning }
    if !beginnings.isEmpty {
      lines +=
        [""]
        + beginnings.map {
          "\($0.outbox.printable): counting began at \($0.time.minute); what moved before is not known"
        }
    }
    let restarts = history.restarts.filter { $0.reason != MovementHistory.beginning }
    if !restarts.isEmpty {
      lines += ["", "Counted anew, or with a gap, at these moments; what moved around them may be missing:"]
      lines += restarts.map { "  \($0.time.minute)  \($0.outbox.printable): \($0.reason.printable)" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func table(_ rows: [MovementHistory.Entry]) -> [String] {
    let namesMethod = history.hasSeveralMethods
    var table = TextTable(
      [("outbox", .left)] + (byDestination ? [("destination", .left)] : [])
        + (namesMethod ? [("counted by", .left)] : [])
        + ["enqueued", "delivered", "retried", "dead", "failed", "median", "p99"].map { ($0, .right) })
    for row in rows {
      let summary = row.summary
      table.add(
        [row.outbox.printable] + (byDestination ? [row.destination.printable] : [])
          + (namesMethod ? [summary.method.rawValue] : []) + [
            summary.counts.enqueued.thousands, summary.text(.delivered), summary.text(.retried), summary.text(.dead),
            summary.failureRatio.map(\.percent) ?? "–", summary.duration(ofShare: 0.5)?.text ?? "–",
            summary.duration(ofShare: 0.99)?.text ?? "–",
          ])
    }
    return table.lines
  }

  /// What a table cannot hold: how it was counted, and what else happened.
  private func notes(_ rows: [MovementHistory.Entry]) -> [String] {
    var lines = [""]
    for entry in history.totals {
      let counts = entry.summary.counts
      let others: [(Int?, String)] = [
        (entry.summary.method.seesRequeues ? counts.requeued : nil, "requeued"),
        (entry.summary.count(.released), "released"), (entry.summary.count(.discarded), "discarded"),
        (entry.summary.count(.unseen), "left unseen"),
      ]
      let seen = others.compactMap { count, name in count.flatMap { $0 == 0 ? nil : "\($0.thousands) \(name)" } }
      lines.append(
        "\(entry.outbox.printable): counted by \(entry.summary.method.rawValue)"
          + (seen.isEmpty ? "" : "; also \(seen.joined(separator: ", "))") + timesKnown(of: entry.summary))
    }
    if rows.contains(where: { $0.summary.count(.delivered) == nil }) {
      lines.append("–: the method cannot see it; README, \"Accounting\" says what each one sees.")
    }
    if history.totals.contains(where: { $0.summary.method == .statistics }) {
      lines.append(
        "statistics: upper figures, of work that was rolled back too; README says where they are lower ones.")
    }
    return lines
  }

  /// What the median and the 99th percentile are of, where that is not all deliveries.
  private func timesKnown(of summary: MovementSummary) -> String {
    guard let delivered = summary.count(.delivered), summary.measured < delivered else { return "" }
    let known = summary.measured == 0 ? "none" : summary.measured.thousands
    return "; times known of \(known) of \(delivered.thousands) deliveries"
  }

  private var topDestinations: [String] {
    let worst = history.entries.filter { $0.summary.failures > 0 }.sorted(by: mostFailures).prefix(5)
    guard !worst.isEmpty else { return [] }
    return ["", "Most failures:"]
      + worst.map { entry in
        let ratio = entry.summary.failureRatio.map { ", \($0.percent) of its attempts" } ?? ""
        let dead = entry.summary.count(.dead).map { ", \($0.thousands) dead" } ?? ""
        return "  \(entry.outbox.printable)  \(entry.destination.printable)  "
          + "\(entry.summary.failures.thousands) failed\(ratio)\(dead)"
      }
  }

  private func mostFailures(_ left: MovementHistory.Entry, _ right: MovementHistory.Entry) -> Bool {
    (-left.summary.failures, left.outbox, left.destination) < (-right.summary.failures, right.outbox, right.destination)
  }

  /// The report for programs. Figures that the method cannot see are null.
  package var json: JSONValue {
    let outboxes = history.totals.map { total -> JSONValue in
      let destinations = history.entries.filter {
        $0.outbox == total.outbox && $0.summary.method == total.summary.method
      }
      var pairs: [(String, JSONValue)] = [
        ("outbox", .string(total.outbox)), ("accounting", .string(total.summary.method.rawValue)),
      ]
      pairs += total.summary.pairs
      if byDestination {
        pairs.append(
          (
            "destinations",
            .array(destinations.map { .object([("destination", .string($0.destination))] + $0.summary.pairs) })
          ))
      }
      return .object(pairs)
    }
    let top = history.entries.filter { $0.summary.failures > 0 }.sorted(by: mostFailures).prefix(5)
    return .object([
      ("since", .string(history.since.text)), ("until", .string(history.until.text)),
      ("outboxes", .array(outboxes)),
      (
        "most_failures",
        .array(
          top.map {
            .object([
              ("outbox", .string($0.outbox)), ("destination", .string($0.destination)),
              ("failures", .int($0.summary.failures)),
              ("failure_ratio", $0.summary.failureRatio.map { .number($0) } ?? .null),
            ])
          })
      ),
      (
        "restarts",
        .array(
          history.restarts.map {
            .object([
              ("outbox", .string($0.outbox)), ("time", .string($0.time.text)), ("reason", .string($0.reason)),
            ])
          })
      ),
    ])
  }
}

extension MovementHistory {
  /// True where an outbox was counted in one way and then in another, and has a line for each.
  fileprivate var hasSeveralMethods: Bool { Set(totals.map(\.outbox)).count < totals.count }

  /// The movements of each outbox by way of counting, all destinations together.
  fileprivate var totals: [Entry] {
    var totals: [Entry] = []
    for entry in entries {
      if let index = totals.firstIndex(where: {
        $0.outbox == entry.outbox && $0.summary.method == entry.summary.method
      }) {
        totals[index].summary.add(entry.summary)
      } else {
        totals.append(Entry(outbox: entry.outbox, destination: "", summary: entry.summary))
      }
    }
    // Nothing that moved is a fact too.
    let silent = methods.filter { name, _ in !totals.contains { $0.outbox == name } }.sorted { $0.key < $1.key }
    return totals
      + silent.map { name, method in
        Entry(
          outbox: name, destination: "", summary: MovementSummary(method: method, counts: .init(), durations: [:]))
      }
  }
}

extension MovementSummary {
  fileprivate func text(_ disposition: Disposition) -> String { count(disposition)?.thousands ?? "–" }

  fileprivate var pairs: [(String, JSONValue)] {
    func value(_ count: Int?) -> JSONValue { count.map { .int($0) } ?? .null }
    func seconds(_ share: Double) -> JSONValue { duration(ofShare: share).map { .number($0.seconds) } ?? .null }
    var pairs: [(String, JSONValue)] = [
      ("enqueued", .int(counts.enqueued)), ("requeued", value(method.seesRequeues ? counts.requeued : nil)),
    ]
    pairs += Disposition.allCases.map { ($0.rawValue, value(count($0))) }
    pairs += [
      ("failure_ratio", failureRatio.map { .number($0) } ?? .null),
      (
        "delivery_seconds",
        .object([
          ("median", seconds(0.5)), ("p99", seconds(0.99)),
          ("measured", value(count(.delivered).map { _ in measured })),
        ])
      ),
    ]
    return pairs
  }
}

extension Int {
  /// The number with commas between thousands, as people read long ones.
  fileprivate var thousands: String {
    let digits = String(magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return (self < 0 ? "-" : "") + text
  }
}

extension Double {
  /// The share in per cent with one decimal.
  fileprivate var percent: String {
    let tenths = Int((self * 1_000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
  }
}

extension Timestamp {
  /// The minute, as people write it.
  fileprivate var minute: String { text.prefix(16).replacing("T", with: " ") + " UTC" }
}
