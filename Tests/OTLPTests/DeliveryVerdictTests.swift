import HTTPClient
import Outbox
import TestSupport
import Testing

@testable import OTLP

private let endpoint = "http://user:hunter2@collector:4318/v1/metrics?token=hunter2"
private let now = Timestamp(nanoseconds: 1_795_224_000_000_000_000)

private func verdict(
  _ status: Int, _ headers: [HTTPHeader] = [], body: [UInt8] = [], defect: String? = nil, endpoint: String = endpoint
) -> DeliveryVerdict {
  let response = HTTPResponse(status: status, headers: headers, body: body, bodyDefect: defect)
  return DeliveryVerdict(.http(response), endpoint: endpoint, now: now)
}

private func failure(_ verdict: DeliveryVerdict) -> DeliveryFailure? {
  switch verdict {
  case .retry(let failure, _), .drop(let failure): failure
  case .delivered: nil
  }
}

private let protobuf = HTTPHeader("content-type", "application/x-protobuf")
private let delivered = DeliveryVerdict.delivered(rejected: 0, message: "")

struct `The verdict about a status` {
  @Test(arguments: 100...599)
  func `is to retry after 429, 502, 503 and 504, and after nothing else [37] [53] [59] [60]`(status: Int) {
    // With a Retry-After, which changes nothing about which statuses are retried.
    switch verdict(status, [HTTPHeader("retry-after", "7")]) {
    case .delivered: #expect((200...299).contains(status))
    case .retry(let failure, let delay):
      #expect([429, 502, 503, 504].contains(status))
      #expect(failure.errorType == "\(status)" && failure.status == status)
      #expect(delay == .seconds(7))
    case .drop(let failure):
      #expect(!(200...299).contains(status) && ![429, 502, 503, 504].contains(status))
      #expect(failure.errorType == "\(status)" && failure.status == status)
    }
  }

  @Test(arguments: HTTPError.Cause.allCases)
  func `no answer is retried unless another attempt must end the same way`(cause: HTTPError.Cause) {
    let verdict = DeliveryVerdict(HTTPError(cause, url: endpoint, detail: "d"), endpoint: endpoint)
    let isRetried = if case .retry = verdict { true } else { false }
    #expect(isRetried == ![.invalidRequest, .responseTooLarge].contains(cause))
    #expect(failure(verdict)?.errorType == cause.rawValue)
    #expect(failure(verdict)?.message.contains("hunter2") == false)
    // Whoever tells it has named the endpoint.
    #expect(failure(verdict)?.message.contains("collector:4318") == false)
  }
}

struct `A success` {
  @Test func `is one whatever the body says about itself [22] [23] [24] [25] [27] [30]`() {
    #expect(verdict(200) == delivered)
    #expect(verdict(204) == delivered)
    #expect(verdict(202, [HTTPHeader("content-type", "text/html")], body: Array("<html>".utf8)) == delivered)
    #expect(verdict(200, [protobuf], body: Array("<html>".utf8)) == delivered, "cannot be decoded")
    #expect(verdict(200, [HTTPHeader("content-type", "application/json")], body: Array("{}".utf8)) == delivered)
    #expect(
      verdict(200, [protobuf], body: [0x0a, 0x00]) == delivered, "an empty partial_success, as the Collector sends")
    #expect(verdict(200, [protobuf], body: [0x0a, 0x02, 0x08, 0x03], defect: "cut off") == delivered)
  }

  /// partial_success { rejected_data_points: 3, error_message: "no" } and an unknown field 99.
  private let partial: [UInt8] = [0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 0x6e, 0x6f, 0x98, 0x06, 0x01]

  @Test(arguments: ["application/x-protobuf", "Application/X-Protobuf; charset=utf-8"])
  func `may be partial [26] [32]`(type: String) {
    #expect(verdict(200, [HTTPHeader("content-type", type)], body: partial) == .delivered(rejected: 3, message: "no"))
  }

  @Test func `may have a warning [29]`() {
    let warning: [UInt8] = [0x0a, 0x04, 0x12, 0x02, 0x6e, 0x6f]
    #expect(verdict(200, [protobuf], body: warning) == .delivered(rejected: 0, message: "no"))
  }
}

