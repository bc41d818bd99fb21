import TestSupport
import Testing

struct `The generated C` {
  /// Other versions of the generator write other code for the same messages.
  private static let hasGenerator = (try? run("protoc-c", ["--version"]).output.hasPrefix("protobuf-c 1.4.")) ?? false

  @Test(.enabled(if: hasGenerator, "protoc-c 1.4 is not on PATH"))
  func `is what protoc-c makes of the protos`() throws {
    let target = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/Sources/COpenTelemetryProto"
    let fresh = try TemporaryDirectory()
    let generation = try run(target + "/generate.sh", [fresh.path])
    #expect(generation.code == 0, "\(generation.error)")
    for folder in ["generated", "include/opentelemetry", "include/google"] {
      let difference = try run("diff", ["-r", "\(target)/\(folder)", "\(fresh.path)/\(folder)"])
      #expect(difference.code == 0, "\(difference.output)\(difference.error)")
    }
  }
}
