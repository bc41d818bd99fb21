/// Why a connection to PostgreSQL could not be had or a query gave no result.
///
/// The texts come from libpq and the server. They may name hosts, users and databases; they never hold a password.
package enum PostgreSQLError: Error, Sendable, Hashable {
  /// No connection: nobody listens there, the name does not resolve, or the server turned the connection away.
  /// The SQLSTATE is there where a server answered.
  case cannotConnect(sqlState: String?, message: String)
  /// The server refused the credentials (class 28), or asks for a password and none was given.
  case authentication(message: String)
  /// The client's own deadline passed. A server that stops its work then when it is asked to leaves the connection usable.
  case timedOut(while: Activity)
  /// The connection broke, or the far side does not speak the protocol.
  case closed(message: String)
  /// The server reported an error. The connection is still usable.
  case server(ServerError)

  /// What the client was waiting for.
  package enum Activity: String, Sendable, Hashable {
    /// Name resolution, the TCP handshake, TLS and authentication.
    case connecting
    /// The answer to a query.
    case querying
  }

  /// An error as the server reported it. Detail and context are left out on purpose: they may quote rows.
  package struct ServerError: Sendable, Hashable {
    /// Five characters, as listed in "PostgreSQL Error Codes"; does not depend on the server's language.
    package var sqlState: String
    /// The primary message, in the server's language.
    package var message: String
    /// The server's own advice, e.g. the column that was probably meant.
    package var hint: String?
    /// The routine of the server's source that raised the error; does not depend on the server's language. Tells apart
    /// what shares an SQLSTATE.
    package var routine: String?

    /// An error report.
    package init(sqlState: String, message: String, hint: String? = nil, routine: String? = nil) {
      self.sqlState = sqlState
      self.message = message
      self.hint = hint
      self.routine = routine
    }

    /// The first two characters of the SQLSTATE, which name the class of the error.
    package var sqlStateClass: String { String(sqlState.prefix(2)) }
  }
}
