import TestSupport
import Testing

/// `scripts/test` builds the release and says where it is.
private let releaseBinary = currentEnvironment()["OUTBOX_RELEASE_BINARY"]

@Suite(.enabled(if: releaseBinary != nil, "OUTBOX_RELEASE_BINARY is not set; scripts/test sets it"))
struct ReleaseBinaryTests {
  private let path = releaseBinary ?? ""

  @Test func `the release loads no library of the Foundation family and ships no Swift runtime`() throws {
    let result = try run("ldd", [path])
    #expect(result.code == 0, "\(result.error)")
    let libraries = result.output.split(separator: "\n").compactMap { $0.trimmed.split(separator: " ").first }
    // The list is what it is taken for.
    for wanted in ["libpq.so", "libcurl.so", "libsqlite3.so"] {
      #expect(libraries.contains { $0.hasPrefix(wanted) }, "\(wanted) is not linked: \(libraries)")
    }
    let forbidden = ["libFoundation", "lib_Foundation", "libdispatch", "libBlocksRuntime", "libswift", "libicu"]
    #expect(libraries.filter { library in forbidden.contains { library.hasPrefix($0) } } == [])
  }

  /// A Swift symbol begins with `$s`, then the length and the name of its module, so that `$s10Foundation` is the
  /// module Foundation and nothing else. FoundationEssentials comes in through swift-argument-parser, the C library
  /// dispatch through Swift's own concurrency runtime; both are small. `swift_u_` begins the names of Swift's ICU.
  @Test func `no symbol of Foundation, its networking or ICU is inside the release`() throws {
    let result = try run("nm", ["--defined-only", "--format=posix", path])
    #expect(result.code == 0, "\(result.error)")
    let symbols = result.output.split(separator: "\n").map { $0.prefix { $0 != " " } }
    #expect(symbols.contains { $0.hasPrefix("$s") }, "the release has no symbols to look at")
    let modules = [
      "Foundation", "FoundationInternationalization", "FoundationNetworking", "FoundationXML", "_FoundationICU",
      "Dispatch",
    ]
    let prefixes = modules.map { "$s\($0.utf8.count)\($0)" } + ["swift_u_"]
    #expect(Array(symbols.filter { symbol in prefixes.contains { symbol.hasPrefix($0) } }.prefix(10)) == [])
  }
}
