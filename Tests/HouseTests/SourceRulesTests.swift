import TestSupport
import Testing

/// The modules that may touch memory without the compiler's help, and the operating system with it.
private let wrappers: Set = [
  "PostgreSQLClient", "SQLiteClient", "HTTPClient", "GRPCClient", "YAMLClient", "CryptoClient", "SystemCalls",
  "DedicatedThreads", "TestSupport", "FuzzedParsers", "FuzzDriver",
]

/// The files of both source trees that may not.
private func filesOutsideWrappers() throws -> [SwiftSource] {
  // It reads the trees of C structs that protobuf-c makes of what a server says.
  let messages = ["Sources/OTLP/ServerMessage.swift"]
  return try SwiftSource.all(under: "Sources", "Tests")
    .filter { !wrappers.contains($0.target) && !messages.contains($0.path) }
}

@Test func `no file imports Foundation or Dispatch`() throws {
  let forbidden: Set = [
    "Foundation", "FoundationEssentials", "FoundationInternationalization", "FoundationNetworking", "FoundationXML",
    "Dispatch", "XCTest",
  ]
  let files = try SwiftSource.all(under: "Sources", "Tests")
  #expect(!files.isEmpty)
  let found = files.flatMap { file in
    file.imports.filter { forbidden.contains($0.module) }.map { "\(file.path):\($0.line) imports \($0.module)" }
  }
  #expect(found == [])
}

@Test func `only the wrappers and the messages of OTLP import the C library`() throws {
  let found = try filesOutsideWrappers().flatMap { file in
    file.imports.filter { $0.module == "Glibc" }.map { "\(file.path):\($0.line)" }
  }
  #expect(found == [])
}

@Test func `unsafe code stays in the wrappers and the messages of OTLP`() throws {
  let found = try filesOutsideWrappers().flatMap { file in file.lines(with: "unsafe").map { "\(file.path):\($0)" } }
  #expect(found == [])
}

@Test func `no concurrency check is switched off`() throws {
  let found = try SwiftSource.all(under: "Sources", "Tests")
    .flatMap { file in file.lines(with: "unchecked").map { "\(file.path):\($0)" } }
  #expect(found == [])
}

@Test func `no file has outgrown one purpose`() throws {
  let limit = 400
  let files = try (ProjectFiles.all(under: "Sources") + ProjectFiles.all(under: "Tests")).filter {
    !$0.hasPrefix("Sources/COpenTelemetryProto/") && [".swift", ".c", ".h"].contains(where: $0.hasSuffix)
  }
  let found = try files.compactMap { path -> String? in
    let lines = try ProjectFiles.text(of: path).split(separator: "\n", omittingEmptySubsequences: false).count - 1
    return lines > limit ? "\(path) has \(lines) lines" : nil
  }
  #expect(found == [])
}

@Test func `every declaration for other modules says what it means`() throws {
  let files = try SwiftSource.all(under: "Sources")
  // The standard library says what its own requirements mean, and our protocols say what theirs mean.
  let documentedElsewhere = Set(files.flatMap(\.requirements)).union([
    "description", "debugDescription", "customMirror", "<", "==", "hash", "unownedExecutor",
  ])
  let found = files.flatMap { file in
    file.undocumentedDeclarations(documentedElsewhere: documentedElsewhere).map { "\(file.path):\($0)" }
  }
  #expect(found == [])
}

@Test func `nothing is named after the place where things are put that have no name`() throws {
  let forbidden = ["Util", "Manager", "Helper", "Common"]
  let isForbidden = { (name: String) in forbidden.contains { name.contains($0) } }
  let paths = try (ProjectFiles.all(under: "Sources") + ProjectFiles.all(under: "Tests"))
    .filter { !$0.hasPrefix("Sources/COpenTelemetryProto/") && isForbidden($0) }
  #expect(paths == [])
  let types = try SwiftSource.all(under: "Sources", "Tests")
    .flatMap { file in forbidden.flatMap(file.declaredTypes).map { "\(file.path): \($0)" } }
  #expect(types == [])
}

@Test func `no file names a machine's directory or a registry's host`() throws {
  // Put together here, so that this file is no hit itself.
  let directories = ["work", "root", "tmp/h"].map { "/" + $0 }
  let hosts = [
    ["docker", "io"], ["ghcr", "io"], ["quay", "io"], ["gcr", "io"], ["public", "ecr", "aws"],
    ["registry", "k8s", "io"],
    ["mcr", "microsoft", "com"], ["hub", "docker", "com"], ["pypi", "org"], ["files", "pythonhosted", "org"],
    ["deb", "debian", "org"], ["registry", "npmjs", "org"], ["crates", "io"], ["proxy", "golang", "org"],
    ["archive", "ubuntu", "com"],
  ].map { $0.joined(separator: ".") }
  var found: [String] = []
  for path in try ProjectFiles.all() {
    let text = try ProjectFiles.text(of: path)
    found += hosts.filter { text.contains($0) }.map { "\(path) names \($0)" }
    found += directories.filter { text.namesDirectory($0) }.map { "\(path) names \($0)" }
  }
  #expect(found == [])
}

extension String {
  /// True where the text has the absolute path or something below it: `/a` is in `/a/b`, not in `/ab` or `x/a`.
  fileprivate func namesDirectory(_ path: String) -> Bool {
    ranges(of: path).contains { range in
      let before = self[..<range.lowerBound].last
      let after = self[range.upperBound...].first
      let isPath = { (character: Character?) in
        character.map { $0.isLetter || $0.isNumber || "_-.".contains($0) } ?? false
      }
      return !isPath(before) && before != "/" && !isPath(after)
    }
  }
}
