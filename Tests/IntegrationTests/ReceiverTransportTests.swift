import Metrics
import OTLP
import Outbox
import TestSupport
import Testing

/// How a receiver is reached.
enum Security: Sendable, CaseIterable {
  case plain
  case tls
  case mutualTLS
}

@Suite(needs("otelcol"))
struct `The OpenTelemetry Collector over every transport` {
  private let authority = try! TestAuthority()

  private func receiver(_ wire: OTLPReceiver.Wire, _ security: Security) throws -> OTLPReceiver {
    if security == .plain { return try OTLPReceiver.collector(wire) }
    return try OTLPReceiver.collector(
      wire, identity: try authority.identity("server"), clients: security == .mutualTLS ? authority.file : nil)
  }

  @Test(arguments: Security.allCases, [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is over gRPC [80] [110]`(
    security: Security, compression: OTLPDestination.Compression
  ) async throws {
    let receiver = try receiver(.grpc, security)
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(
      batch, to: receiver, compression, transport: .grpc, authorities: authority.file,
      identity: try authority.identity("client"))
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }

  @Test(arguments: [Security.tls, .mutualTLS], [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is over HTTP [110]`(
    security: Security, compression: OTLPDestination.Compression
  ) async throws {
    let receiver = try receiver(.http, security)
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(
      batch, to: receiver, compression, authorities: authority.file, identity: try authority.identity("client"))
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }

  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is in JSON [170]`(compression: OTLPDestination.Compression) async throws {
    let receiver = try receiver(.http, .plain)
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(batch, to: receiver, compression, transport: .httpJSON)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }

  @Test func `gets every point of a batch that needs several requests over gRPC, in order`() async throws {
    let receiver = try OTLPReceiver.collector(.grpc)
    let batch = batchWithEveryKindOfPoint(at: now())
    let requests = MetricEncoder.encode(batch, limit: 700).requests.count
    #expect(await push(batch, to: receiver, transport: .grpc, requestLimit: 700).deliveredPoints == 11)
    await expectDump(receiver, of: batch, requests: requests)
  }

  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `takes the largest request there is over gRPC`(compression: OTLPDestination.Compression) async throws {
    let receiver = try OTLPReceiver.collector(.grpc)
    var batch = batchWithEveryKindOfPoint(at: now())
    let point = batch.metrics[0].points[0]
    batch.metrics = [batch.metrics[0]]
    batch.metrics[0].points = (0..<50_000).map { number in
      var point = point
      point.attributes.append(Attribute("n", .int(Int64(number))))
      return point
    }
    #expect(MetricEncoder.encode(batch).requests.count > 1)
    #expect(await push(batch, to: receiver, compression, transport: .grpc).deliveredPoints == 50_000)
  }

  @Test(arguments: [OTLPReceiver.Wire.http, .grpc])
  func `is said to want a client certificate [112]`(wire: OTLPReceiver.Wire) async throws {
    let receiver = try receiver(wire, .mutualTLS)
    let destination = OTLPDestination(
      endpoint: receiver.endpoint, transport: wire == .http ? .http : .grpc, authorities: authority.file)
    let exporter = OTLPExporter(destination, version: "0")
    let report = await exporter.deliver(batchWithEveryKindOfPoint(at: now()), within: .seconds(4))
    #expect(report.failure?.message.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE") == true, "\(report)")
  }

  @Test func `is told apart from one that speaks the other protocol`() async throws {
    for (wire, transport) in [(OTLPReceiver.Wire.http, OTLPDestination.Transport.grpc), (.grpc, .http)] {
      for security in [Security.plain, .tls] {
        let receiver = try receiver(wire, security)
        let endpoint = String(receiver.endpoint.prefix(receiver.base.count)) + (transport == .http ? "/v1/metrics" : "")
        let destination = OTLPDestination(endpoint: endpoint, transport: transport, authorities: authority.file)
        let exporter = OTLPExporter(destination, version: "0")
        let report = await exporter.deliver(batchWithEveryKindOfPoint(at: now()), within: .seconds(3))
        let advice =
          transport == .http
          ? "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
          : security == .plain
            ? "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" : "No receiver of OTLP metrics over gRPC"
        #expect(report.droppedPoints == 11 && report.failure?.message.contains(advice) == true, "\(report)")
      }
    }
  }
}

@Suite struct `JSON` {
  @Test(needs("prometheus")) func `is taken by Prometheus`() async throws {
    let receiver = try OTLPReceiver.prometheus()
    let report = await push(batchWithEveryKindOfPoint(at: now()), to: receiver, transport: .httpJSON)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    let answer = try receiver.get("/api/v1/query?query=\(percentEncoded("outbox_enqueued_total{outbox_shard=\"-3\"}"))")
    #expect(answer.contains("9007199254740992"), "\(answer)")
  }

  @Test(needs("victoria-metrics")) func `is refused by VictoriaMetrics, which is said`() async throws {
    let receiver = try OTLPReceiver.victoriaMetrics()
    let report = await push(batchWithEveryKindOfPoint(at: now()), to: receiver, transport: .httpJSON)
    #expect(report.droppedPoints == 11 && report.failure?.status == 400)
    #expect(report.failure?.message.contains("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf") == true, "\(report)")
  }
}

@Suite(needs("rotel"))
struct `rotel over gRPC` {
  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is`(compression: OTLPDestination.Compression) async throws {
    let receiver = try OTLPReceiver.rotel(.grpc)
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(batch, to: receiver, compression, transport: .grpc)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }
}
