import Outbox
import PostgreSQLClient

extension SampleFailure {
  /// Says what an error means for an outbox, by SQLSTATE alone: messages come in the server's language.
  init(_ error: PostgreSQLError, database: String, role: String, limits: PostgreSQLLimits) {
    switch error {
    case .cannotConnect("42501"?, let message):
      self.init(.permission, message, hint: "grant the role CONNECT on the database")
    case .cannotConnect("3D000"?, let message):
      self.init(.absent, message, hint: "check the database's name in the outbox's DSN")
    case .cannotConnect("53300"?, let message):
      self.init(.unreachable, message, hint: "the server has no connection left; the exporter needs one")
    case .cannotConnect(_, let message) where message.contains("unsupported startup parameter"):
      // PgBouncer's own words, in no other language.
      self.init(
        .unreachable, message,
        hint: "the exporter works through a pooler in any mode, but not with `options` in the DSN or PGOPTIONS: "
          + "leave them out, or name them in the pooler's ignore_startup_parameters")
    case .cannotConnect("08P01"?, let message):
      self.init(.unreachable, message, hint: "check that a pooler in between knows the database and the role")
    case .cannotConnect(_, let message):
      self.init(.unreachable, message, hint: "check the host and port in the outbox's DSN, and that the server runs")
    case .authentication(let message):
      self.init(
        .authentication, message, hint: "check the role and its password (dsn_file, PGPASSFILE), and pg_hba.conf")
    case .timedOut(while: .connecting):
      self.init(
        .timeout, "no connection to the database within \(limits.connect)",
        hint: "the host takes connections but does not answer, or drops packets")
    case .timedOut(while: .querying):
      self.init(
        .timeout, "database \(database) did not answer within \(limits.roundTrip)",
        hint: "the server hangs, a pooler has no connection left, or the network is gone; the sample was cancelled "
          + "and its connection closed")
    case .closed(let message):
      self.init(.unreachable, "the connection to database \(database) broke: \(message)")
    case .server(let report):
      self.init(report, database: database, role: role, limits: limits)
    }
  }

  private init(_ report: PostgreSQLError.ServerError, database: String, role: String, limits: PostgreSQLLimits) {
    let message = "database \(database): \(report.message) (SQLSTATE \(report.sqlState))"
    switch (report.sqlStateClass, report.sqlState) {
    case (_, "42501") where report.routine == "check_enable_rls":
      self = .rowSecurity(message, role: role)
    case (_, "42501"):
      self.init(.permission, message, hint: "`outbox-exporter sql` prints the GRANTs that the role \(role) needs")
    case (_, "57014"):
      self.init(
        .timeout, message,
        hint: "the sample was cancelled, as a rule by its statement_timeout of \(limits.statement): see its plan with "
          + "`outbox-exporter sql`")
    case (_, "55P03"):
      self.init(
        .lockTimeout, message,
        hint: "another session holds the table for longer than \(limits.lock): see pg_locks and pg_stat_activity")
    case ("28", _):
      self.init(.authentication, message)
    case ("08", _), ("57", _):
      self.init(.unreachable, message)
    case (_, "25006"):
      self.init(
        .other, message, hint: "a predicate of the layout calls a function that writes; samples are read-only")
    case (_, "40001"):
      self.init(
        .other, message, hint: "the replica removed rows that the sample still needed: see hot_standby_feedback")
    case ("42", _), ("3F", _):
      self.init(.schema, message, hint: report.hint ?? "a predicate or column of the layout does not fit the table")
    case (_, "XX001"), (_, "XX002"):
      self.init(.corrupt, message)
    case ("22", _), ("23", _), ("P0", _):
      // These messages quote the value that did not fit.
      self.init(
        .other, "database \(database): a value could not be read as the layout expects (SQLSTATE \(report.sqlState))",
        hint: "run what `outbox-exporter sql` prints in psql to see which; it is not shown here, as it may be private")
    default:
      self.init(.other, message)
    }
  }

  /// Row-level security would have hidden rows.
  static func rowSecurity(_ message: String, role: String) -> SampleFailure {
    SampleFailure(
      .rowSecurity, message,
      hint:
        "policies would hide rows from the role \(role) and the depth would be too low: use the table's owner, or a "
        + "role with BYPASSRLS, or point the layout to a view whose owner sees all rows")
  }
}
