import Layouts
import Outbox

extension ConfigurationReader {
  /// The outbox of flags and variables where they name one, else those of the file.
  ///
  /// - Parameter verdicts: What verdicts mean where an outbox says nothing else.
  mutating func readOutboxes(_ value: FileValue?, _ verdicts: VerdictHealth) -> [OutboxDefinition] {
    if options.dsn != nil || variable("OUTBOX_DSN") != nil {
      guard var outbox = outboxOfVariables() else { return [] }
      outbox.verdicts = verdicts
      return [outbox]
    }
    var hasName = false
    for (flag, flagName, variableName) in [
      (options.layout, "--layout", "OUTBOX_LAYOUT"), (options.name, "--name", "OUTBOX_NAME"),
    ] where flag != nil || variable(variableName) != nil {
      let place = flag != nil ? ConfigurationPlace.flag(flagName) : .variable(variableName)
      hasName = true
      problem(place, "is set, but no DSN is", "set OUTBOX_DSN or --dsn; outboxes of the file have a key of their own")
    }
    let items = items(value)
    var definitions: [(definition: OutboxDefinition, place: ConfigurationPlace)] = []
    for item in items {
      guard let definition = outbox(item, verdicts) else { continue }
      if let other = definitions.first(where: { $0.definition.name == definition.name }) {
        problem(
          place(item), "the outbox name `\(definition.name)` is taken by the outbox at \(other.place)",
          "give each outbox a `name`")
        continue
      }
      definitions.append((definition, place(item)))
    }
    if items.isEmpty, !hasName, value?.isEmptyList ?? fileIsReadable {
      problem(
        .nowhere, "no outbox is configured",
        "set OUTBOX_DSN and OUTBOX_LAYOUT, or name a file with `outboxes` with --config or OUTBOX_CONFIG")
    }
    return definitions.map(\.definition)
  }

  private mutating func outboxOfVariables() -> OutboxDefinition? {
    let dsnPlace = options.dsn != nil ? ConfigurationPlace.flag("--dsn") : .variable("OUTBOX_DSN")
    if let flag = options.dsn, DSN.holdsPassword(flag.revealed) {
      problem(
        dsnPlace, "a password must not stand in a flag, where every user of the machine can read it",
        "use OUTBOX_DSN, `dsn_file` in a configuration file, PGPASSFILE or a service file")
    }
    let address = address(options.dsn?.revealed ?? variable("OUTBOX_DSN") ?? "", at: dsnPlace)
    guard let layoutName = setting(options.layout, "--layout", "OUTBOX_LAYOUT", nil) else {
      problem(
        dsnPlace, "the DSN has no layout beside it", "set OUTBOX_LAYOUT or --layout: \(layoutNames(for: address))")
      return nil
    }
    let layoutPlace = options.layout != nil ? ConfigurationPlace.flag("--layout") : .variable("OUTBOX_LAYOUT")
    let layout = layout(named: layoutName, shown: layoutName, at: layoutPlace)
    let name = setting(options.name, "--name", "OUTBOX_NAME", nil)
    checkControls(name, at: options.name != nil ? .flag("--name") : .variable("OUTBOX_NAME"))
    guard let address, let layout, fits(layout, address, at: layoutPlace) else { return nil }
    return OutboxDefinition(name: name ?? layout.name, address: address, layout: layout)
  }

  private mutating func outbox(_ item: FileValue, _ standard: VerdictHealth) -> OutboxDefinition? {
    guard let keys = mapping(item) else { return nil }
    let name = string(keys["name"])
    let address = address(keys, at: place(item))
    var layout = layout(keys["layout"], outbox: name, at: place(item), address: address)
    if let plain = layout { layout = naming(keys, in: plain) }
    let objective = objective(keys["objective"])
    let limits = limits(keys["limits"], over: layout?.limits ?? Limits())
    let verdicts = verdicts(keys["verdicts"], over: standard)
    let acknowledgements = items(keys["acknowledged"]).compactMap { acknowledgement($0) }
    checkControls(name, at: keys["name"].map { place($0) } ?? place(item))
    guard let address, let layout, fits(layout, address, at: keys["layout"].map { place($0) } ?? place(item)) else {
      return nil
    }
    return OutboxDefinition(
      name: name ?? layout.name, address: address, layout: layout, objective: objective, limits: limits,
      verdicts: verdicts, acknowledgements: acknowledgements)
  }

  // MARK: Where it is

