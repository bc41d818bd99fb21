import Glibc

/// Two networks of their own with a cable between them, at 192.0.2.1 and 192.0.2.2 (RFC 5737 §3: addresses that mean nothing
/// elsewhere). They go when this goes.
package final class NetworkNamespace: Sendable {
  /// Why none can be had on this machine; nil where one can.
  package static let unavailable: String? = {
    guard let cable = try? NetworkCable() else {
      return "this user may not make network namespaces, or there is no ip(8)"
    }
    return (try? run(cable.near.entering(["true"])).code) == 0 ? nil : "network namespaces cannot be entered here"
  }()

  /// Its name, for ip-netns(8).
  package let name: String

  fileprivate init(_ name: String) throws {
    self.name = name
    try NetworkCable.ip("netns", "add", name)
  }

  /// A command that runs in this network.
  package func entering(_ command: [String]) -> [String] { [NetworkCable.program, "netns", "exec", name] + command }

  deinit {
    try? NetworkCable.ip("netns", "del", name)
  }
}

/// The cable between two networks.
package final class NetworkCable: Sendable {
  /// The network at 192.0.2.1.
  package let near: NetworkNamespace
  /// The network at 192.0.2.2.
  package let far: NetworkNamespace
  /// The address in the far network.
  package static let farAddress = "192.0.2.2"

  /// Two networks, connected.
  package init() throws {
    let name = "outbox\(UInt32.random(in: 0...UInt32.max))"
    near = try NetworkNamespace(name + "a")
    far = try NetworkNamespace(name + "b")
    try Self.ip("-n", near.name, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", far.name)
    for (network, address) in [(near, "192.0.2.1/30"), (far, "\(Self.farAddress)/30")] {
      try Self.ip("-n", network.name, "address", "add", address, "dev", "cable")
      try Self.ip("-n", network.name, "link", "set", "cable", "up")
      try Self.ip("-n", network.name, "link", "set", "lo", "up")
    }
  }

  /// Pulls the plug at the far end: what is sent is lost, and nobody is told.
  package func unplug() throws {
    try Self.ip("-n", far.name, "link", "set", "cable", "down")
  }

  /// Puts it back.
  package func plugIn() throws {
    try Self.ip("-n", far.name, "link", "set", "cable", "up")
  }

  // Where only root's PATH looks.
  fileprivate static let program = programOnPath("ip") ?? "/usr/sbin/ip"

  fileprivate static func ip(_ arguments: String...) throws {
    let result = try run(program, arguments)
    guard result.code == 0 else { throw TemporaryPostgres.Failure(program: "ip", text: result.error) }
  }
}
