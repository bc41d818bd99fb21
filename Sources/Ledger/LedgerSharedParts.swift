import SampleSQL

extension LedgerScript {
  /// While VACUUM makes a table shorter nobody can write to it. A journal needs its pages again anyway.
  static let keepsItsLength = "vacuum_truncate = off, toast.vacuum_truncate = off"

  /// A publication of all tables would refuse to let rows go that nothing identifies. Only where it is not so already: this
  /// takes a lock that no loss could be noted beside.
  static func isDeletedFromUnderPublication(_ table: String) -> String {
    let name = SQLIdentifier.literal(table, .postgresql)
    return "DO "
      + """
      BEGIN
        IF (SELECT c.relreplident FROM pg_class c WHERE c.oid = \(name)::regclass) <> 'f' THEN
          ALTER TABLE \(table) REPLICA IDENTITY FULL;
        END IF;
      END
      """.dollarQuoted
  }

  /// The statements that make what all ledgers of a database share, as far as it is not there.
  var shared: [String] {
    [
      LedgerRights.refuseForeignSchema,
      "CREATE SCHEMA IF NOT EXISTS \(LedgerNames.schema)",
      """
      CREATE TABLE IF NOT EXISTS \(LedgerNames.watched) (
        journal text PRIMARY KEY, relation regclass NOT NULL, dead regclass, version integer NOT NULL, definition text NOT NULL,
        installation uuid NOT NULL DEFAULT gen_random_uuid(),
        cluster bigint NOT NULL DEFAULT (pg_control_system()).system_identifier,
        purged xid8 NOT NULL DEFAULT '0', installed_at timestamptz NOT NULL DEFAULT now())
      """,
      """
      CREATE TABLE IF NOT EXISTS \(LedgerNames.losses) (
        txid xid8 NOT NULL DEFAULT pg_current_xact_id(), journal text NOT NULL, sqlstate text NOT NULL)
      """,
      "ALTER TABLE \(LedgerNames.losses) SET (\(Self.keepsItsLength))",
      Self.isDeletedFromUnderPublication(LedgerNames.losses),
      "CREATE SEQUENCE IF NOT EXISTS \(LedgerNames.unnoted)",
      LedgerRights.shareSequence,
      """
      CREATE TABLE IF NOT EXISTS \(LedgerNames.readers) (
        journal text, reader text, through xid8 NOT NULL, seen timestamptz NOT NULL, PRIMARY KEY (journal, reader))
      """,
      """
      CREATE OR REPLACE FUNCTION \(LedgerNames.purge)(of_journal text, by_reader text, read_through xid8, at_most integer)
      RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $ledger$
      #variable_conflict use_column
      DECLARE
        horizon xid8;
        gone integer;
      BEGIN
        PERFORM 1 FROM \(LedgerNames.watched) WHERE journal = of_journal;
        IF NOT FOUND THEN
          RETURN 0;
        END IF;
        INSERT INTO \(LedgerNames.readers) (journal, reader, through, seen)
        VALUES (of_journal, by_reader, least(read_through, pg_snapshot_xmin(pg_current_snapshot())), now())
        ON CONFLICT (journal, reader) DO UPDATE SET through = excluded.through, seen = excluded.seen;
        -- A reader that was not seen for a week is gone, or begins anew; one that keeps nothing is gone when it has ended.
        DELETE FROM \(LedgerNames.readers) WHERE journal = of_journal AND seen < now()
          - CASE WHEN starts_with(reader, '\(LedgerNames.transientReader)') THEN interval '1 hour' ELSE interval '7 days' END;
        SELECT min(through::text::numeric)::text::xid8 INTO horizon FROM \(LedgerNames.readers) WHERE journal = of_journal;
        EXECUTE format('DELETE FROM \(LedgerNames.schema).%I WHERE ctid = ANY (ARRAY(SELECT ctid FROM '
          '\(LedgerNames.schema).%1$I WHERE txid < $1 ORDER BY txid LIMIT $2 FOR UPDATE SKIP LOCKED))', of_journal)
          USING horizon, at_most;
        GET DIAGNOSTICS gone = ROW_COUNT;
        DELETE FROM \(LedgerNames.losses) WHERE journal = of_journal AND txid < horizon;
        IF gone > 0 THEN
          UPDATE \(LedgerNames.watched) SET purged = horizon WHERE journal = of_journal AND purged < horizon;
        END IF;
        RETURN gone;
      END $ledger$
      """,
      "REVOKE ALL ON SCHEMA \(LedgerNames.schema) FROM PUBLIC",
      "REVOKE ALL ON FUNCTION \(LedgerNames.purge)(text, text, xid8, integer) FROM PUBLIC",
    ]
  }
}
