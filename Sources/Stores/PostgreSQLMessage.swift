import Layouts
import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL

/// What is sent to PostgreSQL: each time one simple-query message, hence one round trip, that holds a whole read-only
/// transaction. A pooler in transaction mode, or even in statement mode, forwards it as it is.
///
/// All settings are `SET LOCAL`: they are in force before the first table is touched, and they neither leak into a
/// pooled session nor get lost with one.
///
/// The isolation level is `READ COMMITTED`. All figures of a sample come from one statement and so from one snapshot,
/// and that snapshot is taken after the statement has got its locks. A `REPEATABLE READ` snapshot would be older than
/// a rewriting `ALTER TABLE` or a `TRUNCATE` that the statement had to wait for, and a table that was rewritten reads
/// as empty in an older snapshot: an outbox with a backlog would be reported as zero.
enum PostgreSQLMessage {
  /// Puts statements into a read-only transaction with all limits in force. Their results begin at ``firstResult``; after them
  /// comes how long the database worked.
  static func transaction(_ statements: [String], _ limits: PostgreSQLLimits) -> String {
    (opening(limits) + statements + [serverTime, commit]).joined(separator: ";\n")
  }

  /// The same message without `BEGIN` and `COMMIT`, with as many results: the server makes one transaction of it, which a
  /// failure ends too. For a pooler that does not tell a failed transaction from one that is left open.
  ///
  /// Not what is sent elsewhere, since who runs the printed statements one by one needs the two.
  static func withoutBlock(_ message: String) -> String {
    guard message.hasPrefix(begin), message.hasSuffix(";\n" + commit) else { return message }
    return "SET TRANSACTION" + message.dropFirst(begin.count).dropLast(commit.count) + "SELECT"
  }

  private static let begin = "BEGIN"
  private static let commit = "COMMIT"

  /// The message of a sample: the clock, and the statements.
  static func sample(_ statements: [String], _ limits: PostgreSQLLimits) -> String {
    transaction([clock] + statements, limits)
  }

  /// Answers for how many seconds the database has worked since the message came: what a slow network adds is no work.
  private static let serverTime = "SELECT extract(epoch FROM clock_timestamp() - statement_timestamp())::float8"

  /// How many results come before that of the first statement.
  static let firstResult = opening(PostgreSQLLimits()).count

  /// Puts statements that change the database into one transaction: all of them, or none. After their results comes how long
  /// the database worked.
  static func change(_ statements: [String], _ limits: PostgreSQLLimits) -> String {
    let opening = [
      begin + " ISOLATION LEVEL READ COMMITTED READ WRITE",
      "SET LOCAL statement_timeout = \(milliseconds(limits.statement))",
      "SET LOCAL lock_timeout = \(milliseconds(limits.lock))", "SET LOCAL client_min_messages = warning",
    ]
    return (opening + statements + [serverTime, commit]).joined(separator: ";\n")
  }

  private static func opening(_ limits: PostgreSQLLimits) -> [String] {
    [
      begin + " ISOLATION LEVEL READ COMMITTED READ ONLY",
      // Naive timestamps are compared with now() in the session's zone.
      "SET LOCAL TimeZone = 'UTC'",
      // A policy that would hide rows becomes an error instead of a smaller number.
      "SET LOCAL row_security = off",
      "SET LOCAL statement_timeout = \(milliseconds(limits.statement))",
      "SET LOCAL lock_timeout = \(milliseconds(limits.lock))",
      // Compiling costs more than it saves, and one backend is enough for a monitor.
      "SET LOCAL jit = off",
      "SET LOCAL max_parallel_workers_per_gather = 0",
      // Statistics that are missing, or older than the outbox's last backlog, make a whole table look cheap. Where an index
      // leads to the rows it is used; where none does, the table is read as ever.
      "SET LOCAL enable_seqscan = off",
    ]
  }

