package import Outbox

/// How a metric behaves, which decides its OTLP data type and its Prometheus suffix.
package enum InstrumentKind: String, Sendable, Hashable {
  /// Adding makes no sense: an age, a ratio, a state. OTLP Gauge.
  case gauge
  /// Rises and falls, and may be added up. OTLP Sum, cumulative, not monotonic.
  case upDownCounter
  /// Only rises. OTLP Sum, monotonic.
  case counter
  /// Distribution of measurements. OTLP Histogram with explicit bounds, or ExponentialHistogram.
  case histogram
}

/// Name, unit and meaning of a metric. There is one list of them: ``MetricCatalog``.
package struct Instrument: Sendable, Hashable {
  /// The OTLP metric name.
  package let name: String
  /// How it behaves.
  package let kind: InstrumentKind
  /// UCUM unit; empty for pure states.
  package let unit: String
  /// One sentence for an operator.
  package let description: String
  /// The keys of the attributes that its points carry, `outbox.name` and `outbox.environment` aside.
  package let attributes: [String]
  /// The name in PromQL after the default translation of Prometheus.
  package let prometheusName: String
  /// The bounds of a histogram, strictly rising. A series that ends has to name them again: backends end only the
  /// buckets that they find in the point.
  package let bounds: [Double]
  /// True for a counter whose total is read from the store: the specification calls it asynchronous.
  package let isObserved: Bool

  /// An instrument.
  package init(
    name: String, kind: InstrumentKind, unit: String, description: String, attributes: [String],
    prometheusName: String, bounds: [Double] = [], isObserved: Bool = false
  ) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.description = description
    self.attributes = attributes
    self.prometheusName = prometheusName
    self.bounds = bounds
    self.isObserved = isObserved
  }
}

/// The value of an attribute. OTLP knows more kinds; nothing here needs them.
package enum AttributeValue: Sendable, Hashable {
  /// Text.
  case string(String)
  /// A truth value.
  case bool(Bool)
  /// A whole number.
  case int(Int64)
}

/// One attribute of a resource or a data point.
package struct Attribute: Sendable, Hashable {
  /// The attribute's name, never empty.
  package var key: String
  /// Its value. An empty string is left out on the wire.
  package var value: AttributeValue

  /// An attribute.
  package init(_ key: String, _ value: AttributeValue) {
    self.key = key
    self.value = value
  }

  /// A text attribute.
  package init(_ key: String, _ text: String) {
    self.init(key, .string(text))
  }
}

/// A distribution with explicit bounds; bucket *i* holds values in (bounds[i-1], bounds[i]].
package struct HistogramValue: Sendable, Hashable {
  /// Upper bounds of all buckets but the last, strictly rising.
  package var bounds: [Double]
  /// One count per bucket: `bounds.count + 1`.
  package var counts: [UInt64]
  /// The sum of all measurements.
  package var sum: Double
  /// False where a measurement was below zero, so that the sum may fall; it is not sent then (metrics.proto,
  /// HistogramDataPoint.sum).
  package private(set) var isSumCounter = true
  /// The same measurements in exponential buckets; nil where no destination wants them.
  package var exponential: ExponentialHistogram?

  /// An empty histogram over the bounds.
  ///
  /// - Parameter isExponential: whether measurements are counted in exponential buckets too.
  package init(bounds: [Double], isExponential: Bool = false) {
    self.bounds = bounds
    self.counts = Array(repeating: 0, count: bounds.count + 1)
    self.sum = 0
    self.exponential = isExponential ? ExponentialHistogram() : nil
  }

  /// A histogram of measurements that were counted elsewhere.
  init(bounds: [Double], counts: [UInt64], sum: Double, isSumCounter: Bool) {
    self.bounds = bounds
    self.counts = counts
    self.sum = sum
    self.isSumCounter = isSumCounter
  }

  /// All measurements.
  package var count: UInt64 { counts.reduce(0, +) }

  /// Adds one measurement; a value equal to a bound falls below it (OTLP data model, "Bucket inclusivity").
  package mutating func record(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
    if value < 0 { isSumCounter = false }
    exponential?.record(value)
  }
}

/// The value of a data point.
package enum PointValue: Sendable, Hashable {
  /// A whole number, exact to 64 bits.
  case int(Int64)
  /// A number.
  case double(Double)
  // Those that are large stand outside of the value, of which there is one for every series.
  /// A distribution with explicit bounds.
  indirect case histogram(HistogramValue)
  /// A distribution with exponential buckets.
  indirect case exponentialHistogram(ExponentialHistogram)
  /// The series ends here (OTLP data point flag "no recorded value").
  case noRecordedValue
  /// The series of a distribution ends here; its bounds are other ones than the instrument's.
  case endedDistribution(bounds: [Double])
}

/// One measurement of one series.
package struct DataPoint: Sendable, Hashable {
  /// What tells this series from its siblings: unique keys, in a fixed order.
  package var attributes: [Attribute]
  /// Where the accumulation of a sum or histogram began; nil for gauges.
  package var start: Timestamp?
  /// When the value was measured. Strictly rising within a series.
  package var time: Timestamp
  /// The measurement.
  package var value: PointValue

  /// A data point.
  package init(attributes: [Attribute], start: Timestamp? = nil, time: Timestamp, value: PointValue) {
    self.attributes = attributes
    self.start = start
    self.time = time
    self.value = value
  }
}

/// What the points of a sum or a distribution cover (metrics.proto, AggregationTemporality).
package enum AggregationTemporality: Sendable, Hashable {
  /// Everything since the beginning of the series.
  case cumulative
  /// Everything since the point before.
  case delta
}

/// A metric with the points of one collection. Never empty on the wire.
package struct Metric: Sendable, Hashable {
  /// What is measured.
  package var instrument: Instrument
  /// The points, one per series.
  package var points: [DataPoint]
  /// What the points of a counter or a distribution cover; of other metrics always everything.
  package var temporality = AggregationTemporality.cumulative
  /// Whether the points of a distribution have exponential buckets.
  package var isExponential = false

  /// A metric.
  package init(_ instrument: Instrument, points: [DataPoint]) {
    self.instrument = instrument
    self.points = points
  }
}

/// Everything that one cycle sends: one resource, one scope, metrics with unique names.
package struct MetricBatch: Sendable, Hashable {
  /// Who is speaking: `service.name`, `service.instance.id` and what the user added.
  package var resource: [Attribute]
  /// The version of the scope `outbox-exporter`.
  package var scopeVersion: String
  /// The metrics, each name once.
  package var metrics: [Metric]

  /// A batch.
  package init(resource: [Attribute], scopeVersion: String, metrics: [Metric]) {
    self.resource = resource
    self.scopeVersion = scopeVersion
    self.metrics = metrics
  }

  /// Data points in the batch.
  package var pointCount: Int { metrics.reduce(0) { $0 + $1.points.count } }
}
