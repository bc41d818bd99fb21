import Outbox

extension ConfigurationReader {
  /// No rhythm is slower than this: backends forget a series after five minutes.
  static let slowestInterval = Duration.seconds(240)
  /// No rhythm is faster than this.
  static let fastestInterval = Duration.milliseconds(100)

  mutating func readGeneral(_ file: [String: FileValue], into configuration: inout ExporterConfiguration) {
    configuration.stateDirectory =
      setting(options.stateDirectory, "--state-dir", "OUTBOX_STATE_DIR", string(file["state_dir"]))
      ?? (options.once ? standardStateDirectory : nil)
    configuration.livenessFile =
      setting(options.livenessFile, "--liveness-file", "OUTBOX_LIVENESS_FILE", string(file["liveness_file"]))
    readInterval(file["interval"], into: &configuration)
    readDatabaseShare(file["database_share"], into: &configuration)
    readLogLevel(file["log_level"], into: &configuration)

    let failedCycles = integer(file["exit_after_failed_cycles"], from: 1)
    configuration.exitAfterFailedCycles = failedCycles
    if let flag = options.exitAfterFailedCycles {
      configuration.exitAfterFailedCycles = Self.wholeNumber(flag).flatMap { $0 > 0 ? $0 : nil }
      if configuration.exitAfterFailedCycles == nil {
        problem(.flag("--exit-after-failed-cycles"), "`\(flag)` is not a whole number from 1 up")
      }
    }

    if let ends = boolean(file["end_series_on_stop"]) { configuration.endsSeriesOnStop = ends }
    let destinations = mapping(file["destinations"])
    if let limit = integer(destinations?["limit"], from: 1) { configuration.destinationLimit = limit }
    let spool = mapping(file["spool"])
    if let bytes = integer(spool?["max_bytes"], from: 1) { configuration.spool.byteLimit = bytes }
    if let value = spool?["max_age"], let age = duration(value) {
      if age > .zero {
        configuration.spool.ageLimit = age
      } else {
        problem(place(value), "an age of zero would keep nothing")
      }
    }
    let timeouts = mapping(file["timeouts"])
    if let connect = positiveDuration(timeouts?["connect"]) { configuration.timeouts.connect = connect }
    if let statement = positiveDuration(timeouts?["statement"]) { configuration.timeouts.statement = statement }
    if let lock = positiveDuration(timeouts?["lock"]) { configuration.timeouts.lock = lock }
  }

  /// What `--once` keeps between runs, by the XDG base directory specification, which has relative paths ignored.
  private var standardStateDirectory: String? {
    if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") { return state + "/outbox-exporter" }
    return variable("HOME").map { $0 + "/.local/state/outbox-exporter" }
  }

  private mutating func readInterval(_ value: FileValue?, into configuration: inout ExporterConfiguration) {
    if let interval = duration(value), let value, isRhythm(interval, at: place(value)) {
      configuration.interval = interval
    }
    if let milliseconds = milliseconds(of: ["OTEL_METRIC_EXPORT_INTERVAL"]) {
      // A variable of the specification never stops the process, so it is brought into range.
      let interval = min(max(milliseconds, Self.fastestInterval), Self.slowestInterval)
      if interval != milliseconds {
        warn(
          .variable("OTEL_METRIC_EXPORT_INTERVAL"),
          "`\(variable("OTEL_METRIC_EXPORT_INTERVAL") ?? "")` is out of range; \(DurationText.text(interval)) is used",
          "backends forget a series after five minutes: between 100 and 240000 milliseconds")
      }
      configuration.interval = interval
    }
    if let flag = options.interval {
      guard let interval = DurationText.parse(flag) else {
        return problem(.flag("--interval"), "`\(flag)` is not a duration", DurationText.hint)
      }
      if isRhythm(interval, at: .flag("--interval")) { configuration.interval = interval }
    }
  }

  private mutating func readDatabaseShare(_ value: FileValue?, into configuration: inout ExporterConfiguration) {
    let settings: [(String?, ConfigurationPlace)] = [
      (string(value), value.map { place($0) } ?? .nowhere),
      (variable("OUTBOX_DATABASE_SHARE"), .variable("OUTBOX_DATABASE_SHARE")),
      (options.databaseShare, .flag("--database-share")),
    ]
    for case (let text?, let place) in settings {
      if let share = Self.share(text) {
        configuration.databaseShare = share
      } else {
        problem(place, "`\(text)` is no share of a database's time", "above 0% and at most 100%, e.g. 1% or 0.01")
      }
    }
  }

  private static func share(_ text: String) -> Double? {
    let isPercent = text.hasSuffix("%")
    guard let number = Double(isPercent ? String(text.dropLast()) : text) else { return nil }
    let share = isPercent ? number / 100 : number
    return share > 0 && share <= 1 ? share : nil
  }

  private mutating func isRhythm(_ interval: Duration, at place: ConfigurationPlace) -> Bool {
    if (Self.fastestInterval...Self.slowestInterval).contains(interval) { return true }
    problem(
      place, "an interval of \(DurationText.text(interval)) is out of range",
      "from 100ms to 4m, since backends forget a series after five minutes")
    return false
  }

  private mutating func positiveDuration(_ value: FileValue?) -> Duration? {
    guard let value, let duration = duration(value) else { return nil }
    if duration >= .milliseconds(1) { return duration }
    problem(place(value), "a time-out has to be at least 1ms")
    return nil
  }

  private mutating func readLogLevel(_ value: FileValue?, into configuration: inout ExporterConfiguration) {
    if let level: LogLevel = choice(value) { configuration.logLevel = level }
    if let text = variable("OTEL_LOG_LEVEL") {
      let synonyms = ["warn": LogLevel.warning, "fatal": .critical, "verbose": .trace, "all": .trace]
      if let level = LogLevel(rawValue: text.lowercased()) ?? synonyms[text.lowercased()] {
        configuration.logLevel = level
      } else {
        warn(.variable("OTEL_LOG_LEVEL"), "`\(text)` is not known and is ignored", Self.logLevelHint)
      }
    }
    if let flag = options.logLevel {
      guard let level = LogLevel(rawValue: flag) else {
        return problem(.flag("--log-level"), "`\(flag)` is not known", Self.logLevelHint)
      }
      configuration.logLevel = level
    }
  }

  private static var logLevelHint: String { "one of " + LogLevel.allCases.map(\.rawValue).joined(separator: ", ") }
}
