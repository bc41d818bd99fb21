import Outbox
import Testing

@Suite struct `Durations as text` {
  @Test(
    arguments: [
      (.zero, "0ms"), (.milliseconds(1), "1ms"), (.milliseconds(999), "999ms"), (.microseconds(999_999), "999ms"),
      (.seconds(1), "1s"), (.milliseconds(1_099), "1s"), (.milliseconds(1_100), "1.1s"),
      (.milliseconds(9_999), "9.9s"), (.milliseconds(10_900), "10s"), (.seconds(59), "59s"), (.seconds(60), "1m"),
      (.seconds(200), "3m 20s"), (.seconds(3_599), "59m 59s"), (.seconds(3_600), "1h"), (.seconds(3_601), "1h"),
      (.seconds(7_260), "2h 1m"), (.seconds(86_400), "1d"), (.seconds(187_200), "2d 4h"),
      (.seconds(86_400 * 4_000), "4000d"), (.seconds(-200), "-3m 20s"), (.milliseconds(-5), "-5ms"),
      (.microseconds(-5), "0ms"), (.seconds(Int64.max), "106751d 23h"), (.seconds(Int64.min), "-106751d 23h"),
    ] as [(Duration, String)]) func `have their two largest units`(duration: Duration, text: String)
  {
    #expect(duration.text == text)
  }
}

@Suite struct `Counts as text` {
  @Test(arguments: [(0, "0 events"), (1, "1 event"), (2, "2 events"), (1_000, "1000 events")])
  func `have a plural`(count: Int, text: String) {
    #expect(count.counted("event") == text)
  }
}

@Suite struct `A secret` {
  private struct Settings { var name = "n", password = Secret("hunter2"), next: Secret? = Secret("hunter2") }
  private enum Choice { case some(Secret) }

  @Test func `is printed by nothing`() {
    let secret = Secret("hunter2")
    var shown = [
      "\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", "\(["key": secret])",
      "\(Optional(secret) as Any)", "\(Set([secret]))", "\((1, secret))", "\(Settings())",
      String(reflecting: Settings()), "\(Choice.some(secret))", "\(StoreAddress.postgresql(secret))",
      String(reflecting: StoreAddress.postgresql(secret)), "\(Mirror(reflecting: secret).children.map { $0 })",
      "\(Result<Secret, Never>.success(secret))",
    ]
    for value: Any in [secret, [secret], ["key": secret], Settings(), StoreAddress.postgresql(secret)] {
      var text = ""
      dump(value, to: &text)
      shown.append(text)
    }
    for text in shown { #expect(!text.contains("hunter2"), "\(text)") }
    #expect("\(secret)" == "•••")
    #expect(secret.revealed == "hunter2")
  }
}
