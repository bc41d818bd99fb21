import GRPCClient
import Outbox
import TestSupport
import Testing

@testable import OTLP

/// google.rpc.Status { details: [Any] } with a RetryInfo, encoded by hand.
private func details(seconds: [UInt8], nanos: [UInt8] = [], type: String = "type.googleapis.com/google.rpc.RetryInfo")
  -> [UInt8]
{
  func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(content.count)] + content }
  let duration = (seconds.isEmpty ? [] : [0x08] + seconds) + (nanos.isEmpty ? [] : [0x10] + nanos)
  return field(3, field(1, Array(type.utf8)) + field(2, field(1, duration)))
}

private let half: [UInt8] = [0x80, 0xca, 0xb5, 0xee, 0x01]  // 500,000,000

private func verdict(_ status: GRPCStatus, _ details: [UInt8] = [], message: String = "no") -> DeliveryVerdict {
  DeliveryVerdict(GRPCAnswer(status, message: message, details: details))
}

private func isRetried(_ verdict: DeliveryVerdict) -> Bool { if case .retry = verdict { true } else { false } }

private func delay(_ verdict: DeliveryVerdict) -> Duration? {
  if case .retry(_, let delay) = verdict { delay } else { nil }
}

struct `The verdict about a status of gRPC` {
  /// The table of the OTLP specification, "OTLP/gRPC Response", row by row.
  static let retried = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]
  static let names = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  ]

  @Test(arguments: 0...16)
  func `is to retry after six of them [86] [87]`(code: Int) throws {
    let status = try #require(GRPCStatus(rawValue: code))
    #expect(status.name == Self.names[code])
    let verdict = verdict(status)
    if code == 0 {
      #expect(verdict == .delivered(rejected: 0, message: ""))
    } else {
      #expect(isRetried(verdict) == Self.retried.contains(status.name))
    }
  }

  @Test(arguments: ["17", "99", "abc", "-1", ""])
  func `is UNKNOWN for what is none [86]`(text: String) async {
    let server = ScriptedHTTP2Server([.frames(.status(text))])
    let exporter = OTLPExporter(OTLPDestination(endpoint: server.url, transport: .grpc), version: "1")
    let report = await exporter.deliver(oneBatch(), within: .seconds(30))
    #expect(report.failure?.errorType == "UNKNOWN" && server.requests.count == 1)
  }

  @Test func `heeds RetryInfo where it means something [88] [90] [91]`() {
    #expect(delay(verdict(.resourceExhausted, details(seconds: [2], nanos: half))) == .seconds(2.5))
    #expect(delay(verdict(.unavailable, details(seconds: [2], nanos: half))) == .seconds(2.5))
    #expect(delay(verdict(.unavailable)) == nil && isRetried(verdict(.unavailable)))
    for nonsense in [details(seconds: []), details(seconds: [UInt8](repeating: 0xff, count: 9) + [1])] {
      #expect(delay(verdict(.unavailable, nonsense)) == nil)
      #expect(!isRetried(verdict(.resourceExhausted, nonsense)))
    }
    #expect(!isRetried(verdict(.invalidArgument, details(seconds: [2]))))
    // A wish beyond the limit is cut by the policy.
    let long = delay(verdict(.unavailable, details(seconds: [0xff, 0xff, 0xff, 0x7f])))
    #expect(RetryPolicy().delay(failures: 1, serverDelay: long, random: 0) == .seconds(300))
  }

  @Test func `is not confused by other details or by rubbish [92]`() {
    let other = details(seconds: [9], type: "type.googleapis.com/google.rpc.DebugInfo")
    #expect(delay(verdict(.unavailable, other + details(seconds: [2]))) == .seconds(2))
    for length in 0..<details(seconds: [2]).count {
      #expect(delay(verdict(.unavailable, Array(details(seconds: [2]).prefix(length)))) == nil)
    }
  }

  @Test func `says what the request was too large for, and what it is about`() throws {
    guard
      case .drop(let large) = verdict(.resourceExhausted, message: "grpc: received message larger than max (5 vs. 4)"),
      case .drop(let quota) = verdict(.resourceExhausted), case .drop(let bad) = verdict(.invalidArgument),
      case .drop(let token) = verdict(.unauthenticated)
    else {
      Issue.record("one of them is retried")
      return
    }
    #expect(large.isTooLarge && large.isForContent && !quota.isTooLarge && !quota.isForContent)
    #expect(bad.isForContent && !token.isForContent && token.message.contains("OTEL_EXPORTER_OTLP_HEADERS"))
  }
}

struct `What a server writes into metadata` {
  @Test(arguments: [
    ("nope %25 100", "nope % 100"), ("%C3%A9", "é"), ("%ZZ", "%ZZ"), ("%", "%"), ("a%2", "a%2"), ("%ff", "\u{fffd}"),
    ("", ""), ("plain", "plain"),
  ])
  func `is text however it is escaped [93]`(text: String, decoded: String) {
    #expect(MetadataText.percentDecoded(text) == decoded)
  }

  @Test(
    arguments: [
      ("AAEC", [0, 1, 2]), ("AAE=", [0, 1]), ("AAE", [0, 1]), ("AA", [0]), ("AA==", [0]), ("+/+/", [0xfb, 0xff, 0xbf]),
      ("!,AAEC", [0, 1, 2]), ("AAEC,AQ", [0, 1, 2]), ("A", nil), ("?", nil), ("", nil), (",", nil),
    ] as [(String, [UInt8]?)])
  func `is base64 with or without padding, or is ignored [92]`(text: String, bytes: [UInt8]?) {
    #expect(MetadataText.base64Decoded(text) == bytes)
  }

  @Test func `is understood as grpcio sends it, and is waited for [88] [92]`() async {
    // As grpcio 1.85 sends RESOURCE_EXHAUSTED with a RetryInfo of 2.5 s.
    let real =
      "CAgSDHNsb3cgZG93biDDqRo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgCEIDKte4B"
    let server = ScriptedHTTP2Server([
      .frames(.status("8", [("grpc-message", "slow%20down"), ("grpc-status-details-bin", real)])),
      .frames(.answer()),
    ])
    let time = TestTime()
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: server.url, transport: .grpc), version: "1", timing: time.timing)
    #expect(await exporter.deliver(oneBatch(), within: .seconds(60)).isComplete)
    #expect(time.sleeps == [.seconds(2.5)])
  }
}
