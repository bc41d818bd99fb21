import Outbox

@testable import HTTPClient
@testable import OTLP

extension Rules {
  mutating func retryAfter(_ bytes: [UInt8]) {
    let values = bytes.lines.map(\.text)
    if let delay = RetryAfter.delay(values, now: Self.now) { hold(delay >= .zero, "a delay of \(delay)") }
    verdict(
      DeliveryVerdict(
        HTTPResponse(status: 503, headers: values.map { HTTPHeader("retry-after", $0) }), endpoint: "http://c",
        now: Self.now))
    // Every second of the next fifty years is read as it was written, in each of the three forms.
    let ahead = Int(bytes.number % (50 * 31_556_952))
    for text in HTTPDate(secondsSince1970: 1_800_000_000 + ahead).forms {
      hold(
        RetryAfter.delay([text], now: Self.now) == .seconds(ahead),
        "\(text) is \(ahead) s ahead, and read as \(String(describing: RetryAfter.delay([text], now: Self.now)))")
    }
    hold(RetryAfter.delay(["\(ahead)"], now: Self.now) == .seconds(ahead), "\(ahead) is read otherwise")
  }

  mutating func httpResponse(_ bytes: [UInt8]) {
    let collector = ResponseCollector()
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 10) {
      let line = Array(rest[...end])
      rest = rest[(end + 1)...]
      guard unsafe collector.takeHeaderLine(line.span.bytes) else { break }
      if collector.isHeadComplete { break }
    }
    let body = Array(rest)
    let isTaken = unsafe collector.takeBody(body.span.bytes)
    hold(isTaken || collector.isTooLarge, "a body is refused that is not too large")
    hold(
      collector.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } <= 4 * (256 << 10),
      "the head takes too much memory")
    // libcurl knows statuses of three digits only.
    guard collector.isHeadComplete, (200...999).contains(collector.status) else { return }
    let response = HTTPResponse(status: collector.status, headers: collector.headers, body: collector.body)
    hold(response.headers.allSatisfy { $0.name == $0.name.lowercased() }, "a name is not in lower case")
    let judged = DeliveryVerdict(response, endpoint: "http://c:4318/v1/metrics", now: Self.now)
    verdict(judged)
    switch judged {
    case .delivered: hold((200..<300).contains(response.status), "\(response.status) is a success")
    case .retry: hold([429, 502, 503, 504].contains(response.status), "\(response.status) is sent again")
    case .drop: hold(![200, 204, 429, 502, 503, 504].contains(response.status), "\(response.status) is not")
    }
  }

  mutating func gzip(_ bytes: [UInt8]) {
    let limit = 1 << 16
    if let plain = gunzip(bytes, limit: limit) {
      hold(plain.count <= limit, "\(plain.count) bytes of at most \(limit)")
      hold(plain.isEmpty || gunzip(bytes, limit: plain.count - 1) == nil, "a limit is not kept")
    }
    let member = HTTPClient.gzip(bytes)
    hold(gunzip(member, limit: bytes.count) == bytes, "does not come back as it was")
    hold(gunzip(member.dropLast(), limit: bytes.count) == nil, "a cut-off member is taken for a whole one")
  }
}

/// An HTTP-date, written by rules of its own.
private struct HTTPDate {
  let forms: [String]

  init(secondsSince1970 seconds: Int) {
    var (year, day) = (1970, seconds / 86_400)
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    let weekday = (day + 4) % 7
    while day >= (isLeap(year) ? 366 : 365) {
      day -= isLeap(year) ? 366 : 365
      year += 1
    }
    var month = 0
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while day >= lengths[month] {
      day -= lengths[month]
      month += 1
    }
    func two(_ number: Int, _ fill: String = "0") -> String { number < 10 ? "\(fill)\(number)" : "\(number)" }
    let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let clock = "\(two(seconds / 3600 % 24)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
    let short = days[weekday].prefix(3)
    forms = [
      "\(short), \(two(day + 1)) \(months[month]) \(year) \(clock) GMT",
      "\(days[weekday]), \(two(day + 1))-\(months[month])-\(two(year % 100)) \(clock) GMT",
      "\(short) \(months[month]) \(two(day + 1, " ")) \(clock) \(year)",
    ]
  }
}
