package import Layouts
import Outbox
import YAMLClient

extension ExporterConfiguration {
  /// The configuration that flags, environment and file make together: flag before environment before file before
  /// default. The `OTEL_*` variables follow the OpenTelemetry specification: what it wants ignored ends up in the
  /// warnings.
  ///
  /// Two settings count as a whole, so that no part of one source is mixed with a part of another. With `--dsn` or
  /// OUTBOX_DSN there is that one outbox, and `outboxes` of the file is not read. With `--endpoint` or an
  /// OTEL_EXPORTER_OTLP_*ENDPOINT there is that one endpoint, and `export` of the file is not read; without them,
  /// where the file has `export`, the other OTEL_EXPORTER_OTLP_* variables are not used, lest a header go to an
  /// endpoint that it is not meant for.
  ///
  /// - Parameters:
  ///   - options: The flags.
  ///   - environment: The process's environment.
  ///   - catalog: The built-in layouts. A layout of the file with the name of one of them replaces it.
  ///   - readFile: Reads the configuration file and the files that it names.
  /// - Throws: every mistake at once.
  package static func load(
    options: CommandLineOptions, environment: [String: String], catalog: [Layout], readFile: @escaping FileReading
  ) throws(ConfigurationError) -> (configuration: ExporterConfiguration, warnings: [ConfigurationProblem]) {
    var reader = ConfigurationReader(
      options: options, environment: environment, layouts: catalog, readFile: readFile)
    let configuration = reader.read()
    if !reader.problems.isEmpty { throw ConfigurationError(problems: reader.sortedProblems) }
    return (configuration, reader.warnings)
  }
}

/// Reads one configuration, and collects what is wrong with it on the way.
struct ConfigurationReader {
  let options: CommandLineOptions
  let environment: [String: String]
  let readFile: FileReading
  /// The layouts that a name may mean: the user's before the built-in ones.
  var layouts: [Layout]
  /// The path of the file that is being read, for the places of its values.
  var filePath = ""
  /// False where there is a file, but nothing can be said about what it holds.
  var fileIsReadable = true
  var problems: [ConfigurationProblem] = []
  var warnings: [ConfigurationProblem] = []

  init(
    options: CommandLineOptions, environment: [String: String], layouts: [Layout], readFile: @escaping FileReading
  ) {
    self.options = options
    self.environment = environment
    self.layouts = layouts
    self.readFile = readFile
  }

  /// Flags first, then variables, then the file from top to bottom.
  var sortedProblems: [ConfigurationProblem] {
    func rank(_ problem: ConfigurationProblem) -> (Int, Int, Int) {
      switch problem.place {
      case .flag: (0, 0, 0)
      case .variable: (1, 0, 0)
      case .file(_, let line, let column): (2, line, column)
      case .path: (3, 0, 0)
      case .nowhere: (4, 0, 0)
      }
    }
    return problems.enumerated().sorted { left, right in
      let (one, other) = (rank(left.element), rank(right.element))
      return one == other ? left.offset < right.offset : one < other
    }.map(\.element)
  }

  mutating func read() -> ExporterConfiguration {
    var configuration = ExporterConfiguration()
    warnAboutMistypedVariables()
    let file = readConfigurationFile()
    readUserLayouts(file["layouts"])
    readGeneral(file, into: &configuration)
    readResource(file["resource_attributes"], into: &configuration)
    configuration.environment =
      setting(options.environment, "--environment", "OUTBOX_ENVIRONMENT", string(file["environment"]))
      ?? configuration.resourceAttributes.first { $0.key == "deployment.environment.name" }?.value
    readExport(file["export"], into: &configuration)
    readOnce(file["window"], into: &configuration)
    configuration.outboxes = readOutboxes(file["outboxes"], verdicts(file["verdicts"], over: .standard))
    return configuration
  }

  /// A variable that is set; an empty one is as good as unset.
  func variable(_ name: String) -> String? {
    guard let value = environment[name], !value.isEmpty else { return nil }
    return value
  }

  /// A setting as text by precedence. A flag with an empty text is a mistake: it is a shell variable that was not set.
  mutating func setting(_ flag: String?, _ flagName: String, _ variableName: String?, _ file: String?) -> String? {
    if let flag, flag.isEmpty { problem(.flag(flagName), "has an empty value", "leave the flag away, or name a value") }
    return flag ?? variableName.flatMap { variable($0) } ?? file
  }

  mutating func problem(_ place: ConfigurationPlace, _ message: String, _ hint: String? = nil) {
    problems.append(ConfigurationProblem(place, message, hint: hint))
  }

  mutating func warn(_ place: ConfigurationPlace, _ message: String, _ hint: String? = nil) {
    warnings.append(ConfigurationProblem(place, message, hint: hint))
  }

  /// A file's text; a problem where it cannot be read.
  ///
  /// - Parameter name: What the file is called in messages: its path only where it is sure to be one. In a variable that
  ///   was to hold a path people put the key itself.
  mutating func textOfFile(_ path: String, named place: ConfigurationPlace, as name: String = "the file") -> String? {
    do throws(FileReadFailure) {
      let bytes = try readFile(path)
      if let text = String(validating: bytes, as: UTF8.self) { return text }
      problem(place, "\(name) is not UTF-8 text")
    } catch {
      problem(place, "\(name) cannot be read: \(error.cause)", "check its path and its permissions")
    }
    return nil
  }

  private mutating func readConfigurationFile() -> [String: FileValue] {
    let path: String
    let place: ConfigurationPlace
    if let flag = options.config {
      (path, place) = (flag, .flag("--config"))
    } else if let variable = variable("OUTBOX_CONFIG") {
      (path, place) = (variable, .variable("OUTBOX_CONFIG"))
    } else {
      return [:]
    }
    filePath = path
    fileIsReadable = false
    guard let text = textOfFile(path, named: place, as: path) else { return [:] }
    do throws(YAMLError) {
      let root = try YAMLNode.parse(text) ?? YAMLNode(.mapping([]), line: 1, column: 1)
      let isEmpty = root.content == .scalar("", plain: true)
      guard let keys = isEmpty ? [:] : mapping(FileValue(node: root, key: "")) else { return [:] }
      fileIsReadable = true
      return keys
    } catch {
      problem(.file(path: path, line: error.line, column: error.column), error.message, error.hint)
      return [:]
    }
  }

  /// Only names that are nearly right: a cluster sets other variables that begin with OUTBOX_ for its own purposes.
  private mutating func warnAboutMistypedVariables() {
    let known = ConfigurationCatalog.variables.map(\.name).filter { $0.hasPrefix("OUTBOX_") }
    for name in environment.keys.sorted() where name.hasPrefix("OUTBOX_") && !known.contains(name) {
      let rest = String(name.dropFirst("OUTBOX_".count))
      if let nearest = Suggestion.nearest(to: rest, among: known.map { String($0.dropFirst("OUTBOX_".count)) }) {
        warn(.variable(name), "is not a known variable", "did you mean `OUTBOX_\(nearest)`?")
      }
    }
  }
}
