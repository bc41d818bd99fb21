// What Benchmarks/otlp runs; it says there what the figures mean. Prints one figure a line: its name and its value.
import CBaseline
import Glibc
import HTTPClient
import Metrics
import OTLP

let pairs = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 100 : 100
switch CommandLine.arguments.dropFirst().first {
case "receive": baseline_receive(1)
case "encode": measureEncoding(pairs)
case "push" where CommandLine.arguments.count > 3: await measurePushing(pairs, to: CommandLine.arguments[3])
default:
  print("otlp-benchmark receive | encode PAIRS | push PAIRS URL")
  exit(64)
}

func measureEncoding(_ pairs: Int) {
  for (name, batch) in [("numbers", numbers(10_000)), ("distributions", distributions(2_000))] {
    let requests = MetricEncoder.encode(batch).requests
    precondition(requests.count == 1 && requests[0].pointCount == batch.pointCount)
    let body = requests[0].body
    let tree = baseline_tree_unpack(body, body.count)!
    var room = [UInt8](repeating: 0, count: body.count)
    precondition(baseline_tree_pack(tree, &room) == body.count && room == body, "the bytes differ from protobuf-c's")
    let points = Double(batch.pointCount)
    let encode = { precondition(MetricEncoder.encode(batch).requests.count == 1) }
    let packing = compare(pairs, encode) { precondition(baseline_tree_pack(tree, &room) == body.count) }
    let anew = compare(pairs, encode) { precondition(baseline_tree_pack_anew(tree) == body.count) }
    report("\(name) points", points)
    report("\(name) bytes", Double(body.count))
    report("\(name) encode ns", packing.first / points * 1e9)
    report("\(name) pack ns", packing.second / points * 1e9)
    report("\(name) pack anew ns", anew.second / points * 1e9)
    report("\(name) speed", 1 / packing.ratio)
    report("\(name) speed anew", 1 / anew.ratio)
    report("\(name) allocations", Double(allocations(encode)))

    let compressed = gzip(body)
    room = [UInt8](repeating: 0, count: body.count)
    let size = baseline_gzip(body, body.count, &room, room.count)
    precondition(size == compressed.count, "zlib itself makes \(size) bytes, not \(compressed.count)")
    let zip = compare(
      max(3, pairs / 10), { precondition(gzip(body).count == size) },
      { precondition(baseline_gzip(body, body.count, &room, room.count) == size) })
    report("\(name) gzip ns", zip.first / points * 1e9)
    report("\(name) gzip ratio", zip.ratio)
    report("\(name) gzip bytes", Double(size))
    report("\(name) gzip allocations", Double(allocations { _ = gzip(body) }))
    baseline_tree_free(tree)
  }
}

/// A push of what one outbox with a few destinations has, beside libcurl alone that posts the same bytes.
func measurePushing(_ pairs: Int, to url: String) async {
  let batch = numbers(60)
  let body = MetricEncoder.encode(batch).requests[0].body
  let exporter = OTLPExporter(OTLPDestination(endpoint: url), version: "0.1.0")
  let client = baseline_client_new(url)!
  var (ours, bare): ([Double], [Double]) = ([], [])
  var (oursBusy, bareBusy): ([Double], [Double]) = ([], [])
  for pair in 0..<(pairs + 10) {
    let (wall, busy) = (wallTime(), processTime())
    let report = await exporter.deliver(batch, within: .seconds(10))
    precondition(report.deliveredPoints == batch.pointCount, "\(report)")
    let (middle, middleBusy) = (wallTime(), processTime())
    precondition(baseline_client_post(client, body, body.count) == 200)
    // The first ones connect and warm up.
    guard pair >= 10 else { continue }
    ours.append(middle - wall)
    oursBusy.append(middleBusy - busy)
    bare.append(wallTime() - middle)
    bareBusy.append(processTime() - middleBusy)
  }
  report("push points", Double(batch.pointCount))
  report("push bytes", Double(body.count))
  report("push wall us", median(ours) * 1e6)
  report("push bare wall us", median(bare) * 1e6)
  report("push busy us", median(oursBusy) * 1e6)
  report("push bare busy us", median(bareBusy) * 1e6)
  let before = baseline_allocations()
  for _ in 0..<10 { _ = await exporter.deliver(batch, within: .seconds(10)) }
  report("push allocations", Double(baseline_allocations() - before) / 10)
  let bareBefore = baseline_allocations()
  for _ in 0..<10 { precondition(baseline_client_post(client, body, body.count) == 200) }
  report("push bare allocations", Double(baseline_allocations() - bareBefore) / 10)
  baseline_client_free(client)
  _ = await exporter.shutDown(within: .seconds(1))
}

func report(_ name: String, _ value: Double) { print("\(name): \(value)") }
