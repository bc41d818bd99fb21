/// The listing that the Collector's debug exporter and rotel's debug log print of what they receive.
package struct DebugDump {
  /// The resource attributes, `key=Type(value)`, in order, once for each request.
  package private(set) var resources: [String] = []
  /// `name version | schema URL`, once for each request.
  package private(set) var scopes: [String] = []
  /// The points, in order.
  package private(set) var points: [ReceivedPoint] = []

  private var metric: [String: String] = [:]
  private var point: [String: String] = [:]
  private var attributes: [String] = []
  private var bounds: [String] = []
  private var buckets: [String] = []
  private var exponential: [String] = []
  private var zeros = "0"
  private var isPoint = false
  private var scopeSchema = ""

  /// Reads a listing; lines of other kinds are skipped.
  package init(_ text: String) {
    for line in text.split(separator: "\n") { read(String(line)) }
    endPoint()
  }

  private mutating func read(_ line: String) {
    if line.contains("ResourceMetrics #") {
      endPoint()
      metric = [:]
      resources.append("")
      isPoint = false
    } else if line.hasPrefix("Metric #") {
      endPoint()
      metric = [:]
    } else if line.contains("DataPoints #") {
      endPoint()
      isPoint = true
    } else if line.hasPrefix("     -> ") {
      let (key, value) = Self.split(String(line.dropFirst(8)), at: ": ")
      if isPoint {
        attributes.append("\(key)=\(value)")
      } else if ["Name", "Description", "Unit", "DataType", "IsMonotonic", "AggregationTemporality"].contains(key) {
        metric[key] = value
      } else {
        resources[resources.count - 1] += (resources.last == "" ? "" : " ") + "\(key)=\(value)"
      }
    } else if line.hasPrefix("ScopeMetrics SchemaURL: ") {
      scopeSchema = Self.split(line, at: ": ").1
    } else if line.hasPrefix("InstrumentationScope ") {
      scopes.append(line.dropFirst("InstrumentationScope ".count) + " | \(scopeSchema)")
    } else if line.hasPrefix("ExplicitBounds #") {
      bounds.append(ReceivedPoint.rounded(Double(Self.split(line, at: ": ").1) ?? .nan))
    } else if line.hasPrefix("Bucket (") {
      exponential.append(Self.split(line, at: "Count: ").1)
    } else if line.hasPrefix("Bucket [0, 0]") {
      zeros = Self.split(line, at: "Count: ").1
    } else if line.hasPrefix("Buckets #") {
      buckets.append(Self.split(line, at: "Count: ").1)
    } else if isPoint {
      let (key, value) = Self.split(line, at: ": ")
      if ["StartTimestamp", "Timestamp", "Value", "Count", "Sum"].contains(key) { point[key] = value }
    }
  }

  private mutating func endPoint() {
    guard isPoint else { return }
    isPoint = false
    var kind = metric["DataType"] ?? ""
    if metric["IsMonotonic"] == "true" { kind += " monotonic" }
    if metric["AggregationTemporality"]?.lowercased().hasSuffix("cumulative") == true { kind += " cumulative" }
    if metric["AggregationTemporality"]?.lowercased().hasSuffix("delta") == true { kind += " delta" }
    var value = "none"
    if let number = point["Value"] {
      value = number.contains(".") || number.count > 20 ? ReceivedPoint.rounded(Double(number) ?? .nan) : number
    } else if let count = point["Count"], !buckets.isEmpty {
      let sum = ReceivedPoint.rounded(point["Sum"].flatMap { Double($0) } ?? .nan)
      value =
        "count \(count) sum \(sum) bounds \(bounds.joined(separator: " ")) buckets \(buckets.joined(separator: " "))"
    }
    if kind.hasPrefix("ExponentialHistogram"), let count = point["Count"], count != "0" {
      let sum = ReceivedPoint.rounded(point["Sum"].flatMap { Double($0) } ?? .nan)
      value = "count \(count) sum \(sum) zeros \(zeros) buckets \(exponential.joined(separator: " "))"
    }
    points.append(
      ReceivedPoint(
        metric: metric["Name"] ?? "", kind: "\(kind) [\(metric["Unit"] ?? "")] \(metric["Description"] ?? "")",
        attributes: attributes.joined(separator: " "), start: Self.nanoseconds(point["StartTimestamp"] ?? ""),
        time: Self.nanoseconds(point["Timestamp"] ?? ""), value: value))
    point = [:]
    attributes = []
    bounds = []
    buckets = []
    exponential = []
    zeros = "0"
  }

  private static func split(_ line: String, at separator: String) -> (String, String) {
    guard let range = line.firstRange(of: separator) else { return (line, "") }
    return (String(line[..<range.lowerBound]), String(line[range.upperBound...]))
  }

  /// rotel prints nanoseconds, the Collector `2026-11-21 01:19:00.123456789 +0000 UTC` without zeros at the end.
  private static func nanoseconds(_ text: String) -> Int64 {
    if let number = Int64(text) { return number }
    let numbers = text.prefix(19).split { "- :".contains($0) }.compactMap { Int64($0) }
    guard numbers.count == 6 else { return -1 }
    // Counts the days one year and one month at a time: slow, and obviously right.
    func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    var days = numbers[2] - 1
    for year in 1970..<numbers[0] { days += isLeap(year) ? 366 : 365 }
    let lengths: [Int64] = [31, isLeap(numbers[0]) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    for month in 0..<Int(numbers[1] - 1) { days += lengths[month] }
    let seconds = days * 86400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
    guard text.dropFirst(19).first == "." else { return seconds * 1_000_000_000 }
    let fraction = text.dropFirst(20).prefix { $0 != " " } + "000000000"
    return seconds * 1_000_000_000 + (Int64(fraction.prefix(9)) ?? -1)
  }
}
