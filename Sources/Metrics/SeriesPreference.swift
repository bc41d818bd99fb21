package import Outbox

/// Which metrics a destination is told as what came since the last time (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
package enum TemporalityPreference: String, Sendable, Hashable, CaseIterable {
  /// None.
  case cumulative
  /// Counters and distributions.
  case delta
  /// Distributions, and those counters that the exporter itself counts up.
  case lowmemory

  /// How an instrument is told (OpenTelemetry specification, metrics/sdk_exporters/otlp.md). What rises and falls is
  /// always told as it is.
  package func temporality(of instrument: Instrument) -> AggregationTemporality {
    switch (self, instrument.kind) {
    case (.cumulative, _), (_, .gauge), (_, .upDownCounter): .cumulative
    case (.delta, .counter), (.delta, .histogram), (.lowmemory, .histogram): .delta
    case (.lowmemory, .counter): instrument.isObserved ? .cumulative : .delta
    }
  }
}

/// Which buckets a destination gets (`OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`).
package enum HistogramAggregation: String, Sendable, Hashable, CaseIterable {
  /// The bounds of the instrument.
  case explicitBuckets = "explicit_bucket_histogram"
  /// Buckets that grow by a constant factor.
  case exponential = "base2_exponential_bucket_histogram"
}

/// How one destination of telemetry wants its metrics, and what it was told so far as far as that needs it.
package struct SeriesPreference: Sendable {
  /// Which buckets it gets.
  package let histograms: HistogramAggregation
  /// Which metrics are told as what came since the last time.
  package let temporality: TemporalityPreference
  /// What it was last told; nothing where everything is cumulative.
  package var deltas: DeltaSeries

  /// A destination's wishes.
  ///
  /// - Parameter began: when it was first told anything.
  package init(temporality: TemporalityPreference, histograms: HistogramAggregation, began: Timestamp) {
    self.temporality = temporality
    self.histograms = histograms
    deltas = DeltaSeries(began: began)
  }

  /// True where what was told has to be kept between runs.
  package var needsMemory: Bool { temporality != .cumulative }

  /// A batch as this destination gets it.
  package mutating func apply(to batch: MetricBatch) -> MetricBatch {
    guard needsMemory || histograms != .explicitBuckets else { return batch }
    var batch = batch
    deltas.beginBatch()
    for index in batch.metrics.indices {
      if histograms == .exponential { batch.metrics[index].makeExponential() }
      if temporality.temporality(of: batch.metrics[index].instrument) == .delta {
        deltas.replacePoints(of: &batch.metrics[index])
      }
    }
    batch.metrics.removeAll { $0.points.isEmpty }
    return batch
  }
}

extension Metric {
  /// Replaces explicit buckets, where all points were counted by both.
  fileprivate mutating func makeExponential() {
    guard instrument.kind == .histogram else { return }
    let replaced: [DataPoint] = points.compactMap { point in
      var point = point
      switch point.value {
      case .histogram(let value):
        guard var exponential = value.exponential else { return nil }
        exponential.downscale(to: ExponentialHistogram.sentScale)
        point.value = .exponentialHistogram(exponential)
      case .endedDistribution, .noRecordedValue: point.value = .noRecordedValue
      case .int, .double, .exponentialHistogram: break
      }
      return point
    }
    guard replaced.count == points.count else { return }
    points = replaced
    isExponential = true
  }
}
