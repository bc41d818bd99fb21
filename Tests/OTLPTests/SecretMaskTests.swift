import TestSupport
import Testing

@testable import OTLP

/// What a server says is logged, and it may say what it was sent.
struct `A request with credentials` {
  @Test(arguments: [
    ("text/plain", "token hunter2-x has expired; Bearer hunter2-x, key=hunter2-q"),
    ("application/json", #"{"message":"token hunter2-x has expired","code":16}"#),
    ("application/x-protobuf", "\u{12}\u{1b}token hunter2-x has expired"),
  ]) func `does not show them where the server repeats them [39] [131]`(type: String, text: String) async {
    let server = ScriptedHTTPServer([.answer(401, headers: [("Content-Type", type)], body: Array(text.utf8))])
    let destination = OTLPDestination(
      endpoint: server.url() + "?key=hunter2-q", headers: [("Authorization", "Bearer hunter2-x")])
    let report = await OTLPExporter(destination, version: "1").deliver(oneBatch(), within: .seconds(30))
    #expect(report.failure?.message.contains("token ********* has expired") == true, "\(report)")
    #expect(!"\(report)".contains("hunter2"))
  }

  @Test(arguments: [
    ("text/plain", "no user ann with the password hunter2/long"), ("text/plain", "the token a/hunter2= is no good"),
    ("application/json", #"{"message":"bad hunter2\/long"}"#),
    ("application/json", #"{"message":"bad YW5uOm\u0068\u0031bnRlcjIvbG9uZw== hunter2\u002flong"}"#),
  ]) func `does not show them in another form either [39] [131]`(
    type: String, text: String
  ) async {
    let server = ScriptedHTTPServer([.answer(401, headers: [("Content-Type", type)], body: Array(text.utf8))])
    let destination = OTLPDestination(
      endpoint: server.url() + "?token=a%2Fhunter2%3D", headers: [("Authorization", "Basic YW5uOmh1bnRlcjIvbG9uZw==")])
    let report = await OTLPExporter(destination, version: "1").deliver(oneBatch(), within: .seconds(30))
    #expect(report.failure?.message.contains("****") == true, "\(report)")
    #expect(!"\(report)".contains("hunter2") && !"\(report)".contains("YW5u"))
  }
}
