import Metrics
import OTLP
import Outbox
import SystemCalls
import TestSupport
import Testing

/// A program that has to be on `PATH`.
func needs(_ program: String) -> ConditionTrait {
  .enabled(if: programOnPath(program) != nil, "\(program) is not on PATH")
}

/// The wall-clock time.
func now() -> Timestamp { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) }

/// Pushes a batch to a receiver with an exporter of its own.
func push(
  _ batch: MetricBatch, to receiver: OTLPReceiver, _ compression: OTLPDestination.Compression = .none,
  transport: OTLPDestination.Transport = .http, authorities: String? = nil, identity: TestAuthority.Identity? = nil,
  requestLimit: Int = OTLPSchema.requestLimit
) async -> PushReport {
  let destination = OTLPDestination(
    endpoint: receiver.endpoint, transport: transport, timeout: .seconds(30), compression: compression,
    authorities: authorities, clientCertificate: identity?.certificate, clientKey: identity?.key,
    requestLimit: requestLimit)
  let exporter = OTLPExporter(destination, version: "0.1.0")
  let report = await exporter.deliver(batch, within: .seconds(60))
  _ = await exporter.shutDown(within: .seconds(1))
  return report
}

/// What a receiver that prints its points should print.
func expectDump(_ receiver: OTLPReceiver, of batch: MetricBatch, requests: Int = 1) async {
  let expected = ReceivedPoint.expected(batch)
  _ = await happens { receiver.dump.points.count >= expected.count }
  // Not before it has ended is everything in the file.
  receiver.stop()
  let dump = receiver.dump
  #expect(dump.points == expected)
  let resource =
    "service.name=Str(outbox-exporter) service.instance.id=Str(i-1) deployment.environment.name=Str(prüfstand)"
  #expect(dump.resources == Array(repeating: resource, count: requests))
  let scope = "outbox-exporter 0.1.0 | https://opentelemetry.io/schemas/1.44.0"
  #expect(dump.scopes == Array(repeating: scope, count: requests))
}
