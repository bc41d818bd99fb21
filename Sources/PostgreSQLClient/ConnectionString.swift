import CLibPQ

/// What can be found wrong with a connection string before libpq speaks about it.
///
/// libpq quotes the part that it cannot read. That is often a piece of a password: `p/ss` in a URL reads as a port `p`.
package enum ConnectionString {
  /// Why the string must not be tried, in words that quote nothing of it; nil where it can be.
  package static func problem(in conninfo: String) -> String? {
    let isURL = conninfo.hasPrefix("postgresql://") || conninfo.hasPrefix("postgres://")
    // Anything else is the bare name of a database.
    guard isURL || conninfo.contains("=") else { return nil }
    guard let options = options(of: conninfo) else {
      return isURL
        ? "the connection URL cannot be read: \(encodingRule)"
        : "the connection string cannot be read: it is a list of keyword=value, where a value with spaces, quotes or "
          + "backslashes stands in single quotes"
    }
    let hosts = (options["host"] ?? "").split(separator: ",")
    let ports = (options["port"] ?? "").split(separator: ",", omittingEmptySubsequences: true)
    if hosts.contains(where: { $0.dropFirst().contains("@") }) || ports.contains(where: { UInt16($0) == nil }) {
      return "the connection string names a host or port that cannot be one: \(encodingRule)"
    }
    return nil
  }

  private static let encodingRule =
    "in a URL the characters @ : / ? # % of a user name or password are written %40 %3A %2F %3F %23 %25"

  /// Which database is meant, in words that hold neither a user nor a secret: what stands in the string, else in libpq's
  /// variables (libpq manual, "Environment Variables").
  package static func place(_ conninfo: String, environment: [String: String]) -> String {
    let variables = [
      ("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT"), ("dbname", "PGDATABASE"),
      ("service", "PGSERVICE"), ("options", "PGOPTIONS"),
    ]
    var options =
      conninfo.contains("=") || conninfo.contains("://") ? options(of: conninfo) ?? [:] : ["dbname": conninfo]
    // A database's name may be a connection string itself, with everything that one may hold.
    if let nested = options["dbname"], nested.contains("=") || nested.contains("://") {
      options.merge(self.options(of: nested) ?? ["dbname": ""]) { $1 }
    }
    return variables.map { "\($0)=\(options[$0] ?? environment[$1] ?? "")" }.joined(separator: " ")
  }

  static func options(of conninfo: String) -> [String: String]? {
    var message: UnsafeMutablePointer<CChar>?
    guard let first = unsafe PQconninfoParse(conninfo, &message) else {
      unsafe PQfreemem(message)
      return nil
    }
    defer { unsafe PQconninfoFree(first) }
    var options: [String: String] = [:]
    var option = unsafe first
    while let keyword = unsafe option.pointee.keyword {
      if let value = unsafe option.pointee.val {
        unsafe options[String(cString: keyword)] = unsafe String(cString: value)
      }
      unsafe option += 1
    }
    return options
  }
}
