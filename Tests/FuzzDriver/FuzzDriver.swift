import FuzzedParsers
import Glibc

/// What libFuzzer calls with each input. OUTBOX_FUZZ_PARSER names the parser.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  if let problem = parser.problem(with: unsafe Array(UnsafeBufferPointer(start: bytes, count: count))) {
    fatalError("\(parser.rawValue): \(problem)")
  }
  return 0
}

private let parser: FuzzedParser = {
  let name = unsafe getenv("OUTBOX_FUZZ_PARSER").map { unsafe String(cString: $0) } ?? ""
  guard let parser = FuzzedParser(rawValue: name) else {
    fatalError("OUTBOX_FUZZ_PARSER is one of \(FuzzedParser.allCases.map(\.rawValue))")
  }
  return parser
}()
