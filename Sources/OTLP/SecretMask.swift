internal import GRPCClient
internal import HTTPClient

/// Hides what the requests of a destination hold as credentials: a server may repeat it in its answer ("token … has
/// expired"), and what a server says is logged.
struct SecretMask: Sendable, Hashable {
  private let secrets: [[UInt8]]

  /// - Parameters:
  ///   - headers: those of the user; of a value such as `Bearer abcd` its second word is a secret too.
  ///   - endpoint: a query may hold a token.
  init(headers: [HTTPHeader], endpoint: String) {
    var texts: Set<Substring> = []
    for header in headers {
      texts.insert(header.value[...])
      texts.formUnion(header.value.split(separator: " ").dropFirst())
    }
    let query = endpoint.firstIndex(of: "?").map { endpoint[$0...].dropFirst() } ?? ""
    for pair in query.split(separator: "&") { texts.insert(pair.split(separator: "=", maxSplits: 1).last ?? "") }
    // Shorter ones stand in any text by chance.
    secrets = texts.map { Array($0.utf8) }.filter { $0.count >= 4 }.sorted { $0.count > $1.count }
  }

  /// The outcome with as many asterisks in the place of each secret, so that every message keeps its form.
  func hiding(_ outcome: AttemptOutcome) -> AttemptOutcome {
    guard !secrets.isEmpty else { return outcome }
    switch outcome {
    case .http(var response):
      response.body = hiding(response.body)
      response.headers = response.headers.map { HTTPHeader($0.name, hiding($0.value)) }
      return .http(response)
    case .grpc(var answer):
      answer.message = hiding(answer.message)
      answer.response = hiding(answer.response)
      return .grpc(answer)
    case .noAnswer: return outcome
    }
  }

  private func hiding(_ text: String) -> String { String(decoding: hiding(Array(text.utf8)), as: UTF8.self) }

  private func hiding(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for secret in secrets {
      var start = 0
      while start + secret.count <= bytes.count {
        if bytes[start] == secret[0], bytes[start..<(start + secret.count)].elementsEqual(secret) {
          for place in start..<(start + secret.count) { bytes[place] = UInt8(ascii: "*") }
          start += secret.count
        } else {
          start += 1
        }
      }
    }
    return bytes
  }
}
