import Glibc

/// A real PgBouncer in front of a temporary cluster.
package final class PgBouncer {
  /// Why none can be had on this machine; nil where one can.
  package static let unavailable: String? =
    (try? run("env", ["pgbouncer", "--version"], environment: ["PATH": searchPath]).code) == 0
    ? nil : "pgbouncer is not on PATH"

  // Distributions keep it where only root's PATH looks.
  private static let searchPath = (currentEnvironment()["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin"

  /// Where it listens.
  package let port: Int
  private let address: String
  private let directory: TemporaryDirectory
  private let process: ChildProcess
  // Ends the pooler when this process ends before it.
  private let watchdog: ChildProcess

  /// Starts a pooler with room for one server connection per database.
  ///
  /// - Parameters:
  ///   - mode: `session`, `transaction` or `statement`.
  ///   - namespace: the network that it listens in, at the address; the machine's own if nil.
  package init(
    mode: String, before server: TemporaryPostgres, in namespace: NetworkNamespace? = nil,
    at address: String = "127.0.0.1"
  ) throws {
    self.address = address
    directory = try TemporaryDirectory(openToAll: true)
    port = freePort()
    try directory.write(
      """
      [databases]
      * = host=\(server.socketDirectory) port=\(server.port) user=postgres
      [pgbouncer]
      listen_addr = \(address)
      listen_port = \(port)
      unix_socket_dir =
      auth_type = any
      pool_mode = \(mode)
      default_pool_size = 1
      max_client_conn = 20

      """, to: "pgbouncer.ini")
    // It refuses to run as root, and drops to another user by itself.
    let user = getuid() == 0 ? ["-u", "postgres"] : []
    let pooler = ["env", "pgbouncer"] + user + ["\(directory.path)/pgbouncer.ini"]
    let command = namespace.map { $0.entering(pooler) } ?? pooler
    process = try ChildProcess(command[0], Array(command.dropFirst()), environment: ["PATH": Self.searchPath])
    watchdog = try ChildProcess(
      "sh", ["-c", "while kill -0 \(getpid()) 2>/dev/null; do sleep 0.5; done; kill -9 \(process.pid)"])
    // From here another network cannot be looked into: whoever is in it waits for its own first answer.
    guard namespace != nil || eventually(within: .seconds(10), { canConnect(toPort: port) }) else {
      throw TemporaryPostgres.Failure(program: "pgbouncer", text: process.standardError)
    }
  }

  /// A conninfo through the pooler.
  package func conninfo(_ database: TemporaryDatabase) -> String {
    "host=\(address) port=\(port) dbname=\(database.name) user=postgres"
  }
}

/// True where something listens on a port of the loopback address.
package func canConnect(toPort port: Int) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  return unsafe withLoopback(port: port) { address, length in unsafe connect(descriptor, address, length) == 0 }
}

func withLoopback<Result>(port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  return unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      unsafe body(generic, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}