  private mutating func address(_ keys: [String: FileValue], at place: ConfigurationPlace) -> StoreAddress? {
    switch (keys["dsn"], keys["dsn_file"]) {
    case (nil, nil):
      problem(place, "`dsn` is missing", "set `dsn` or `dsn_file`")
      return nil
    case (_?, let file?):
      problem(self.place(file), "both `dsn` and `dsn_file` are set", "keep one of them")
      return nil
    case (let dsn?, nil):
      guard let text = string(dsn) else { return nil }
      return address(text, at: self.place(dsn))
    case (nil, let file?):
      guard let path = string(file), let text = textOfFile(path, named: self.place(file)) else { return nil }
      return address(text.trimmed, at: self.place(file))
    }
  }

  private mutating func address(_ text: String, at place: ConfigurationPlace) -> StoreAddress? {
    do throws(DSN.Problem) {
      return try DSN.parse(text, home: variable("HOME"))
    } catch {
      problem(place, error.message, error.hint)
      return nil
    }
  }

  // MARK: How it is laid out

  private func layoutNames(for address: StoreAddress?) -> String {
    let fitting = layouts.filter { layout in address.map { layout.systems.contains($0.system) } ?? true }
    return fitting.isEmpty ? "none fits this DSN" : "one of " + fitting.map { "`\($0.name)`" }.joined(separator: ", ")
  }

  private mutating func layout(named name: String, shown: String, at place: ConfigurationPlace) -> Layout? {
    if let layout = layouts.first(where: { $0.name == name }) { return layout }
    problem(
      place, "the layout `\(shown)` is not known",
      Suggestion.hint(for: shown, among: layouts.map(\.name)) + "; `outbox-exporter layouts` describes them")
    return nil
  }

  private mutating func layout(
    _ value: FileValue?, outbox: String?, at place: ConfigurationPlace, address: StoreAddress?
  ) -> Layout? {
    guard let value else {
      problem(place, "`layout` is missing", layoutNames(for: address))
      return nil
    }
    if value.isMapping {
      return userLayout(FileValue(node: value.node, key: "layouts.<name>"), name: nil, standardName: outbox)
    }
    guard let text = text(value) else { return nil }
    return layout(named: text.text, shown: text.shown, at: text.place)
  }

  private mutating func fits(_ layout: Layout, _ address: StoreAddress, at place: ConfigurationPlace) -> Bool {
    if layout.systems.contains(address.system) { return true }
    // A layout of the user's without a system was reported already.
    if layout.systems.isEmpty { return false }
    let forms: [StoreSystem: String] = [
      .postgresql: "postgresql://user@host/database", .sqlite: "sqlite:PATH", .files: "files:DIR",
    ]
    problem(
      place, "the layout `\(layout.name)` does not fit the DSN, which is of kind \(address.system.rawValue)",
      "it takes " + layout.systems.compactMap { forms[$0] }.joined(separator: " or "))
    return false
  }

  /// Puts the user's table and column names in place.
  private mutating func naming(_ keys: [String: FileValue], in layout: Layout) -> Layout {
    var layout = layout
    for (role, place, value) in namedEntries(keys["tables"], "<role>") {
      guard let name = string(value) else { continue }
      do throws(LayoutOverrideError) { layout = try layout.naming(table: role, name) } catch {
        report(error, "table", of: layout, at: place)
      }
    }
    for (role, place, value) in namedEntries(keys["columns"], "<role>") {
      guard let name = string(value) else { continue }
      do throws(LayoutOverrideError) { layout = try layout.naming(column: role, name) } catch {
        report(error, "column", of: layout, at: place)
      }
    }
    return layout
  }

  private mutating func report(
    _ error: LayoutOverrideError, _ kind: String, of layout: Layout, at place: ConfigurationPlace
  ) {
    switch error {
    case .unknownRole(let role, let known):
      let roles = known.isEmpty ? "it has none" : "its roles are " + known.map { "`\($0)`" }.joined(separator: ", ")
      let nearest = Suggestion.nearest(to: role, among: known).map { "did you mean `\($0)`? " } ?? ""
      problem(place, "the layout `\(layout.name)` has no \(kind) role\(Self.shown(key: role))", nearest + roles)
    case .ambiguousRole(let role, let choices):
      problem(
        place, "the layout `\(layout.name)` has several queues with a \(kind) role\(Self.shown(key: role))",
        "say which: " + choices.map { "`\($0)`" }.joined(separator: ", "))
    }
  }
}
