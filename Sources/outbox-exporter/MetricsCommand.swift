import Arguments
import Metrics
import Reports
import SystemCalls

/// Prints what is exported.
struct MetricsCommand: Subcommand {
  static let command = Command(
    "metrics", "Prints every metric that is exported, and its name in PromQL.")

  init(_ arguments: Arguments) {}

  func run() {
    var table = TextTable([("metric", .left), ("instrument", .left), ("unit", .left), ("in PromQL", .left)])
    for instrument in MetricCatalog.all {
      table.add([instrument.name, instrument.kind.title, instrument.unit, instrument.prometheusName])
    }
    let width = StandardStream.output.widthForTables
    var lines = table.lines(within: width) + [""]
    for instrument in MetricCatalog.all {
      lines.append(instrument.name)
      lines += instrument.description.wrapped(within: width, indentation: "    ")
      if !instrument.attributes.isEmpty {
        lines += "by \(instrument.attributes.joined(separator: ", "))".wrapped(within: width, indentation: "    ")
      }
    }
    lines.append("")
    lines +=
      "Every point about an outbox carries outbox.name, and every point outbox.environment where one is configured."
      .wrapped(within: width, indentation: "")
    printOutput(lines.joined(separator: "\n") + "\n")
  }
}

extension InstrumentKind {
  /// The instrument's name in OpenTelemetry.
  fileprivate var title: String {
    switch self {
    case .gauge: "Gauge"
    case .upDownCounter: "UpDownCounter"
    case .counter: "Counter"
    case .histogram: "Histogram"
    }
  }
}
