/// Text that must never be shown: a connection string with its password, a header value.
///
/// Whatever prints a value of this type prints `•••`; the text itself has to be asked for by name.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text. Hand it to the library that needs it and to nothing else.
  package let revealed: String

  /// Wraps a text that must not be shown.
  package init(_ text: String) {
    self.revealed = text
  }

  package var description: String { "•••" }
  package var debugDescription: String { "•••" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Where an outbox is: a DSN, taken apart.
package enum StoreAddress: Sendable, Hashable {
  /// A libpq URL or conninfo string. It may hold a password.
  case postgresql(Secret)
  /// A path to an SQLite file, or a glob (`*`, `?`, `[…]`) over several.
  case sqlite(path: String)
  /// A path to a queue directory, or a glob over several.
  case files(path: String)

  /// The kind of store.
  package var system: StoreSystem {
    switch self {
    case .postgresql: .postgresql
    case .sqlite: .sqlite
    case .files: .files
    }
  }
}