  /// Zero would mean "no limit".
  private static func milliseconds(_ limit: Duration) -> Int64 {
    max(1, limit.wholeNanoseconds / 1_000_000)
  }

  /// Answers the store's clock in unix seconds, how many seconds a replica is behind, NULL on a primary, and the two parts
  /// of a ``PostgreSQLMoment``.
  ///
  /// A replica that has replayed all it received is up to date only while it is still receiving. Otherwise the time
  /// since the last replayed commit is the upper bound that can be known.
  static let clock = """
    SELECT extract(epoch FROM now())::float8,
      CASE WHEN NOT pg_is_in_recovery() THEN NULL
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
        ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8) END,
      txid_current_snapshot(), concat(pg_backend_pid(), ' ', extract(epoch FROM pg_postmaster_start_time()))
    """

  // MARK: - What the database has

  /// One row for each column of each table that is there: the table's schema and name as SQL, whether its bare name means it,
  /// whether row-level security hides rows of it from us; the column, its type, whether it leads a complete index, whether it
  /// is never NULL; and the type's number where ``types(_:)`` has to tell more.
  ///
  /// It is the first statement of every `--once`, for which a new session costs more than the rows, so it joins as little as
  /// it can. The catalogues are readable by every role. `to_regclass` is not used: it fails where a role lacks the schema,
  /// just when `outbox-exporter sql` is to say what the role needs.
  static func columns(of queues: [TableQueue]) -> String {
    let wanted = PostgreSQLTables.wanted(by: queues)
    func list(_ names: some Sequence<String>) -> String {
      Set(names).sorted().map { SQLIdentifier.literal($0, .postgresql) }.joined(separator: ", ")
    }
    let schemas = list(wanted.compactMap(\.schema))
    let isThere = [
      wanted.contains { $0.schema == nil } ? "pg_table_is_visible(c.oid)" : nil,
      schemas.isEmpty ? nil : "c.relnamespace IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname IN (\(schemas)))",
    ].compactMap { $0 }.joined(separator: " OR ")
    return """
      SELECT (pg_identify_object('pg_class'::regclass, a.attrelid, 0)).identity, pg_table_is_visible(a.attrelid),
        row_security_active(a.attrelid), a.attname, format_type(a.atttypid, NULL),
        EXISTS (
          SELECT FROM pg_index i
          WHERE i.indrelid = a.attrelid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum
            AND pg_index_column_has_property(i.indexrelid, 1, 'orderable')),
        a.attnotnull, CASE WHEN a.atttypid >= \(firstTypeWithoutFixedNumber) THEN a.atttypid END
      FROM pg_attribute a
      WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY (ARRAY(
        SELECT c.oid FROM pg_class c
        WHERE c.relname IN (\(list(wanted.map(\.name)))) AND c.relkind IN \(relationKinds) AND (\(isThere))))
      """
  }

  /// PostgreSQL's own types have numbers below this one; what they are need not be looked up. Those of the information
  /// schema, which has domains, are among the others (access/transam.h, FirstGenbkiObjectId).
  private static let firstTypeWithoutFixedNumber = 10_000

  /// One row for each of these types, or for each of its words where it is an enum: the number, the type beneath any
  /// domain, whether there is a domain, the word.
  static func types(_ numbers: some Sequence<Int>) -> String {
    """
    WITH RECURSIVE types(number, oid, base) AS (
      SELECT t.oid, t.oid, t.typbasetype FROM pg_type t WHERE t.oid IN (\(numbers.map(String.init).joined(separator: ", ")))
      UNION ALL
      SELECT d.number, t.oid, t.typbasetype FROM types d JOIN pg_type t ON t.oid = d.base
    )
    SELECT y.number, format_type(y.oid, NULL), y.oid <> y.number, l.enumlabel
    FROM types y LEFT JOIN pg_enum l ON l.enumtypid = y.oid WHERE y.base = 0
    """
  }

