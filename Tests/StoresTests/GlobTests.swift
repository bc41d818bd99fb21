import Stores
import SystemCalls
import TestSupport
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("state/outbox.sqlite", false), ("state/*.sqlite", true), ("a?", true), ("a[12]", true), ("~/a\\b]", false),
  ])
  func `a pattern is told from a path`(pattern: String, hasMagic: Bool) {
    #expect(Glob.hasMagic(pattern) == hasMagic)
  }

  @Test(arguments: [
    ("state/*/outbound_dlq.sqlite", "state"), ("/var/lib/app-?/x/*.sqlite", "/var/lib"), ("*.sqlite", ""),
    ("/*/x", "/"), ("//*/x", "/"), ("state/plain.sqlite", "state"), ("a/b[1]c/d", "a"),
  ])
  func `the fixed prefix is the directory that every match is in`(pattern: String, prefix: String) {
    #expect(Glob.fixedPrefix(pattern) == prefix)
  }

  @Test(arguments: [
    ("state/*/outbound_dlq.sqlite", "state/telegram/outbound_dlq.sqlite", "telegram/outbound_dlq"),
    ("state/*.sqlite", "state/outbox.sqlite", "outbox"),
    ("/srv/*/state/*.db", "/srv/shop/state/out.v2.db", "shop/state/out.v2"),
    ("*.sqlite", "outbox.sqlite", "outbox"),
    ("./*.sqlite", "./outbox.sqlite", "outbox"),
    ("/*/x.db", "/a/x.db", "a/x"),
    ("state//*/x.db", "state//a/x.db", "a/x"),
    ("/home/*/delivery-queue", "/home/anna/delivery-queue", "anna/delivery-queue"),
    ("q/*", "q/orders.sqlite", "orders.sqlite"),
    ("q/*.sqlite*", "q/orders.sqlite", "orders.sqlite"),
    ("q/o*.sq?", "q/orders.sqx", "orders.sqx"),
    ("q/o*.sq?", "q/orders.sq?", "orders.sq?"),
    ("q*/.hidden", "q1/.hidden", "q1/.hidden"),
  ])
  func `a match is named by what the pattern leaves open`(pattern: String, path: String, stem: String) {
    #expect(Glob.stem(of: path, pattern: pattern) == stem)
  }

  @Test func `matches are complete and sorted, and hidden files are none`() throws {
    let directory = try TemporaryDirectory()
    for name in ["b/x.db", "a/x.db", "B/x.db", "ä/x.db", "c/y.db", ".h/x.db", "file"] {
      try directory.write("", to: name)
    }
    let root = directory.path
    #expect(try Glob.expand("\(root)/*/x.db") == ["B", "a", "b", "ä"].map { "\(root)/\($0)/x.db" })
    #expect(try Glob.expand("\(root)/[ab]/*.db") == ["\(root)/a/x.db", "\(root)/b/x.db"])
    #expect(try Glob.expand("\(root)/file") == ["\(root)/file"])
    #expect(try Glob.expand("\(root)/*/z.db") == [])
    #expect(try Glob.expand("\(root)/missing/*") == [])
    #expect(try Glob.expand("\(root)/file/*") == [])
  }

  @Test func `a directory that may not be read is not the same as no match`() throws {
    let directory = try TemporaryDirectory(openToAll: true)
    try directory.write("", to: "closed/x.db")
    _ = try run("chmod", ["000", "\(directory.path)/closed"])
    let pattern = "\(directory.path)/closed/*.db"
    let error: SystemError? = withoutFilePrivileges {
      do throws(SystemError) {
        _ = try Glob.expand(pattern)
        return nil
      } catch {
        return error
      }
    }
    _ = try run("chmod", ["700", "\(directory.path)/closed"])
    #expect(error?.kind == .permission)
    #expect(error.map { "\($0)" } == "glob \(pattern): Permission denied")
  }
}
