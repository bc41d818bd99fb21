// swift-tools-version: 6.2
import PackageDescription

// What is measured here is `package` in the exporter, whose package name, as the compiler knows it, is the name of its
// directory; SwiftPM gives it no other.
let directory = Context.packageDirectory.split(separator: "/").dropLast().last.map(String.init) ?? ""
let packageName = String(
  directory.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .unsafeFlags(["-package-name", packageName]),
]

/// A program that measures layers of the exporter. Nothing that the layers import asks for libm.
func benchmark(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: name,
    dependencies: [.product(name: "Layers", package: "outbox-exporter")] + dependencies,
    packageAccess: false,
    swiftSettings: strict,
    linkerSettings: [.linkedLibrary("m")])
}

let package = Package(
  name: "benchmarks",
  dependencies: [.package(name: "outbox-exporter", path: "..")],
  targets: [
    benchmark("otlp-benchmark", ["CBaseline"]),
    // What the figures stand beside, in C, and the counter of allocations.
    .target(name: "CBaseline", dependencies: [.product(name: "Layers", package: "outbox-exporter")]),
  ]
)
