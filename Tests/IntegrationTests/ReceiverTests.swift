import Metrics
import OTLP
import Outbox
import SystemCalls
import TestSupport
import Testing

@Suite(needs("otelcol"))
struct `The OpenTelemetry Collector` {
  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is`(compression: OTLPDestination.Compression) async throws {
    let receiver = try OTLPReceiver.collector()
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(batch, to: receiver, compression)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }

  @Test(arguments: [OTLPDestination.Transport.http, .httpJSON, .grpc])
  func `gets deltas and exponential buckets as they are`(transport: OTLPDestination.Transport) async throws {
    let receiver = try OTLPReceiver.collector(transport == .grpc ? .grpc : .http)
    let batch = batchOfWishes(at: now())
    let report = await push(batch, to: receiver, transport: transport)
    #expect(report.deliveredPoints == 10 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }

  @Test func `gets every point of a batch that needs several requests, in order`() async throws {
    let receiver = try OTLPReceiver.collector()
    let batch = batchWithEveryKindOfPoint(at: now())
    let requests = MetricEncoder.encode(batch, limit: 700).requests.count
    #expect(requests > 2)
    #expect(await push(batch, to: receiver, requestLimit: 700).deliveredPoints == 11)
    await expectDump(receiver, of: batch, requests: requests)
  }

  @Test func `takes the largest request there is`() async throws {
    let receiver = try OTLPReceiver.collector()
    var batch = batchWithEveryKindOfPoint(at: now())
    let point = batch.metrics[0].points[0]
    batch.metrics = [batch.metrics[0]]
    batch.metrics[0].points = (0..<50_000).map { number in
      var point = point
      point.attributes.append(Attribute("n", .int(Int64(number))))
      return point
    }
    #expect(MetricEncoder.encode(batch).requests.count > 1)
    #expect(await push(batch, to: receiver).deliveredPoints == 50_000)
  }
}

@Suite(needs("rotel"))
struct `rotel, a second implementation of OTLP` {
  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `gets every point as it is`(compression: OTLPDestination.Compression) async throws {
    let receiver = try OTLPReceiver.rotel()
    let batch = batchWithEveryKindOfPoint(at: now())
    let report = await push(batch, to: receiver, compression)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    await expectDump(receiver, of: batch)
  }
}

/// A time series database: what is queried from it are samples, `name{label="value"}@milliseconds` with a number.
private struct Samples {
  var values: [String: Double] = [:]

  mutating func add(_ name: String, _ labels: [String: String], _ milliseconds: Int64, _ value: Double) {
    let shown = labels.sorted { $0.key < $1.key }.map { key, value in
      // Bounds are the same number in several spellings: 1, 1.0.
      "\(key)=\(key == "le" ? Double(value).map { "\($0)" } ?? value : value)"
    }
    values["\(name){\(shown.joined(separator: ","))}@\(milliseconds)"] = value
  }

  /// The samples of a batch by the rules of Prometheus: one for each number, and for histograms one a bucket, counted
  /// from below, beside count and sum. A point without a value is none.
  static func expected(_ batch: MetricBatch, extra: [String: String] = [:]) -> Samples {
    var samples = Samples()
    for metric in batch.metrics {
      let name = metric.instrument.prometheusName
      for point in metric.points {
        var labels = extra
        for attribute in point.attributes {
          let key = String(attribute.key.map { $0 == "." ? "_" : $0 })
          switch attribute.value {
          case .string(let text): labels[key] = text
          case .bool(let flag): labels[key] = "\(flag)"
          case .int(let number): labels[key] = "\(number)"
          }
        }
        let time = point.time.nanoseconds / 1_000_000
        switch point.value {
        case .int(let number): samples.add(name, labels, time, Double(number))
        case .double(let number): samples.add(name, labels, time, number)
        case .noRecordedValue, .endedDistribution, .exponentialHistogram: break
        case .histogram(let histogram):
          var below: UInt64 = 0
          for (index, count) in histogram.counts.enumerated() {
            below += count
            labels["le"] = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
            samples.add(name + "_bucket", labels, time, Double(below))
          }
          labels["le"] = nil
          samples.add(name + "_count", labels, time, Double(below))
          samples.add(name + "_sum", labels, time, histogram.sum)
        }
      }
    }
    return samples
  }

  /// The same series at the same times, and the same numbers as far as decimal storage keeps them.
  func expectEqual(to expected: Samples, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(values.keys.sorted() == expected.values.keys.sorted(), sourceLocation: sourceLocation)
    for (key, wanted) in expected.values {
      guard let value = values[key] else { continue }
      #expect(
        abs(value - wanted) <= abs(wanted) * 1e-12, "\(key): \(value), not \(wanted)", sourceLocation: sourceLocation)
    }
  }
}

@Suite(needs("prometheus"))
struct `Prometheus` {
  private func samples(_ receiver: OTLPReceiver, _ query: String, at time: Timestamp) throws -> Samples {
    let end = Double(time.nanoseconds / 1_000_000) / 1000
    let answer = try receiver.json("/api/v1/query?query=\(percentEncoded(query))&time=\(end)")
    var samples = Samples()
    for series in answer["data"]?["result"]?.elements ?? [] {
      var labels = (series["metric"]?.members ?? [:]).compactMapValues(\.text)
      let name = labels.removeValue(forKey: "__name__") ?? ""
      let pairs = series["values"]?.elements ?? [series["value"] ?? .null]
      for pair in pairs.map(\.elements) where pair.count == 2 {
        let time = ((pair[0].text.flatMap { Double($0) } ?? 0) * 1000).rounded()
        samples.add(name, labels, Int64(time), pair[1].text.flatMap { Double($0) } ?? .nan)
      }
    }
    return samples
  }

  @Test(arguments: Security.allCases, [OTLPDestination.Compression.none, .gzip])
  func `stores every point under the name that the metric promises`(
    security: Security, compression: OTLPDestination.Compression
  ) async throws {
    let authority = try TestAuthority()
    let client = try authority.identity("client")
    let receiver =
      security == .plain
      ? try OTLPReceiver.prometheus()
      : try OTLPReceiver.prometheus(
        identity: try authority.identity("server"), authority: authority.file,
        client: security == .mutualTLS ? client : nil)
    let time = now()
    let batch = batchWithEveryKindOfPoint(at: time)
    let report = await push(batch, to: receiver, compression, authorities: authority.file, identity: client)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    let found = try samples(receiver, #"{__name__=~"outbox_.+"}[5m]"#, at: time.advanced(by: .seconds(1)))
    found.expectEqual(to: .expected(batch, extra: ["job": "outbox-exporter", "instance": "i-1"]))
  }

  @Test func `keeps exponential buckets as they are [169]`() async throws {
    let receiver = try OTLPReceiver.prometheus(arguments: ["--enable-feature=native-histograms"])
    let time = now()
    var batch = batchOfWishes(at: time)
    batch.metrics = [batch.metrics[2]]
    #expect(await push(batch, to: receiver).isComplete)
    let name = "outbox_delivery_duration_seconds"
    for (function, values) in [
      ("histogram_count(\(name))", ["wide": 10.0, "one": 1, "none": 0]),
      ("histogram_sum(\(name))", ["wide": 86_513.251, "one": 0.3, "none": 0]),
      // Of the ten, the three at or below a millisecond, and all up to a minute.
      ("histogram_fraction(-Inf, 0.002, \(name)) * 10", ["wide": 3]),
      ("histogram_fraction(-Inf, 64, \(name)) * 10", ["wide": 8]),
    ] {
      let found = try samples(receiver, function, at: time.advanced(by: .seconds(1))).values
      for (destination, value) in values {
        let key = found.keys.first { $0.contains("outbox_destination=\(destination),") }
        let number = key.flatMap { found[$0] } ?? .nan
        #expect(abs(number - value) < 1e-6, "\(function) \(destination): \(found)")
      }
    }
  }

  @Test func `says how it is made to keep them, or what to send instead`() async throws {
    let receiver = try OTLPReceiver.prometheus()
    var batch = batchOfWishes(at: now())
    batch.metrics = [batch.metrics[2]]
    let report = await push(batch, to: receiver)
    #expect(report.droppedPoints == 4 && report.failure?.message.contains("--enable-feature=native-histograms") == true)
  }

  @Test func `shows a series until its end marker and not after it`() async throws {
    let receiver = try OTLPReceiver.prometheus()
    let time = now().advanced(by: .seconds(-20))
    var batch = batchWithEveryKindOfPoint(at: time)
    batch.metrics = [batch.metrics[2]]
    #expect(await push(batch, to: receiver).isComplete)
    let later = time.advanced(by: .seconds(10))
    #expect(try samples(receiver, "outbox_up", at: later).values.count == 1)
    batch.metrics[0].points[0].time = later
    batch.metrics[0].points[0].value = .noRecordedValue
    #expect(await push(batch, to: receiver).isComplete)
    #expect(try samples(receiver, "outbox_up", at: later.advanced(by: .seconds(1))).values.isEmpty)
  }

  @Test func `refuses what is older than the newest, and its reason is reported`() async throws {
    let receiver = try OTLPReceiver.prometheus()
    let time = now()
    #expect(await push(batchWithEveryKindOfPoint(at: time), to: receiver).isComplete)
    let old = batchWithEveryKindOfPoint(at: time.advanced(by: .seconds(-30)))
    let report = await push(old, to: receiver)
    #expect(report.droppedPoints == 11 && report.failure?.status == 400)
    #expect(report.failure?.message.contains("out of order") == true, "\(report)")
    #expect(report.failure?.isForAge == true)
  }

  @Test func `is named in the advice when the path lacks its end`() async throws {
    let receiver = try OTLPReceiver.prometheus()
    let exporter = OTLPExporter(OTLPDestination(endpoint: receiver.base + "/api/v1/otlp"), version: "0")
    let report = await exporter.deliver(batchWithEveryKindOfPoint(at: now()), within: .seconds(60))
    #expect(report.failure?.status == 404)
    #expect(report.failure?.message.contains("/api/v1/otlp/v1/metrics") == true)
  }
}

@Suite(needs("victoria-metrics"))
struct `VictoriaMetrics` {
  @Test(arguments: [Security.plain, .tls], [OTLPDestination.Compression.none, .gzip])
  func `stores every point under the name that the metric promises`(
    security: Security, compression: OTLPDestination.Compression
  ) async throws {
    let authority = try TestAuthority()
    let receiver =
      security == .plain
      ? try OTLPReceiver.victoriaMetrics()
      : try OTLPReceiver.victoriaMetrics(identity: try authority.identity("server"), authority: authority.file)
    let time = now()
    let batch = batchWithEveryKindOfPoint(at: time)
    let report = await push(batch, to: receiver, compression, authorities: authority.file)
    #expect(report.deliveredPoints == 11 && report.isComplete, "\(report)")
    _ = try receiver.get("/internal/force_flush")
    let selector = percentEncoded(#"{__name__=~"outbox_.+"}"#)
    var samples = Samples()
    // Its idea of the current time is up to a second old.
    let end = time.nanoseconds / 1_000_000_000 + 60
    for line in try receiver.get("/api/v1/export?match[]=\(selector)&end=\(end)").split(separator: "\n") {
      let series = try ParsedJSON(String(line))
      // Resource and scope are labels there; only those of the points are promised.
      let labels = (series["metric"]?.members ?? [:]).compactMapValues(\.text)
        .filter { $0.key.hasPrefix("outbox_") || $0.key == "le" }
      let times = (series["timestamps"]?.elements ?? []).compactMap { $0.text.flatMap { Int64($0) } }
      for (time, value) in zip(times, series["values"]?.elements ?? []) where value != .null {
        let name = series["metric"]?["__name__"]?.text ?? ""
        samples.add(name, labels, time, value.text.flatMap { Double($0) } ?? .nan)
      }
    }
    samples.expectEqual(to: .expected(batch))
  }
}
