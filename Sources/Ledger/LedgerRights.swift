import SampleSQL

/// With whose rights the functions of one ledger run, and what these have to be.
///
/// The functions are the table owner's: a superuser, or a member of that role, gives them away, and no more than they need.
/// What an owner puts into its table must not run with the rights of another, and a database whose tables belong to several
/// roles gets its ledgers from one hand.
struct LedgerRights: Sendable, Hashable {
  let names: LedgerNames
  /// The watched table, quoted.
  let table: String
  /// The tables of the application that the functions select from, quoted.
  let read: [String]

  /// True where the owner of a trigger's function `f` may do what it does. The catalogues say so to every role, also to one
  /// that may not use the schema.
  var suffice: String {
    let label = SQLIdentifier.literal(names.label, .postgresql)
    let terms = LedgerScript.functionNames(LedgerTerm.allCases.map(\.rawValue), of: label)
    let written = [names.label, LedgerNames.lossesTable].map { SQLIdentifier.literal($0, .postgresql) }
    let read = read.map { SQLIdentifier.literal($0, .postgresql) + "::regclass" }
    return """
      (f.prosecdef AND has_schema_privilege(f.proowner, f.pronamespace, 'USAGE')
        AND (SELECT count(*) FROM pg_class c WHERE c.relnamespace = f.pronamespace
          AND c.relname IN (\(written.joined(separator: ", "))) AND has_table_privilege(f.proowner, c.oid, 'INSERT')) = 2
        AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = f.pronamespace AND c.relkind = 'S'
          AND c.relname = '\(LedgerNames.unnotedSequence)' AND NOT has_sequence_privilege(f.proowner, c.oid, 'USAGE'))
        AND (SELECT bool_and(has_table_privilege(f.proowner, c.oid, 'SELECT')
            AND has_schema_privilege(f.proowner, c.relnamespace, 'USAGE'))
          FROM pg_class c WHERE c.oid IN (\(read.joined(separator: ", "))))
        AND NOT EXISTS (SELECT FROM pg_proc m WHERE m.pronamespace = f.pronamespace
          AND m.proname IN (\(terms))
          AND NOT has_function_privilege(f.proowner, m.oid, 'EXECUTE')))
      """
  }

  /// The statement that gives the functions to who is to have them, with what they need, and takes it from who had them.
  var handOver: String {
    let journal = SQLIdentifier.literal(names.journal, .postgresql)
    return "DO "
      + """
      DECLARE
        part record;
        keeper oid;
        keeper_name text;
        is_given boolean;
      BEGIN
        SELECT r.oid, r.rolname, u.rolsuper OR pg_has_role(u.oid, r.oid, \(Self.mayBecome)) INTO keeper, keeper_name, is_given
          FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner JOIN pg_roles u ON u.rolname = current_user
          WHERE c.oid = \(SQLIdentifier.literal(table, .postgresql))::regclass;
        IF NOT is_given THEN
          SELECT r.oid, r.rolname INTO keeper, keeper_name FROM pg_roles r WHERE r.rolname = current_user;
        ELSIF keeper_name <> current_user THEN
          -- But for a superuser, nobody gives a function to a role that may not create one in its schema.
          EXECUTE format('GRANT USAGE, CREATE ON SCHEMA \(LedgerNames.schema) TO %I', keeper_name);
          EXECUTE format('GRANT INSERT ON %s, \(LedgerNames.losses) TO %I', \(journal), keeper_name);
          EXECUTE format('GRANT USAGE ON SEQUENCE \(LedgerNames.unnoted) TO %I', keeper_name);
        END IF;
        FOR part IN SELECT f.oid::regprocedure AS name FROM pg_proc f
          WHERE f.proowner <> keeper AND \(LedgerScript.isFunction(of: SQLIdentifier.literal(names.label, .postgresql)))
        LOOP
          EXECUTE format('ALTER FUNCTION %s OWNER TO %I', part.name, keeper_name);
        END LOOP;
        IF is_given AND keeper_name <> current_user
          AND keeper <> (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = '\(LedgerNames.schema)') THEN
          EXECUTE format('REVOKE CREATE ON SCHEMA \(LedgerNames.schema) FROM %I', keeper_name);
        END IF;
        FOR part IN SELECT r.rolname AS name FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
          JOIN pg_roles r ON r.oid = a.grantee
          WHERE c.oid = \(journal)::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (keeper, c.relowner)
        LOOP
          EXECUTE format('REVOKE INSERT ON %s FROM %I', \(journal), part.name);
        END LOOP;
      \(Self.takeBack.indented(2))
      END
      """.dollarQuoted
  }

  private static let mayBecome =
    "CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END"

  /// Takes from roles that own no function any more what their functions needed of what the ledgers share; to be run where
  /// `part` is a record.
  static let takeBack = """
    FOR part IN SELECT r.oid, r.rolname AS name FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
      JOIN pg_roles r ON r.oid = a.grantee
      WHERE c.oid = '\(LedgerNames.losses)'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
        AND NOT EXISTS (SELECT FROM pg_proc f WHERE f.pronamespace = c.relnamespace AND f.proowner = a.grantee)
    LOOP
      EXECUTE format('REVOKE INSERT ON \(LedgerNames.losses) FROM %I', part.name);
      IF to_regclass('\(LedgerNames.unnoted)') IS NOT NULL THEN
        EXECUTE format('REVOKE USAGE ON SEQUENCE \(LedgerNames.unnoted) FROM %I', part.name);
      END IF;
      IF NOT EXISTS (SELECT FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
          WHERE c.relnamespace = '\(LedgerNames.schema)'::regnamespace AND a.grantee = part.oid) THEN
        EXECUTE format('REVOKE USAGE ON SCHEMA \(LedgerNames.schema) FROM %I', part.name);
      END IF;
    END LOOP;
    """

  /// The statement that lets who may read the ledgers read the sequence too: it is not as old as the rest.
  static let shareSequence =
    "DO "
      + """
      DECLARE
        part record;
      BEGIN
        FOR part IN SELECT r.rolname AS name FROM pg_class c CROSS JOIN aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
          WHERE c.oid = '\(LedgerNames.watched)'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
        LOOP
          EXECUTE format('GRANT SELECT ON SEQUENCE \(LedgerNames.unnoted) TO %I', part.name);
        END LOOP;
      END
      """.dollarQuoted

  /// The statement that refuses to install into what another role rules. It may have put triggers and functions there that
  /// would run with the rights of whoever installs or mends a ledger.
  static let refuseForeignSchema =
    "DO "
      + """
      DECLARE
        ruler text := (SELECT r.rolname FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
          JOIN pg_roles r ON r.oid IN (n.nspowner, c.relowner)
          WHERE n.nspname = '\(LedgerNames.schema)' AND NOT r.rolsuper LIMIT 1);
      BEGIN
        IF ruler IS NOT NULL AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
          RAISE EXCEPTION 'the schema \(LedgerNames.schema), or a table in it, belongs to the role %, and a superuser puts nothing '
            'into what another role rules: install as that role, or remove its ledgers first', ruler
            USING ERRCODE = 'insufficient_privilege';
        END IF;
      END
      """.dollarQuoted
}
