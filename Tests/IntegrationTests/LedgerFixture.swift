import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A database with a ledger, read through the real store.
final class LedgerFixture {
  let database: TemporaryDatabase
  let layout: Layout
  private(set) var objective: Objective?
  /// All that was counted since the fixture was made, by destination.
  private(set) var total = Movements()
  /// Why counting began anew, in order.
  private(set) var restarts: [String] = []
  /// The last reading.
  private(set) var last: AccountingReading?
  private var mark: AccountingMark?
  private var store: PostgreSQLStore
  private let user: String
  private var place: TemporaryPostgres

  /// - Parameter user: who samples; the installing role where none is named.
  init(
    _ layout: Layout, _ statements: String, objective: Duration? = nil, user: String = "postgres",
    server: TemporaryPostgres? = nil
  ) throws {
    self.layout = layout
    self.objective = objective.map { Objective(age: $0, target: 0.99) }
    self.user = user
    database = try (server ?? TemporaryPostgres.shared()).createDatabase(statements)
    store = Self.store(database, layout, self.objective, user)
    place = database.server
  }

  private static func store(
    _ database: TemporaryDatabase, _ layout: Layout, _ objective: Objective?, _ user: String
  ) -> PostgreSQLStore {
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(database.conninfo(user: user))), layout: layout, objective: objective)
    return PostgreSQLStore([definition], now: { Timestamp(seconds: 1_800_000_000) })
  }

  /// The ledger, for who installs it.
  ///
  /// - Parameter other: a layout of other tables of the database; the fixture's own where none is named.
  func installation(
    of other: Layout? = nil, user: String = "postgres", lock: Duration = .milliseconds(200)
  ) throws -> LedgerInstallation {
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(database.conninfo(user: user))), layout: other ?? layout)
    let all = try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits(lock: lock))
    return try #require(all.first)
  }

  /// Ends the exporter and begins another one, with what was kept.
  ///
  /// - Parameter objective: another objective; nil keeps the one that there is.
  func restart(objective age: Duration? = nil) async {
    await store.close()
    if let age { objective = Objective(age: age, target: 0.99) }
    let place = TemporaryDatabase(name: database.name, server: place)
    store = Self.store(place, layout, objective, user)
  }

  /// Goes on sampling on another server that has the same database.
  func move(to server: TemporaryPostgres) {
    store = Self.store(TemporaryDatabase(name: database.name, server: server), layout, objective, user)
    place = server
  }

  /// Samples once.
  @discardableResult
  func sample(durable: Bool = true, transient: Bool = false) async throws -> OutboxSample {
    var kept = mark
    kept?.isDurable = durable
    kept?.isTransient = transient
    let name = layout.queues[0].suffix.map { "o/\($0)" } ?? "o"
    let samples = await store.sample(SampleRequest(marks: kept.map { [name: $0] } ?? [:]))
    let sample = try #require(samples.first)
    last = sample.accounting
    if let accounting = sample.accounting {
      if let restart = accounting.restart { restarts.append(restart) }
      mark = accounting.mark
      for (destination, counts) in accounting.movements?.destinations ?? [:] {
        total.destinations[destination, default: Movements.Counts()].add(counts)
      }
    }
    return sample
  }

  /// Samples until counting has begun anew for these reasons: transactions of other databases may keep it from that.
  func sample(untilRestarts expected: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for _ in 0..<500 where restarts.count < expected.count {
      try await sample()
      if restarts.count < expected.count { try await Task.sleep(for: .milliseconds(20)) }
    }
    #expect(restarts == expected, sourceLocation: sourceLocation)
    #expect(last?.movements == nil, sourceLocation: sourceLocation)
  }

  /// What one sample counted, a line for each kind of movement.
  func movements() async throws -> [String] {
    let sample = try await sample()
    let reading = try #require(sample.accounting, "\(String(describing: sample.failure))")
    #expect(reading.mark.method == .ledger, "\(String(describing: reading.notice))")
    #expect(reading.restart == nil)
    return movementLines(try #require(reading.movements))
  }

  /// Runs statements and expects that they are counted as these movements.
  func expect(_ statements: String, _ expected: [String], sourceLocation: SourceLocation = #_sourceLocation)
    async throws
  {
    try database.psql(statements)
    let counted = try await movements()
    #expect(counted == expected.sorted(), "\(statements)", sourceLocation: sourceLocation)
  }
}

/// A line for each kind of movement, sorted.
func movementLines(_ movements: Movements) -> [String] {
  movements.destinations.flatMap { destination, counts in
    let figures = [
      ("enqueued", counts.enqueued), ("requeued", counts.requeued), ("measured", counts.durations.count),
      ("discarded late", counts.discardedLate), ("requeued late", counts.requeuedLate),
    ]
    return (figures + counts.dispositions.map { ($0.key.rawValue, $0.value) }).filter { $0.1 != 0 }
      .map { "\(destination) \($0.0) \($0.1)" }
  }.sorted()
}

/// The tables of the systems that have a ledger in PostgreSQL.
enum LedgerSchemas {
  static let aiHummer = """
    CREATE TABLE outbox (
      id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'a', channel text,
      payload jsonb, status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz, locked_at timestamptz, last_error text,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz, delivered_at timestamptz);
    CREATE INDEX ON outbox (status, next_attempt_at);
    CREATE TABLE outbox_dlq (id bigint, channel text, failed_at timestamptz DEFAULT now());
    """
  static let kaireon = """
    CREATE TABLE outbox_events (
      id text PRIMARY KEY, status text NOT NULL, topic text, "retryCount" integer NOT NULL DEFAULT 0,
      "createdAt" timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
      "updatedAt" timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
    CREATE INDEX ON outbox_events (status, "updatedAt");
    CREATE TABLE dead_letter_events (id text PRIMARY KEY, topic text, "failedAt" timestamp(3));
    """
  static let relaycast = """
    CREATE TABLE pending_events (
      id text PRIMARY KEY, workspace_id text, event_type text NOT NULL, payload jsonb, status text DEFAULT 'pending',
      attempts smallint NOT NULL DEFAULT 0, max_attempts smallint NOT NULL DEFAULT 5, last_error text,
      created_at timestamptz NOT NULL DEFAULT now(), process_after timestamptz NOT NULL DEFAULT now(),
      completed_at timestamptz);
    CREATE INDEX ON pending_events (status, process_after);
    """

  /// Operators, functions, types and tables that a search path puts before the server's and the ledger's own.
  static let evil = """
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.never(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.never("char", "char") RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.never(float8, float8) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
    CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
    CREATE OPERATOR evil.= (LEFTARG = "char", RIGHTARG = "char", FUNCTION = evil.never);
    CREATE OPERATOR evil.- (LEFTARG = float8, RIGHTARG = float8, FUNCTION = evil.never);
    CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.date_part(text, timestamptz) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.to_timestamp(float8) RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE FUNCTION evil.pg_current_xact_id() RETURNS xid8 LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
    CREATE DOMAIN evil.text AS pg_catalog.text CHECK (VALUE IS NULL);
    CREATE DOMAIN evil.record AS pg_catalog.text CHECK (VALUE IS NULL);
    CREATE DOMAIN evil."char" AS pg_catalog."char" CHECK (VALUE IS NULL);
    CREATE DOMAIN evil.int4 AS pg_catalog.int4 CHECK (VALUE IS NULL);
    CREATE TABLE evil.new_rows (a integer);
    CREATE TABLE evil.old_rows (a integer);
    """
}
