package import Layouts
package import Outbox

/// Everything that the exporter was told, checked, with every default in place.
package struct ExporterConfiguration: Sendable, Hashable {
  /// What is watched; never empty, no name twice.
  package var outboxes: [OutboxDefinition] = []
  /// `outbox.environment` on every point; nil leaves it out.
  package var environment: String?
  /// The directory for what is kept between runs; nil keeps it in memory.
  package var stateDirectory: String?
  /// Time between the starts of two cycles.
  package var interval: Duration = .seconds(15)
  /// For so long `--once` samples over and over before it judges; nil samples one time.
  package var window: Duration?
  /// The file that every completed cycle touches.
  package var livenessFile: String?
  /// The most destinations of one outbox that have series of their own.
  package var destinationLimit = 100
  /// The most of a database's time that the sidecar takes, above 0 and at most 1.
  package var databaseShare = SampleBudget.standardShare
  /// Whether a clean stop marks every series as ended.
  package var endsSeriesOnStop = true
  /// After so many cycles in a row without any success the sidecar ends with status 69; nil goes on for ever.
  package var exitAfterFailedCycles: Int?
  /// How long a store may take.
  package var timeouts = StoreTimeouts()
  /// How much is kept for an endpoint that does not answer.
  package var spool = SpoolLimits()
  /// `service.name`.
  package var serviceName = "outbox-exporter"
  /// The other resource attributes, in the order in which they were written, no key twice.
  package var resourceAttributes: [ResourceAttribute] = []
  /// True where `OTEL_SDK_DISABLED` asks for no telemetry at all: nothing is pushed.
  package var telemetryDisabled = false
  /// Where metrics go.
  package var metricsExporter = MetricsExporter.otlp
  /// How much is logged.
  package var logLevel = LogLevel.info
  /// The endpoints that are pushed to; one on localhost where none was named.
  package var destinations: [ExportDestination] = []
  /// True where the user named an endpoint. `--once` and `demo` push only then.
  package var endpointIsConfigured = false
  /// True where `--no-push` asks for no push.
  package var pushIsRefused = false
  /// True where a push of `--once` that fails is CRITICAL.
  package var pushIsRequired = false
  /// The most time that the push of one cycle takes, retries included; nil for no limit. `OTEL_METRIC_EXPORT_TIMEOUT`.
  package var exportTimeout: Duration? = .seconds(30)

  /// The defaults, with nothing to watch.
  package init() {}

  /// Why this run does not push over OTLP; nil where it does.
  package func reasonNotToPush(once: Bool) -> String? {
    if pushIsRefused { return "--no-push was given" }
    if telemetryDisabled { return "OTEL_SDK_DISABLED is true" }
    if metricsExporter != .otlp { return "OTEL_METRICS_EXPORTER is \(metricsExporter.rawValue)" }
    return once && !endpointIsConfigured ? "no OTLP endpoint is configured" : nil
  }
}

/// How long a store may take before its sample fails.
package struct StoreTimeouts: Sendable, Hashable {
  /// To connect, or to get the connection back.
  package var connect: Duration = .seconds(5)
  /// For the statement of a sample.
  package var statement: Duration = .seconds(5)
  /// To wait for a lock that somebody else holds.
  package var lock: Duration = .milliseconds(500)

  /// The defaults.
  package init() {}
}

/// How much is kept for each endpoint until it has answered; what is beyond is dropped, the oldest first, and counted.
package struct SpoolLimits: Sendable, Hashable {
  /// Bytes of requests, as they are sent, in the state directory.
  package var byteLimit = 64 << 20
  /// How long a request waits.
  package var ageLimit: Duration = .seconds(86_400)

  /// The defaults.
  package init() {}
}

