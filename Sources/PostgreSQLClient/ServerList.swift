/// The servers that a connection string names, in the order in which libpq is to try them.
///
/// libpq goes to the next server when one refuses. When one hangs, only its blocking interface would.
struct ServerList {
  private var servers: [Server]
  private let hasHosts: Bool
  private let hasAddresses: Bool

  private struct Server {
    var host: String
    var address: String
    var port: String
  }

  init(_ conninfo: String) {
    let options = ConnectionString.options(of: conninfo) ?? [:]
    func list(_ keyword: String) -> [String] {
      options[keyword].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
    }
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
    hasHosts = !hosts.isEmpty
    hasAddresses = !addresses.isEmpty
    servers = (0..<max(hosts.count, addresses.count)).map { index in
      Server(
        host: index < hosts.count ? hosts[index] : "", address: index < addresses.count ? addresses[index] : "",
        port: index < ports.count ? ports[index] : ports.last ?? "")
    }
  }

  /// How many servers are named; 0 where libpq is to find the one by itself.
  var count: Int { servers.count }

  /// libpq keywords that put this order in the place of the connection string's.
  var options: [(String, String)] {
    guard count > 1 else { return [] }
    var options = [("port", servers.map(\.port).joined(separator: ","))]
    if hasHosts { options.append(("host", servers.map(\.host).joined(separator: ","))) }
    if hasAddresses { options.append(("hostaddr", servers.map(\.address).joined(separator: ","))) }
    return options
  }

  /// Makes the server that was tried last, and those tried before it, the last ones to be tried again.
  mutating func moveToBack(host: String, port: String) {
    let isTried = { (server: Server) in
      (server.host == host || server.address == host) && (server.port == port || server.port.isEmpty)
    }
    guard let index = servers.firstIndex(where: isTried) else { return }
    servers = Array(servers[(index + 1)...] + servers[...index])
  }
}