struct `The message about a failure` {
  @Test func `has what a Status says, in one printable line [46]`() {
    // google.rpc.Status { code: 3, message: "bad\u{1b}[31m\nthing" }
    let text = Array("bad\u{1b}[31m\nthing".utf8)
    let body: [UInt8] = [0x08, 0x03, 0x12, UInt8(text.count)] + text
    #expect(
      failure(verdict(400, [protobuf], body: body))?.message
        == "it answered 400: bad [31m thing")
  }

  @Test func `is about the status of HTTP where a Status contradicts it [48]`() {
    // google.rpc.Status { code: INVALID_ARGUMENT, message: "no" }
    let body: [UInt8] = [0x08, 0x03, 0x12, 0x02, 0x6e, 0x6f]
    guard case .retry(let failure, _) = verdict(503, [protobuf], body: body) else {
      Issue.record("503 is not retried")
      return
    }
    #expect(failure.errorType == "503" && failure.message.hasSuffix("answered 503: no"))
  }

  @Test func `has the beginning of a text, and no word about decoding [47]`() {
    let long = String(repeating: "x", count: 5000)
    let message = failure(verdict(500, [HTTPHeader("content-type", "text/plain")], body: Array(long.utf8)))?.message
    #expect(message == "it answered 500: \(long.prefix(300))…")
    #expect(
      failure(verdict(400, [protobuf], body: Array("<html>".utf8)))?.message
        == "it answered 400")
    #expect(failure(verdict(500, body: [0xff, 0xfe, 0x00]))?.message.contains("\u{fffd}\u{fffd}") == true)
  }

  @Test func `names the option with the credentials [39]`() {
    for status in [401, 403] {
      #expect(failure(verdict(status))?.message.contains("OTEL_EXPORTER_OTLP_HEADERS") == true)
    }
  }

  @Test func `explains the rule that makes a 404 [40]`() {
    let prometheus = failure(verdict(404, endpoint: "http://localhost:9090/api/v1/otlp"))?.message
    #expect(prometheus?.contains("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is used as it is") == true)
    let right = failure(verdict(404, endpoint: "http://localhost:9090/api/v1/otlp/v1/metrics"))?.message
    #expect(right?.contains("--web.enable-otlp-receiver") == true)
  }

  @Test func `names the variable whose choice the receiver does not take`() {
    // Prometheus 3.7 and 3.5, with the status that it gives such a mistake.
    for (said, variable) in [
      (#"invalid temporality and type combination for metric "outbox.enqueued""#, "TEMPORALITY_PREFERENCE"),
      ("native histograms are disabled", "DEFAULT_HISTOGRAM_AGGREGATION"),
    ] {
      let message = failure(verdict(500, [HTTPHeader("content-type", "text/plain")], body: Array(said.utf8)))?.message
      #expect(message?.contains("OTEL_EXPORTER_OTLP_METRICS_\(variable)") == true, "\(message ?? "")")
    }
  }

  @Test func `shows where a redirect leads [45]`() {
    let message = failure(verdict(308, [HTTPHeader("location", "https://me:hunter2@other/x?k=hunter2")]))?.message
    #expect(message?.contains("https://other/x") == true)
    #expect(message?.contains("hunter2") == false)
  }

  @Test func `names the certificate option, and gRPC's port`() {
    func message(_ cause: HTTPError.Cause, _ detail: String, _ url: String = "https://c:4318") -> String {
      failure(DeliveryVerdict(HTTPError(cause, url: url, detail: detail), endpoint: url))!.message
    }
    #expect(message(.tls, "unable to get local issuer certificate").contains("OTEL_EXPORTER_OTLP_CERTIFICATE"))
    #expect(message(.tls, "tlsv13 alert certificate required").contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"))
    #expect(message(.notHTTP, "HTTP/0.9", "http://c:4317/v1/metrics").contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc"))
  }
}
