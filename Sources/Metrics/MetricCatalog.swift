import Outbox

/// Every metric that is exported: the only list of their names.
package enum MetricCatalog {
  /// Events by destination, state and retry.
  package static let depth = Instrument(
    name: "outbox.depth", kind: .upDownCounter, unit: "{event}",
    description: "Undelivered events. The backlog is the state ready; scheduled ones are not due yet.",
    attributes: [Key.destination, Key.state, Key.retry], prometheusName: "outbox_depth")
  /// How long events wait past their first due time.
  package static let eventAge = Instrument(
    name: "outbox.event.age", kind: .gauge, unit: "s",
    description: "Time that undelivered events have waited since they were first due, on the store's clock.",
    attributes: [Key.destination, Key.stat, Key.retry], prometheusName: "outbox_event_age_seconds")
  /// Events that cannot move by themselves.
  package static let stuck = Instrument(
    name: "outbox.stuck", kind: .upDownCounter, unit: "{event}",
    description: "Events that cannot move by themselves: nobody will deliver them until somebody steps in.",
    attributes: [Key.destination, Key.stuckReason], prometheusName: "outbox_stuck")
  /// How long the oldest of them has been stuck.
  package static let stuckAge = Instrument(
    name: "outbox.stuck.age", kind: .gauge, unit: "s",
    description: "Time since the event that is stuck longest got stuck.",
    attributes: [Key.stuckReason], prometheusName: "outbox_stuck_age_seconds")
  /// Dead-lettered events.
  package static let deadLetterDepth = Instrument(
    name: "outbox.dlq.depth", kind: .upDownCounter, unit: "{event}",
    description: "Events in the dead-letter queue. Many systems prune it: a falling depth is not a recovery.",
    attributes: [Key.destination], prometheusName: "outbox_dlq_depth")
  /// How long the oldest of them has been dead.
  package static let deadLetterAge = Instrument(
    name: "outbox.dlq.age", kind: .gauge, unit: "s",
    description: "Time since the oldest event in the dead-letter queue was dead-lettered.",
    attributes: [], prometheusName: "outbox_dlq_age_seconds")
  /// Events that were written.
  package static let enqueued = Instrument(
    name: "outbox.enqueued", kind: .counter, unit: "{event}",
    description: "Events that were written into the outbox, as far as the accounting method sees them.",
    attributes: [Key.destination, Key.accounting], prometheusName: "outbox_enqueued_total",
    isObserved: true)
  /// Events that came back.
  package static let requeued = Instrument(
    name: "outbox.requeued", kind: .counter, unit: "{event}",
    description: "Dead, delivered or discarded events that came back.",
    attributes: [Key.destination, Key.accounting], prometheusName: "outbox_requeued_total",
    isObserved: true)
  /// Attempts and waits by how they ended.
  package static let deliveries = Instrument(
    name: "outbox.deliveries", kind: .counter, unit: "{disposition}",
    description: "How attempts and waits ended: delivered, retried, dead, released, discarded, unseen; a method that "
      + "cannot see one of them has no series of it.",
    attributes: [Key.destination, Key.disposition, Key.accounting], prometheusName: "outbox_deliveries_total",
    isObserved: true)
  /// How long deliveries took.
  package static let deliveryDuration = Instrument(
    name: "outbox.delivery.duration", kind: .histogram, unit: "s",
    description: "Time from first due to delivered; the configured objective is among the bounds.",
    attributes: [Key.destination, Key.accounting], prometheusName: "outbox_delivery_duration_seconds",
    bounds: DeliveryBounds().exported)
  /// Events by whether they kept the objective.
  package static let objectiveEvents = Instrument(
    name: "outbox.slo.events", kind: .counter, unit: "{event}",
    description: "Events that met their objective or missed it, each once: on time when delivered, late as soon as the "
      + "deadline passes or the event dies.",
    attributes: [Key.destination, Key.objectiveResult, Key.accounting], prometheusName: "outbox_slo_events_total",
    isObserved: true)
  /// The promised age.
  package static let objectiveAge = Instrument(
    name: "outbox.objective.age", kind: .gauge, unit: "s",
    description: "The age by which events are to be delivered, as configured.",
    attributes: [], prometheusName: "outbox_objective_age_seconds")
  /// The promised share.
  package static let objectiveTarget = Instrument(
    name: "outbox.objective.target", kind: .gauge, unit: "",
    description: "The share of events that is to be delivered by that age, 0 to 1, as configured.",
    attributes: [], prometheusName: "outbox_objective_target")
  /// What the trend says.
  package static let verdict = Instrument(
    name: "outbox.verdict", kind: .gauge, unit: "",
    description: "1 for what the trend says, 0 for what it does not; of destinations only those neither ok nor idle.",
    attributes: [Key.destination, Key.verdict], prometheusName: "outbox_verdict")
  /// When the backlog is empty.
  package static let drainTime = Instrument(
    name: "outbox.drain.time", kind: .gauge, unit: "s",
    description: "Time until the backlog is empty if it goes on shrinking; only while it shrinks, and not by chance.",
    attributes: [], prometheusName: "outbox_drain_time_seconds")
  /// Whether the store could be sampled.
  package static let up = Instrument(
    name: "outbox.up", kind: .gauge, unit: "",
    description: "1 where the last sample succeeded, 0 where it failed; then no depth is sent.",
    attributes: [Key.layout, Key.system], prometheusName: "outbox_up")
  /// Failed samples by reason.
  package static let sampleFailures = Instrument(
    name: "outbox.sample.failures", kind: .counter, unit: "{sample}",
    description: "Samples that failed, by reason.",
    attributes: [Key.errorType], prometheusName: "outbox_sample_failures_total")
  /// When the figures were measured.
  package static let sampleTime = Instrument(
    name: "outbox.sample.time", kind: .gauge, unit: "s",
    description: "Unix time of the last good sample.",
    attributes: [Key.sampleKind], prometheusName: "outbox_sample_time_seconds")
  /// The rhythm in force.
  package static let sampleInterval = Instrument(
    name: "outbox.sample.interval", kind: .gauge, unit: "s",
    description: "Time between two samples as it is at the moment.",
    attributes: [Key.sampleKind], prometheusName: "outbox_sample_interval_seconds")
  /// What a sample costs in time.
  package static let sampleDuration = Instrument(
    name: "outbox.sample.duration", kind: .histogram, unit: "s",
    description: "Time that samples took, failed ones included.",
    attributes: [Key.sampleKind], prometheusName: "outbox_sample_duration_seconds",
    bounds: OutboxSeries.durationBounds)
  /// Whether the figures are exact.
  package static let sampleExact = Instrument(
    name: "outbox.sample.exact", kind: .gauge, unit: "",
    description: "1 where every figure of the sample is exact, 0 where one is an estimate.",
    attributes: [], prometheusName: "outbox_sample_exact")
  /// Cycles that were left out because the one before was still running.
  package static let sampleSkipped = Instrument(
    name: "outbox.sample.skipped", kind: .counter, unit: "{cycle}",
    description:
      "Cycles that left the outbox out because the one before, or its own sample, took longer than the interval.",
    attributes: [], prometheusName: "outbox_sample_skipped_total")
  /// Events whose times cannot be true.
  package static let implausible = Instrument(
    name: "outbox.events.implausible", kind: .upDownCounter, unit: "{event}",
    description: "Events with impossible times: negative, around 1970, or in the future without being scheduled.",
    attributes: [], prometheusName: "outbox_events_implausible")
  /// How far a replica is behind.
  package static let replicaLag = Instrument(
    name: "outbox.replica.lag", kind: .gauge, unit: "s",
    description: "How far the sampled replica is behind its primary; only where the store is a replica.",
    attributes: [], prometheusName: "outbox_replica_lag_seconds")
  /// Requests that wait for a destination of telemetry.
  package static let spoolDepth = Instrument(
    name: "outbox.spool.depth", kind: .upDownCounter, unit: "{batch}",
    description: "Encoded batches that wait until the endpoint takes them.",
    attributes: [Key.componentName, Key.serverAddress, Key.serverPort], prometheusName: "outbox_spool_depth")
  /// How long the oldest of them has waited.
  package static let spoolAge = Instrument(
    name: "outbox.spool.age", kind: .gauge, unit: "s",
    description: "Time that the oldest of them has waited; 0 where none waits.",
    attributes: [Key.componentName, Key.serverAddress, Key.serverPort], prometheusName: "outbox_spool_age_seconds")
  /// What will never arrive.
  package static let spoolDropped = Instrument(
    name: "outbox.spool.dropped", kind: .counter, unit: "{data_point}",
    description: "Data points that will never arrive, by reason: full, too_old, rejected, too_large or corrupt. With a "
      + "state directory the count goes on after a restart.",
    attributes: [Key.componentName, Key.serverAddress, Key.serverPort, Key.dropReason],
    prometheusName: "outbox_spool_dropped_total")
  /// Which program speaks.
  package static let build = Instrument(
    name: "outbox.build", kind: .gauge, unit: "",
    description: "Always 1; its attributes say which exporter is running.",
    attributes: [Key.version, Key.revision], prometheusName: "outbox_build")
  /// Data points by the outcome of their export.
  package static let exported = Instrument(
    name: "otel.sdk.exporter.metric_data_point.exported", kind: .counter, unit: "{data_point}",
    description: "Data points whose export has ended, failed ones with error.type.",
    attributes: [Key.componentType, Key.componentName, Key.serverAddress, Key.serverPort, Key.errorType],
    prometheusName: "otel_sdk_exporter_metric_data_point_exported_total")
  /// Data points that wait for the end of their export.
  package static let inflight = Instrument(
    name: "otel.sdk.exporter.metric_data_point.inflight", kind: .upDownCounter, unit: "{data_point}",
    description: "Data points that were handed to the exporter and have not reached their end yet.",
    attributes: [Key.componentType, Key.componentName, Key.serverAddress, Key.serverPort],
    prometheusName: "otel_sdk_exporter_metric_data_point_inflight")
  /// How long exports take.
  package static let operationDuration = Instrument(
    name: "otel.sdk.exporter.operation.duration", kind: .histogram, unit: "s",
    description: "Time that exports took, all attempts and waits included.",
    attributes: [
      Key.componentType, Key.componentName, Key.serverAddress, Key.serverPort, Key.errorType, Key.httpStatus,
    ],
    prometheusName: "otel_sdk_exporter_operation_duration_seconds")

  /// What counts movements: sent only while whoever starts next would not go on from less.
  package static let movements: Set<Instrument> = [enqueued, requeued, deliveries, deliveryDuration, objectiveEvents]

  /// All of them, in the order of the documentation.
  package static let all: [Instrument] = [
    depth, eventAge, stuck, stuckAge, deadLetterDepth, deadLetterAge, enqueued, requeued, deliveries, deliveryDuration,
    objectiveEvents, objectiveAge, objectiveTarget, verdict,
    drainTime, up, sampleFailures, sampleTime, sampleInterval, sampleDuration, sampleExact, sampleSkipped, implausible,
    replicaLag, spoolDepth, spoolAge, spoolDropped, build, exported, inflight, operationDuration,
  ]

  /// The attribute keys of the metrics.
  package enum Key {
    /// The outbox's name, on every point that is about an outbox.
    package static let name = "outbox.name"
    /// The environment, on every point where one is configured.
    package static let environment = "outbox.environment"
    /// Low-cardinality target.
    package static let destination = "outbox.destination"
    /// ready, scheduled, claimed, parked, unknown.
    package static let state = "outbox.state"
    /// Whether the events were tried before.
    package static let retry = "outbox.retry"
    /// oldest, p50, p99.
    package static let stat = "outbox.stat"
    /// Why events are stuck.
    package static let stuckReason = "outbox.stuck.reason"
    /// How movements are counted: history, ledger, statistics, watch.
    package static let accounting = "outbox.accounting"
    /// How an attempt or a wait ended: delivered, retried, dead, released, discarded, unseen.
    package static let disposition = "outbox.disposition"
    /// on_time or late.
    package static let objectiveResult = "outbox.slo.result"
    /// What the trend says: unknown, stalled, spinning, stuck, rewound, falling_behind, draining, ok, idle.
    package static let verdict = "outbox.verdict"
    /// The layout's name.
    package static let layout = "outbox.layout"
    /// postgresql, sqlite, files.
    package static let system = "db.system.name"
    /// Why something failed.
    package static let errorType = "error.type"
    /// head or counts.
    package static let sampleKind = "outbox.sample.kind"
    /// Why data points will never arrive.
    package static let dropReason = "outbox.drop.reason"
    /// The exporter's version.
    package static let version = "version"
    /// The commit that it was built from.
    package static let revision = "revision"
    /// Which kind of exporter pushes.
    package static let componentType = "otel.component.type"
    /// Which of them.
    package static let componentName = "otel.component.name"
    /// The host that is pushed to.
    package static let serverAddress = "server.address"
    /// Its port.
    package static let serverPort = "server.port"
    /// The HTTP status of the last attempt.
    package static let httpStatus = "http.response.status_code"
    /// True on the series that stands for everything beyond a cardinality limit.
    package static let overflow = "otel.metric.overflow"
  }
}
