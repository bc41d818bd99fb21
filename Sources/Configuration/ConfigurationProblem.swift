/// Where a setting was written.
package enum ConfigurationPlace: Sendable, Hashable, CustomStringConvertible {
  /// A flag, with its dashes.
  case flag(String)
  /// An environment variable.
  case variable(String)
  /// A place in a file; line and column count from 1.
  case file(path: String, line: Int, column: Int)
  /// A file as a whole, or another one than the configuration.
  case path(String)
  /// Nowhere: something is missing.
  case nowhere

  package var description: String {
    switch self {
    case .flag(let name): name
    case .variable(let name): name
    case .file(let path, let line, let column): "\(path):\(line):\(column)"
    case .path(let path): path
    case .nowhere: "configuration"
    }
  }
}

/// One mistake in the configuration, or one setting that is ignored: where, what is wrong, and what to do. Never a
/// secret: no value of a DSN, a header or a URL's query stands in it.
package struct ConfigurationProblem: Sendable, Hashable, CustomStringConvertible {
  /// Where it was written.
  package var place: ConfigurationPlace
  /// What is wrong.
  package var message: String
  /// What to write instead, if that is known.
  package var hint: String?

  /// A problem.
  package init(_ place: ConfigurationPlace, _ message: String, hint: String? = nil) {
    self.place = place
    self.message = message
    self.hint = hint
  }

  package var description: String { "\(place): \(message)" + (hint.map { " (\($0))" } ?? "") }
}

/// Every mistake that the configuration holds, so that the user mends them in one go. Exit status 78.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The mistakes, in the order of flags, variables, file. Never empty.
  package var problems: [ConfigurationProblem]

  /// A configuration that cannot be used.
  package init(problems: [ConfigurationProblem]) {
    self.problems = problems
  }

  package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Why a file could not be read, in the words of the operating system.
package struct FileReadFailure: Error, Sendable, Hashable {
  /// For example `No such file or directory`.
  package var cause: String

  /// A file that could not be read.
  package init(_ cause: String) {
    self.cause = cause
  }
}

/// Reads a whole file. The configuration itself does no I/O; relative paths are resolved by whoever reads.
package typealias FileReading = (_ path: String) throws(FileReadFailure) -> [UInt8]