  /// Answers whether all rows of some tables, partitions and heirs included, are kept by this server in its own way: a
  /// change of them is then a transaction of it. What is behind a view, a foreign table or Citus may change without one.
  static func locality(of references: [String]) -> String {
    let tables = references.sorted().map { "(\(SQLIdentifier.literal($0, .postgresql))::regclass::oid)" }
    return """
      WITH RECURSIVE parts(oid) AS (
        VALUES \(tables.joined(separator: ", "))
        UNION
        SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON i.inhparent = p.oid
      )
      SELECT bool_and(c.relkind = 'p' OR c.relkind IN ('r', 'm') AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap'))
        AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
      FROM parts p JOIN pg_class c ON c.oid = p.oid
      """
  }

  /// Answers how many blocks a table has now, all of its partitions together; NULL of what blocks cannot be drawn from.
  static func blocks(of reference: String) -> String {
    let name = SQLIdentifier.literal(reference, .postgresql)
    return """
      SELECT CASE WHEN c.relkind IN ('r', 'p', 'm') THEN
          COALESCE((SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(c.oid) t), pg_relation_size(c.oid))
        END / current_setting('block_size')::float8
      FROM pg_class c WHERE c.oid = \(name)::regclass
      """
  }

  /// Tables that a missing one may have been meant to be: the same name but for its case, in any schema.
  static func namesakes(of tableName: String) -> String {
    """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE lower(c.relname) = lower(\(SQLIdentifier.literal(SQLIdentifier.parts(tableName).last ?? "", .postgresql)))
      AND c.relkind IN \(relationKinds) ORDER BY 1, 2 LIMIT 5
    """
  }

  private static let relationKinds = "('r', 'p', 'v', 'm', 'f')"
}

extension FigureRow {
  /// Every row of ``SampleQuery/figures``, or of ``AccountingQuery/statement(_:bounds:)`` without the delivered ones.
  static func all(_ result: PostgreSQLResult) -> [FigureRow] {
    (0..<result.rowCount).compactMap { row in
      Self.others.contains(result.text(row, 1) ?? "") ? nil : FigureRow(result, row: row)
    }
  }

  /// Rows of the same statement that are no figures.
  private static let others = [EventState.delivered.rawValue, LedgerReading.movementState, LedgerReading.markState]

  /// Reads the columns in the order of ``SampleQuery/figures``, and those of the accounting where they are there.
  private init(_ result: PostgreSQLResult, row: Int) {
    let count = result.integer(row, 4) ?? 0
    self.init(
      destination: result.text(row, 0) ?? Snapshot.defaultDestination,
      state: result.text(row, 1).flatMap(EventState.init) ?? .unknown, retry: result.integer(row, 2) == 1,
      stuck: result.text(row, 3).flatMap(StuckReason.init), count: count, oldest: result.number(row, 5),
      median: count == 0 ? result.number(row, 6) : nil, p99: result.number(row, 7), stuckSince: result.number(row, 8),
      implausible: result.integer(row, 9) ?? 0, nextChange: count > 0 ? result.number(row, 6) : nil)
    overdue = result.integer(row, 10) ?? 0
    guard result.columnCount > 11 else { return }
    if state == .dead { (cell, isElsewhere) = CountingCells.died(result.integer(row, 2) ?? 0) }
    retries = result.integer(row, 11) ?? 0
    created = CountingCells.written(result.text(row, 12) ?? "")
    died = CountingCells.finished(result.text(row, 13) ?? "")
  }
}

extension Snapshot.EventIDs {
  /// Reads the columns in the order of ``SampleQuery/eventIDs``.
  init(_ result: PostgreSQLResult) {
    self.init()
    for row in 0..<result.rowCount {
      guard let id = result.text(row, 1) else { continue }
      switch result.text(row, 0) {
      case "oldest": oldest.append(id)
      case "stuck": stuck.append(id)
      default: newestDead.append(id)
      }
    }
  }
}
