// swift-tools-version: 6.2
import PackageDescription

// One list of settings for every Swift target: unsafe code has to be spelled out, and a warning stops the build.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// A layer: what it may import is listed here, and `--explicit-target-dependency-import-check error` holds it to that.
func layer(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: strict)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
  name: "outbox-exporter",
  products: [
    .executable(name: "outbox-exporter", targets: ["outbox-exporter"]),
    // For Benchmarks, a package of its own.
    .library(
      name: "Layers",
      targets: [
        "Outbox", "Layouts", "SampleSQL", "Ledger", "Assessment", "Accounting", "Metrics", "Reports", "Configuration",
        "Stores", "OTLP", "StateDirectory", "Exporter", "HTTPClient", "GRPCClient", "SQLiteClient", "PostgreSQLClient",
        "SystemCalls", "COpenTelemetryProto",
      ]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2")
  ],
  targets: [
    // Values and pure functions. Nothing here does I/O.
    layer("Outbox"),
    layer("Layouts", ["Outbox"]),
    layer("SampleSQL", ["Outbox", "Layouts"]),
    layer("Ledger", ["Outbox", "Layouts", "SampleSQL"]),
    layer("Assessment", ["Outbox"]),
    layer("Accounting", ["Outbox"]),
    layer("Metrics", ["Outbox", "Assessment", "Accounting"]),
    layer("Reports", ["Outbox", "Assessment", "Accounting"]),
    layer("Configuration", ["Outbox", "Layouts", "SampleSQL", "YAMLClient", "CryptoClient"]),
    layer("Arguments", ["Configuration", "Reports"]),

    // The edges: where values come from and where they go.
    layer(
      "Stores",
      [
        "Outbox", "Layouts", "SampleSQL", "Ledger", "PostgreSQLClient", "SQLiteClient", "SystemCalls",
        "DedicatedThreads",
      ]),
    layer(
      "OTLP",
      [
        "Outbox", "Metrics", "HTTPClient", "GRPCClient", "SQLiteClient", "COpenTelemetryProto", "CProtobufC",
        "DedicatedThreads", "SystemCalls",
      ]),

    layer(
      "StateDirectory",
      ["Outbox", "Assessment", "Accounting", "SQLiteClient", "SystemCalls", "DedicatedThreads"]),

    // The shell.
    layer(
      "Exporter",
      [
        "Outbox", "Layouts", "Assessment", "Accounting", "Metrics", "Reports", "Configuration", "Stores", "OTLP",
        "StateDirectory", "SystemCalls", "CryptoClient", "DedicatedThreads", logging,
      ]),
    layer("Demo", ["Outbox", "Layouts", "SQLiteClient", "Assessment", "Reports"]),
    .executableTarget(
      name: "outbox-exporter",
      dependencies: [
        "Outbox", "Layouts", "SampleSQL", "Assessment", "Accounting", "Metrics", "Reports", "Configuration", "Stores",
        "OTLP", "StateDirectory", "Exporter", "Demo", "Arguments", "SystemCalls", "SQLiteClient", logging,
      ],
      swiftSettings: strict),

    // Simulated outboxes that the verdicts are measured on; no product. Nothing that it imports asks for libm.
    .executableTarget(
      name: "assessment-benchmark",
      dependencies: ["Outbox", "Assessment"],
      swiftSettings: strict,
      linkerSettings: [.linkedLibrary("m")]),

    // One small Swift type per C handle: the only places with unsafe code.
    layer("PostgreSQLClient", ["CLibPQ", "CSystem"]),
    layer("SQLiteClient", ["CSQLite"]),
    layer("HTTPClient", ["CCurl", "CSSL", "CZlib"]),
    layer("GRPCClient", ["HTTPClient", "CNGHTTP2"]),
    layer("YAMLClient", ["CYAML"]),
    layer("CryptoClient", ["CCrypto"]),
    layer("SystemCalls", ["CSystem"]),
    layer("DedicatedThreads", ["CSystem"]),

    // C: module maps and typed doors for variadic functions.
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CSystem"),
    .target(name: "COpenTelemetryProto", dependencies: ["CProtobufC"], exclude: ["protos", "generate.sh"]),

    // Tests mirror the sources; Integration runs real servers.
    .target(name: "CStagedSystem", path: "Tests/CStagedSystem"),
    .target(
      name: "TestSupport",
      dependencies: [
        "Outbox", "Metrics", "HTTPClient", "SystemCalls", "YAMLClient", "CSystem", "CNGHTTP2", "CStagedSystem",
      ],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    // What tests and scripts/fuzz have in common.
    .target(
      name: "FuzzedParsers",
      dependencies: ["Outbox", "HTTPClient", "GRPCClient", "OTLP"],
      path: "Tests/FuzzedParsers",
      swiftSettings: strict),
    tests("FuzzTests", ["FuzzedParsers", "TestSupport"], exclude: ["Corpus"]),
    tests("DedicatedThreadsTests", ["DedicatedThreads", "TestSupport"]),
    tests("OutboxTests", ["Outbox"]),
    tests("LayoutsTests", ["Outbox", "Layouts", "SampleSQL"]),
    tests("SampleSQLTests", ["Outbox", "Layouts", "SampleSQL"]),
    tests("LedgerTests", ["Outbox", "Layouts", "SampleSQL", "Ledger"]),
    tests("AssessmentTests", ["Outbox", "Assessment", "assessment-benchmark", "TestSupport"]),
    tests("AccountingTests", ["Outbox", "Accounting", "TestSupport"]),
    tests("MetricsTests", ["Outbox", "Assessment", "Accounting", "Metrics"]),
    tests("DemoTests", ["Outbox", "Layouts", "Reports", "SQLiteClient", "Demo", "Stores", "TestSupport"]),
    tests("ReportsTests", ["Outbox", "Assessment", "Accounting", "Reports", "TestSupport"]),
    tests("ArgumentsTests", ["Arguments"]),
    tests("ConfigurationTests", ["Outbox", "Layouts", "Configuration", "TestSupport"]),
    tests(
      "OTLPTests",
      [
        "Outbox", "Metrics", "HTTPClient", "GRPCClient", "SQLiteClient", "OTLP", "COpenTelemetryProto", "CProtobufC",
        "TestSupport",
      ]),
    tests("StoresTests", ["Outbox", "Layouts", "SampleSQL", "SQLiteClient", "Stores", "SystemCalls", "TestSupport"]),
    tests(
      "ExporterTests",
      [
        "Outbox", "Layouts", "Assessment", "Metrics", "Configuration", "Stores", "OTLP", "Exporter", "CryptoClient",
        "StateDirectory", "SystemCalls", "TestSupport", logging,
      ]),
    tests(
      "StateDirectoryTests",
      [
        "Outbox", "Assessment", "Accounting", "SQLiteClient", "SystemCalls", "StateDirectory", "TestSupport",
      ]),
    tests("YAMLClientTests", ["YAMLClient"]),
    tests(
      "DashboardTests", ["Outbox", "Metrics", "HTTPClient", "SystemCalls", "YAMLClient", "TestSupport"],
      exclude: ["grafana_model.py", "incident.sql", "simulated_outbox.py", "synthetic.py"]),
    tests(
      "IntegrationTests",
      [
        "Outbox", "Layouts", "SampleSQL", "Ledger", "Metrics", "Stores", "HTTPClient", "OTLP", "PostgreSQLClient",
        "SQLiteClient", "SystemCalls", "YAMLClient", "TestSupport",
      ]),
    tests("AlertsTests", ["Metrics", "YAMLClient", "TestSupport"]),
    tests("HouseTests", ["Outbox", "Layouts", "Metrics", "Configuration", "TestSupport"]),
  ]
)

// libFuzzer brings its own main function and the hooks that it instruments the code with, so this links only where
// scripts/fuzz builds it.
if Context.environment["OUTBOX_FUZZ_DRIVER"] == "1" {
  package.targets.append(
    .executableTarget(
      name: "FuzzDriver", dependencies: ["FuzzedParsers"], path: "Tests/FuzzDriver", swiftSettings: strict,
      // HTTPClient leaves it to CryptoClient to ask for this.
      linkerSettings: [.linkedLibrary("crypto"), .linkedLibrary("m")]))
}
