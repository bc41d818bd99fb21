internal import SQLiteClient

/// What a server's messages in JSON say, or nil where the text is no such message. SQLite reads the JSON: unknown keys do
/// not matter, and integers of 64 bits are numbers or texts (OTLP specification, "JSON Protobuf Encoding").
enum JSONServerMessage {
  /// The `partialSuccess` of an ExportMetricsServiceResponse; (0, "") where there is none.
  static func partialSuccess(_ bytes: [UInt8]) -> (rejected: Int64, message: String)? {
    read(bytes, "$.partialSuccess.rejectedDataPoints", "$.partialSuccess.errorMessage").map { rejected, message in
      (rejected.flatMap { Int64($0) } ?? 0, message ?? "")
    }
  }

  /// The `message` of a google.rpc.Status.
  static func status(_ bytes: [UInt8]) -> String? {
    read(bytes, "$.message", "$.message").map { $0.0 ?? "" }
  }

  /// Two members of an object as texts.
  private static func read(_ bytes: [UInt8], _ first: String, _ second: String) -> (String?, String?)? {
    do throws(SQLiteError) {
      let connection = try SQLiteConnection(path: "", access: .memory)
      var members: (String?, String?)?
      try connection.query(
        """
        SELECT json_extract(:text, :first) || '', json_extract(:text, :second) || ''
        WHERE json_valid(:text) AND json_type(:text) = 'object'
        """,
        [":text": .text(String(decoding: bytes, as: UTF8.self)), ":first": .text(first), ":second": .text(second)]
      ) { members = ($0.text(0), $0.text(1)) }
      return members
    } catch {
      return nil
    }
  }
}
