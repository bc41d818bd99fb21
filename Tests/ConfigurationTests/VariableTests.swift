import Configuration
import Outbox
import TestSupport
import Testing

@Suite struct `The variables of OpenTelemetry` {
  /// The general one, the metrics' own, and what reads the outcome; the last two values are told apart by it.
  private static let twins: [(option: String, general: String, specific: String)] = [
    ("PROTOCOL", "grpc", "http/json"), ("HEADERS", "a=1", "b=2"), ("TIMEOUT", "1000", "2000"),
    ("COMPRESSION", "gzip", "none"), ("CERTIFICATE", "general.pem", "specific.pem"), ("INSECURE", "true", "false"),
  ]

  private func destination(_ environment: [String: String], _ files: [String: String]) throws -> ExportDestination {
    let input = ConfigurationCase(environment.merging(ConfigurationCase.watched) { given, _ in given }, files: files)
    return try #require(try input.configuration().destinations.first)
  }

  @Test(arguments: twins.indices) func `of metrics beat their general twin, each by itself [120]`(index: Int) throws {
    let (option, general, specific) = Self.twins[index]
    let authority = try TestAuthority()
    let pem = try #require(contents(of: authority.file))
    let files = ["general.pem": pem, "specific.pem": pem]
    // Only gRPC asks whether an endpoint without a scheme is insecure.
    let others: [String: String] =
      option == "INSECURE"
      ? ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"]
      : ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"]
    func read(_ general: String?, _ specific: String?) throws -> ExportDestination {
      var environment = others
      environment["OTEL_EXPORTER_OTLP_\(option)"] = general
      environment["OTEL_EXPORTER_OTLP_METRICS_\(option)"] = specific
      return try destination(environment, files)
    }
    let wanted = try read(nil, specific)
    #expect(try read(general, specific) == wanted)
    #expect(try read(general, nil) != wanted, "the test cannot tell them apart")
    #expect(try read(general, "") == read(general, nil))
  }

  @Test func `of metrics name the client certificate and its key too [120]`() throws {
    let authority = try TestAuthority()
    var files: [String: String] = [:]
    for name in ["general", "specific"] {
      let identity = try authority.identity(name)
      let (certificate, key) = try (
        #require(contents(of: identity.certificate)), #require(contents(of: identity.key))
      )
      files.merge(["\(name).pem": certificate, "\(name).key": key]) { $1 }
    }
    var environment = [
      "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "general.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "general.key",
    ]
    #expect(try destination(environment, files).clientCertificate == "general.pem")
    environment["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE"] = "specific.pem"
    environment["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"] = "specific.key"
    let found = try destination(environment, files)
    #expect(found.clientCertificate == "specific.pem" && found.clientKey == "specific.key")
  }

  @Test func `are as good as not set where they are empty [121]`() throws {
    let names = ConfigurationCatalog.variables.map(\.name).filter { $0.hasPrefix("OTEL_") }
    #expect(names.count > 20)
    let empty = Dictionary(uniqueKeysWithValues: names.map { ($0, "") })
    let standard = try ConfigurationCase(watching: [:]).load()
    let loaded = try ConfigurationCase(watching: empty).load()
    #expect(loaded.configuration == standard.configuration)
    #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
  }

  @Test(arguments: [
    ("", ExportDestination.Temporality.cumulative), ("cumulative", .cumulative), ("DELTA", .delta),
    ("lowmemory", .lowmemory), ("x", .cumulative),
  ]) func `say which metrics are deltas, and which buckets distributions have [138]`(
    text: String, temporality: ExportDestination.Temporality
  ) throws {
    let found = try destination(["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": text], [:])
    #expect(found.temporality == temporality && found.histograms == .explicitBuckets)
    let exponential = try destination(
      ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "Base2_Exponential_Bucket_Histogram"], [:])
    #expect(exponential.histograms == .exponential && exponential.temporality == .cumulative)
  }

  @Test func `have keys in the file, for each endpoint its own`() throws {
    let file = """
      export:
        - {endpoint: "http://a:4318", temporality_preference: delta}
        - {endpoint: "http://b:4318", default_histogram_aggregation: base2_exponential_bucket_histogram}
      """
    let configuration = try ConfigurationCase(file: file, ConfigurationCase.watched).configuration()
    #expect(configuration.destinations.map(\.temporality) == [.delta, .cumulative])
    #expect(configuration.destinations.map(\.histograms) == [.explicitBuckets, .exponential])
    // What is printed is read back as the same.
    let printed = ConfigurationYAML.text(configuration, catalog: ConfigurationCase.catalog)
    #expect(printed.contains("temporality_preference: delta"))
    #expect(printed.contains("default_histogram_aggregation: base2_exponential_bucket_histogram"))
  }
}
