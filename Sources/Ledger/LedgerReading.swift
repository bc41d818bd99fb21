package import Outbox
import SampleSQL

/// The select that counts what a journal has beyond a mark. It is one statement with the sample's figures, so that both
/// see the database at the same moment.
package enum LedgerReading {
  /// The state column of the rows that count movements, beside those of the figures.
  package static let movementState = "ledger"
  /// The state column of the one row that says up to where.
  package static let markState = "mark"
  /// So many rows are counted by one sample at most, lest a reader that was away for long never ends.
  package static let batch = 200_000

  /// Adds the counting to the statement of a sample.
  ///
  /// - Parameters:
  ///   - figures: selects ten columns; see `SampleQuery/figures`.
  ///   - mark: nil where counting begins.
  package static func statement(
    figures: String, script: LedgerScript, mark: LedgerMark?, bounds: DeliveryBounds
  ) -> String {
    let names = script.names
    var selects = [figures]
    if let mark { selects.append(movements(names, mark, bounds, script.hasDeadTable)) }
    selects.append(state(script, mark))
    return """
      WITH ledger_moment AS MATERIALIZED (
      \(moment(names, mark).indented(2))
      )
      \(selects.joined(separator: "\nUNION ALL\n"))
      """
  }

  /// The snapshot of this very statement, and the transaction from which on rows are left to the next reading. A replica
  /// does not know which transactions are open, only below which number none is.
  private static func moment(_ names: LedgerNames, _ mark: LedgerMark?) -> String {
    let more =
      mark.map {
        """
        (SELECT (txid::text::numeric + 1)::text::xid8 FROM \(names.journal)
            WHERE txid >= '\($0.ceiling)' ORDER BY txid OFFSET \(batch) LIMIT 1)
        """
      } ?? "NULL::xid8"
    return """
      SELECT s, least(\(more),
          CASE WHEN pg_is_in_recovery() THEN pg_snapshot_xmin(s) ELSE pg_snapshot_xmax(s) END) AS ceiling
      FROM (SELECT pg_current_snapshot() AS s OFFSET 0) now
      """
  }

  /// d destination, k kind, n how many, t their durations in seconds, q1 the bucket.
  private static func movements(
    _ names: LedgerNames, _ mark: LedgerMark, _ bounds: DeliveryBounds, _ hasDeadTable: Bool
  ) -> String {
    // Buckets include their upper bound. width_bucket counts the bounds at or below a number; from the other end it
    // counts those at or above.
    let negated = bounds.kept.reversed().map { "\(-$0)" }.joined(separator: ",")
    let bucket = "\(bounds.kept.count) - width_bucket(-greatest(latency, 0), '{\(negated)}'::float8[])"
    // From a time that is none, as infinity, nothing can be told: as where the delivered rows are counted.
    let columns =
      "txid, kind, destination, CASE WHEN abs(latency) < \(SampleQuery.latestPlausibleDelay) THEN latency END AS latency"
    let open =
      mark.open.isEmpty
      ? ""
      : """

        UNION ALL
        SELECT \(columns) FROM \(names.journal)
        WHERE txid = ANY ('{\(mark.open.map(String.init).joined(separator: ","))}'::xid8[])
          AND txid < (SELECT ceiling FROM ledger_moment)
      """
    let rows = """
      SELECT \(columns) FROM \(names.journal)
      WHERE txid >= '\(mark.ceiling)' AND txid < (SELECT ceiling FROM ledger_moment)\(open)
      """
    let kinds =
      hasDeadTable
      ? paired(rows)
      : "SELECT translate(kind::text, 'CDE', 'cde') AS kind, destination, latency "
        + "FROM (\n\(rows.indented(2))\n) j"
    return """
      SELECT destination COLLATE "C", '\(movementState)', 0, kind, count(*), sum(greatest(latency, 0)),
          CASE WHEN latency IS NOT NULL THEN \(bucket) END::float8 AS bucket, NULL::float8, NULL::float8, 0, 0
      FROM (
      \(kinds.indented(2))
      ) m
      GROUP BY destination, kind, bucket
      """
  }

  /// An event that left as a dead letter arrived in the other table in the same transaction, and the other way round; the
  /// two rows need not have the same id.
  ///
  /// Those of one destination belong together. What is left of the dead letters that arrive, whatever destination they got,
  /// is taken for what is left of the events that leave. One that goes brings back an event of another destination only
  /// where it has none itself: dead letters are pruned as well.
  private static func paired(_ rows: String) -> String {
    let unknown = "destination IN ('', '\(Snapshot.defaultDestination)')"
    return """
      SELECT CASE WHEN kind IN ('C', 'D') THEN CASE WHEN paired OR place <= spare THEN 'x' ELSE lower(kind::text) END
          WHEN kind = 'E' THEN CASE WHEN paired OR place <= spare THEN 'q' ELSE 'e' END ELSE kind::text END AS kind,
        destination, latency
      FROM (
        SELECT kind, destination, latency, paired,
          count(*) FILTER (WHERE letter AND NOT paired AND (kind = 'a' OR \(unknown)))
            OVER (PARTITION BY txid, leaves) AS spare,
          row_number() OVER (PARTITION BY txid, leaves, letter, paired) AS place
        FROM (
          SELECT *, row_number() OVER (PARTITION BY txid, leaves, destination, letter)
              <= CASE WHEN letter THEN events ELSE letters END AS paired
          FROM (
            SELECT *, count(*) FILTER (WHERE letter) OVER (PARTITION BY txid, leaves, destination) AS letters,
              count(*) FILTER (WHERE NOT letter) OVER (PARTITION BY txid, leaves, destination) AS events
            FROM (
              SELECT txid, kind, destination, latency, kind IN ('a', 'z') AS letter,
                CASE WHEN kind IN ('C', 'D', 'a') THEN true WHEN kind IN ('E', 'z') THEN false END AS leaves
              FROM (
      \(rows.indented(8))
              ) j
            ) k
          ) l
        ) p
      ) s
      WHERE kind NOT IN ('a', 'z')
      """
  }

  /// Whether the last checkpoint was made after the mark, as that of every start is, and lies before the end that the log had
  /// then.
  private static func isCut(_ mark: LedgerMark?) -> String {
    guard let log = mark?.log else { return "false" }
    return """
      (SELECT checkpoint_lsn - '0/0' < \(log.position)
              AND extract(epoch FROM greatest(checkpoint_time, pg_postmaster_start_time())) * 1000000 > \(log.time)
            FROM pg_control_checkpoint())
      """
  }

  /// What was taken from the sequence, and where that is more than it was, below which number the transactions are that may
  /// have taken it. They are looked for afterwards, also beyond the snapshot, which knows none that began after the last one
  /// that is over; on a replica they are not to be had.
  private static func unnoted(_ mark: LedgerMark?) -> String {
    guard let mark else { return "unnoted.taken" }
    let newest = "pg_snapshot_xmax(s)::text::bigint"
    return """
      unnoted.taken, CASE WHEN unnoted.taken <> \(mark.unnoted?.taken ?? 0) THEN '@' || greatest(\(newest),
            (SELECT max(\(newest) + ((l.transactionid::text::bigint - \(newest) + 2147483648) & 4294967295) - 2147483648) + 1
              FROM pg_locks l WHERE l.locktype = 'transactionid')) END
      """
  }

  /// d the installation, and of a primary the end of its log and its clock, r 1 for a replica and 2 where the log was cut
  /// since the mark, k the snapshot, what was taken from the sequence of unnoted losses and the versions of the triggers, n
  /// movements that could not be written down, t the timeline, q1 up to where rows were thrown away, q2 the version, kt whether
  /// the ledger is this cluster's, x how many triggers are in force and may write, o whether everything is counted that the
  /// figures show.
  private static func state(_ script: LedgerScript, _ mark: LedgerMark?) -> String {
    let label = SQLIdentifier.literal(script.names.label, .postgresql)
    let losses =
      mark.map {
        """
        (SELECT count(*) FROM \(LedgerNames.losses) WHERE journal = \(label) AND txid < ceiling AND (txid >= '\($0.ceiling)'
              OR txid = ANY ('{\($0.open.map(String.init).joined(separator: ","))}'::xid8[])))
        """
      } ?? "0"
    // In this order: what is later than the clock is later than the end.
    let logEnd = "pg_current_wal_insert_lsn() - '0/0', ' ', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    return """
      SELECT CASE WHEN pg_is_in_recovery() THEN w.installation::text ELSE concat(w.installation, ' ', \(logEnd)) END COLLATE "C",
          '\(markState)', CASE WHEN pg_is_in_recovery() THEN 1 WHEN \(isCut(mark)) THEN 2 ELSE 0 END,
          concat(least(pg_snapshot_xmin(s), ceiling), ':', ceiling, ':', (SELECT string_agg(x::text, ',' ORDER BY x)
            FROM pg_snapshot_xip(s) x WHERE x < ceiling), ' ', \(unnoted(mark)), ' ', triggers.versions),
          \(losses),
          CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer END::float8,
          w.purged::text::float8, w.version::float8,
          CASE WHEN w.cluster = (SELECT system_identifier FROM pg_control_system()) THEN 1 ELSE 0 END::float8,
          triggers.n,
          CASE WHEN pg_is_in_recovery() OR ceiling < pg_snapshot_xmax(s) THEN 0 ELSE 1 END
      FROM ledger_moment CROSS JOIN (
        SELECT count(*) FILTER (WHERE t.suffices) AS n, string_agg(t.version::text, ',' ORDER BY t.name) AS versions FROM (
      \(script.triggersInForce.indented(4))
        ) t
      ) triggers CROSS JOIN (
        SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS taken FROM \(LedgerNames.unnoted) OFFSET 0
      ) unnoted CROSS JOIN \(LedgerNames.watched) w WHERE w.journal = \(label)
      """
  }
}