/// One attribute of the resource, as OTEL_RESOURCE_ATTRIBUTES and the file give them: all values are text.
package struct ResourceAttribute: Sendable, Hashable {
  /// The attribute's name.
  package var key: String
  /// Its value.
  package var value: String

  /// An attribute.
  package init(_ key: String, _ value: String) {
    self.key = key
    self.value = value
  }
}

/// `OTEL_METRICS_EXPORTER`: where metrics go.
package enum MetricsExporter: String, Sendable, Hashable, CaseIterable {
  /// To the endpoints, over OTLP.
  case otlp
  /// To standard output.
  case console
  /// Nowhere.
  case none
}

/// How much is logged; the names of swift-log.
package enum LogLevel: String, Sendable, Hashable, CaseIterable {
  /// Everything.
  case trace
  /// What a developer wants to see.
  case debug
  /// What an operator wants to see.
  case info
  /// Unusual, yet normal.
  case notice
  /// Something does not work as configured.
  case warning
  /// Something failed.
  case error
  /// The process ends.
  case critical
}

/// An endpoint that metrics are pushed to.
package struct ExportDestination: Sendable, Hashable {
  /// The URL of the POST, complete; for gRPC scheme, host and port. A query may hold a token, hence the wrapper.
  package var url: Secret
  /// The URL for people: a query is masked.
  package var displayName: String
  /// How requests travel.
  package var transport: Transport
  /// Sent with every request. Names are valid, values hold no control characters.
  package var headers: [ExportHeader] = []
  /// The most time that one attempt takes; nil for no limit.
  package var timeout: Duration? = .seconds(10)
  /// How bodies are compressed.
  package var compression = Compression.none
  /// The largest request in bytes before compression; nil for one that every receiver takes.
  package var requestLimit: Int?
  /// Which metrics say what came since the last time.
  package var temporality = Temporality.cumulative
  /// Which buckets distributions have.
  package var histograms = Histograms.explicitBuckets
  /// Path of the PEM file with the authorities to trust instead of the system's.
  package var certificate: String?
  /// Path of the PEM file with the client's certificate.
  package var clientCertificate: String?
  /// Path of the PEM file with the client's key.
  package var clientKey: String?

  /// An endpoint with the specification's defaults.
  package init(url: Secret, displayName: String, transport: Transport = .http) {
    self.url = url
    self.displayName = displayName
    self.transport = transport
  }

  /// How requests travel; the names of `OTEL_EXPORTER_OTLP_PROTOCOL`.
  package enum Transport: String, Sendable, Hashable, CaseIterable {
    /// OTLP/HTTP with protobuf.
    case http = "http/protobuf"
    /// OTLP/HTTP with JSON.
    case httpJSON = "http/json"
    /// OTLP/gRPC.
    case grpc

    /// Where a collector listens unless the user says otherwise.
    var standardEndpoint: String { self == .grpc ? "http://localhost:4317" : EndpointURL.standard }
  }

  /// How bodies are compressed.
  package enum Compression: String, Sendable, Hashable, CaseIterable {
    /// Not at all.
    case none
    /// With gzip.
    case gzip
  }

  /// The words of `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
  package enum Temporality: String, Sendable, Hashable, CaseIterable {
    /// Everything since the beginning.
    case cumulative
    /// Counters and distributions say what came since the last time.
    case delta
    /// So do distributions, and those counters that the exporter itself counts up.
    case lowmemory
  }

  /// The words of `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
  package enum Histograms: String, Sendable, Hashable, CaseIterable {
    /// The bounds of the instrument.
    case explicitBuckets = "explicit_bucket_histogram"
    /// Buckets that grow by a constant factor.
    case exponential = "base2_exponential_bucket_histogram"
  }
}

/// A header of the user's. Its value is always treated as a secret.
package struct ExportHeader: Sendable, Hashable {
  /// The name, a token of RFC 9110.
  package var name: String
  /// The value.
  package var value: Secret

  /// A header.
  package init(_ name: String, _ value: Secret) {
    self.name = name
    self.value = value
  }
}
