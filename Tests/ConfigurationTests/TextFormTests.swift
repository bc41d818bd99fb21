import Testing

@testable import Configuration

struct TextFormTests {
  @Test(arguments: [
    ("15s", Duration.seconds(15)), ("5m", .seconds(300)), ("1h30m", .seconds(5400)), ("250ms", .milliseconds(250)),
    ("0s", .zero), ("2d", .seconds(172_800)), ("1m1s1ms", .milliseconds(61_001)), ("90m", .seconds(5400)),
    ("1us", .microseconds(1)), ("7ns", .nanoseconds(7)),
  ])
  func `a duration is read`(text: String, duration: Duration) {
    #expect(DurationText.parse(text) == duration)
  }

  @Test(arguments: [
    "", "15", "s", "1.5s", "-1s", "+1s", "1s1m", "1s1s", "15 s", " 15s", "15S", "15sec", "1h30",
    "99999999999999999999s",
    "9999999999999h", "１５s",
  ])
  func `anything else is no duration`(text: String) {
    #expect(DurationText.parse(text) == nil)
  }

  @Test(arguments: ["0s", "15s", "5m", "1h30m", "250ms", "1d2h3m4s5ms6us7ns"])
  func `a duration is written as it is read`(text: String) throws {
    #expect(DurationText.text(try #require(DurationText.parse(text))) == text)
  }

  @Test(
    arguments: [
      ("intervall", ["interval", "environment"], "interval"),
      ("enviroment", ["interval", "environment"], "environment"),
      ("stae_dir", ["state_dir"], "state_dir"), ("state-dir", ["state_dir"], "state_dir"),
      ("dns", ["dsn", "name"], "dsn"),
      ("Layout", ["layout"], "layout"), ("zebra", ["interval", "dsn"], nil), ("", ["dsn"], nil), ("x", [], nil),
    ] as [(String, [String], String?)])
  func `the nearest word is suggested where one is near`(word: String, known: [String], nearest: String?) {
    #expect(Suggestion.nearest(to: word, among: known) == nearest)
  }

  @Test(
    arguments: [
      ("a%20b", "a b"), ("a+b", "a+b"), ("%C3%A9", "é"), ("%c3%a9", "é"), ("", ""), ("%G1", nil), ("%4", nil),
      ("%", nil),
      ("%FF", nil),
    ] as [(String, String?)])
  func `percent-encoding is decoded`(text: String, decoded: String?) {
    #expect(PercentEncoding.decode(text) == decoded)
  }
}
