internal import GRPCClient
internal import HTTPClient

/// Hides what the requests of a destination hold as credentials: a server may repeat it in its answer ("token … has
/// expired"), and what a server says is logged.
struct SecretMask: Sendable, Hashable {
  private let secrets: [[UInt8]]

  /// - Parameters:
  ///   - headers: those of the user; of a value such as `Bearer abcd` its second word is a secret too, and of `Basic` the
  ///     user and the password that it encodes.
  ///   - endpoint: a query may hold a token.
  init(headers: [HTTPHeader], endpoint: String) {
    var texts: Set<[UInt8]> = []
    for header in headers {
      texts.insert(Array(header.value.utf8))
      for word in header.value.split(separator: " ").dropFirst() {
        texts.insert(Array(word.utf8))
        guard header.value.lowercased().hasPrefix("basic "), let pair = MetadataText.base64Decoded(String(word)) else {
          continue
        }
        texts.insert(pair)
        texts.formUnion(pair.split(separator: UInt8(ascii: ":"), maxSplits: 1).dropFirst().map(Array.init))
      }
    }
    let query = endpoint.firstIndex(of: "?").map { endpoint[$0...].dropFirst() } ?? ""
    for pair in query.split(separator: "&") {
      let value = String(pair.split(separator: "=", maxSplits: 1).last ?? "")
      texts.formUnion([Array(value.utf8), Array(MetadataText.percentDecoded(value).utf8)])
    }
    // Shorter ones stand in any text by chance.
    secrets = texts.filter { $0.count >= 4 }.sorted { $0.count > $1.count }
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

  /// The verdict with as many asterisks in the place of each secret: in JSON a server may write it in another form than the
  /// one that is found in the bytes. Short ones could stand in our own advice.
  func hiding(_ verdict: DeliveryVerdict) -> DeliveryVerdict {
    switch verdict {
    case .delivered(let rejected, let message):
      return .delivered(rejected: rejected, message: hiding(message, ofAtLeast: 8))
    case .retry(var failure, let serverDelay):
      failure.message = hiding(failure.message, ofAtLeast: 8)
      return .retry(failure, serverDelay: serverDelay)
    case .drop(var failure):
      failure.message = hiding(failure.message, ofAtLeast: 8)
      return .drop(failure)
    }
  }

  private func hiding(_ text: String, ofAtLeast length: Int = 0) -> String {
    String(decoding: hiding(Array(text.utf8), ofAtLeast: length), as: UTF8.self)
  }

  private func hiding(_ bytes: [UInt8], ofAtLeast length: Int = 0) -> [UInt8] {
    var bytes = bytes
    for secret in secrets where secret.count >= length {
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
