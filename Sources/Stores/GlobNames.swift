package import SystemCalls

extension Glob {
  /// What distinguishes one match of a pattern from the others: its path below ``fixedPrefix(_:)``, without the
  /// extension where the pattern ends in just that one. `state/*/outbound_dlq.sqlite` names its match below
  /// `state/telegram` `telegram/outbound_dlq`. It is appended to the outbox's name, so it stays the same for as long as
  /// the pattern does.
  package static func stem(of path: String, pattern: String) -> String {
    let fixed = fixedPrefix(pattern).split(separator: "/").count
    var stem = path.split(separator: "/").dropFirst(fixed).joined(separator: "/")
    let last = pattern.split(separator: "/").last ?? ""
    if let dot = last.lastIndex(of: "."), dot > last.startIndex {
      let end = last[dot...]
      if !hasMagic(String(end)) && stem.hasSuffix(end) { stem.removeLast(end.count) }
    }
    return stem
  }
}
