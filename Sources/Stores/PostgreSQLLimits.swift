/// What bounds the exporter's presence in a PostgreSQL database.
package struct PostgreSQLLimits: Sendable, Hashable {
  /// How long connecting may take, name resolution aside.
  package var connect: Duration
  /// The server's `statement_timeout` for each statement of a sample.
  package var statement: Duration
  /// The server's `lock_timeout`: how long a sample queues behind, and in front of, somebody else's lock.
  package var lock: Duration
  /// The server's `statement_timeout` for a look at the head of a queue, which is given up rather than waited for.
  package var head: Duration
  /// How long the client waits for the answer to a sample, whatever the server does. Longer than ``statement``, so that
  /// the server ends its work first.
  package var roundTrip: Duration
  /// How often tables, columns and unknown states are looked up again.
  package var schemaLifetime: Duration
  /// The longest wait between two attempts to connect.
  package var longestBackOff: Duration
  /// How far a writer's clock may be behind the database's, and how long it may take from looking at it to its
  /// transaction, before what it finishes may escape the counting of movements.
  package var clockAllowance: Duration

  /// Limits; the defaults suit a production database.
  package init(
    connect: Duration = .seconds(5), statement: Duration = .seconds(5), lock: Duration = .milliseconds(500),
    head: Duration = .milliseconds(250), roundTrip: Duration = .seconds(10), schemaLifetime: Duration = .seconds(3600),
    longestBackOff: Duration = .seconds(30), clockAllowance: Duration = .seconds(30)
  ) {
    self.connect = connect
    self.statement = statement
    self.lock = lock
    self.head = min(head, statement)
    self.roundTrip = roundTrip
    self.schemaLifetime = schemaLifetime
    self.longestBackOff = longestBackOff
    self.clockAllowance = clockAllowance
  }
}
