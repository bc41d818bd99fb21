import Outbox

extension ConfigurationReader {
  /// A shorter window holds no five samples that are worth the name, a longer one is a sidecar.
  private static let windows: ClosedRange<Duration> = .seconds(1)...(.seconds(3_600))

  /// What only `--once` minds. The file and the variable may be a sidecar's too; the flags may not.
  mutating func readOnce(_ window: FileValue?, into configuration: inout ExporterConfiguration) {
    if let window, let text = text(window) {
      configuration.window = self.window(text.text, shown: text.shown, at: text.place)
    }
    if let text = variable("OUTBOX_WINDOW") {
      configuration.window = self.window(text, shown: text, at: .variable("OUTBOX_WINDOW"))
    }
    if let text = options.window { configuration.window = self.window(text, shown: text, at: .flag("--window")) }
    configuration.pushIsRefused = options.noPush
    configuration.pushIsRequired = options.requirePush
    let given = [
      ("--window", options.window != nil), ("--no-push", options.noPush), ("--require-push", options.requirePush),
    ].filter(\.1).map(\.0)
    for flag in options.once ? [] : given + options.reporting {
      problem(.flag(flag), "is set, but `--once` is not", "it says how a single run goes")
    }
    if options.once, options.requirePush, let reason = configuration.reasonNotToPush(once: true) {
      problem(
        .flag("--require-push"), "nothing would be pushed: \(reason)",
        "name an endpoint with --endpoint or OTEL_EXPORTER_OTLP_ENDPOINT, or leave the flag away")
    }
  }

  private mutating func window(_ text: String, shown: String, at place: ConfigurationPlace) -> Duration? {
    guard let window = DurationText.parse(text) else {
      problem(place, "`\(shown)` is not a duration", DurationText.hint)
      return nil
    }
    if Self.windows.contains(window) { return window }
    problem(place, "a window of \(DurationText.text(window)) is out of range", "from 1s to 1h")
    return nil
  }
}
