/// How a call ended (gRPC, "Status codes and their use in gRPC").
package enum GRPCStatus: Int, Sendable, Hashable, CaseIterable {
  /// It worked.
  case ok = 0
  /// Somebody took it back.
  case cancelled
  /// Nobody says why.
  case unknown
  /// The request is wrong, whatever the state of the server.
  case invalidArgument
  /// Not within the time.
  case deadlineExceeded
  /// What was asked for is not there.
  case notFound
  /// What was to be made is there already.
  case alreadyExists
  /// The caller may not do this.
  case permissionDenied
  /// A quota, or a size.
  case resourceExhausted
  /// The server is not in the state for it.
  case failedPrecondition
  /// A conflict with another call.
  case aborted
  /// Past the end of something.
  case outOfRange
  /// There is no such method.
  case unimplemented
  /// Something that should hold does not.
  case `internal`
  /// The server cannot be reached or is too busy.
  case unavailable
  /// What was kept is damaged.
  case dataLoss
  /// The credentials are missing or wrong.
  case unauthenticated

  /// The name as gRPC spells it: `DEADLINE_EXCEEDED`.
  package var name: String {
    self == .ok ? "OK" : "\(self)".reduce(into: "") { $0 += $1.isUppercase ? "_\($1)" : $1.uppercased() }
  }

  /// What an HTTP status means where the answer has no status of gRPC (grpc/doc/http-grpc-status-mapping.md).
  package init(httpStatus: Int) {
    switch httpStatus {
    case 400, 431: self = .internal
    case 401: self = .unauthenticated
    case 403: self = .permissionDenied
    case 404: self = .unimplemented
    case 429, 502, 503, 504: self = .unavailable
    default: self = .unknown
    }
  }

  /// What the end of a stream without trailers means (gRPC over HTTP/2, "Errors"; the codes are of RFC 9113 §7).
  package init(streamErrorCode: UInt32) {
    switch streamErrorCode {
    case 0x7: self = .unavailable
    case 0x8: self = .cancelled
    case 0xb: self = .resourceExhausted
    case 0xc: self = .permissionDenied
    default: self = .internal
    }
  }
}
