internal import Outbox
internal import SQLiteClient

/// A request that waits, compressed as it will be sent.
struct QueuedRequest: Sendable, Hashable {
  var body: [UInt8]
  var encoding = OTLPEncoding.protobuf
  var compression = OTLPDestination.Compression.none
  var pointCount: Int
  /// When it was handed over.
  var created: Timestamp
}

/// Requests of one destination, oldest first, bounded in bytes and age. A newer one never overtakes an older one:
/// Prometheus refuses samples that are older than what a series has.
///
/// Each request is in the spool, or in memory where there is none or where it cannot be written. What the spool could
/// not be told is told with its next transaction; until then the figures here are ahead of it.
struct DeliveryQueue {
  /// What left the queue.
  struct Departure: Sendable, Hashable {
    var pointCount: Int
    /// Attempts so far began at this time of the monotonic clock.
    var firstAttempt: Int64?
    var reason: DropReason?
  }

  private enum Place {
    case memory([UInt8])
    case spool(Int64)
  }

  private struct Entry {
    var place: Place
    var byteCount: Int
    var pointCount: Int
    var encoding: OTLPEncoding
    var compression: OTLPDestination.Compression
    var created: Timestamp
    var firstAttempt: Int64?

    var isSpooled: Bool { if case .spool = place { true } else { false } }
  }

  let limit: Int
  let ageLimit: Duration?
  /// Bytes that wait in memory.
  private(set) var byteCount = 0
  private(set) var spooledByteCount = 0
  private(set) var pointCount = 0
  /// Data points that were dropped since ``start``.
  private(set) var dropped: [DropReason: Int] = [:]
  private(set) var start: Timestamp
  /// Why the spool is not written at the moment.
  private(set) var spoolError: SQLiteError?
  /// The oldest request is being sent; it stays until its outcome is known.
  var isHeadOnWire = false

  private var entries: [Entry] = []
  private var spool: (file: SpoolFile, limit: Int)?
  private var unsettled: [SpoolRemoval] = []

  init(limit: Int, ageLimit: Duration? = nil, start: Timestamp) {
    self.limit = limit
    self.ageLimit = ageLimit
    self.start = start
  }

  /// Goes on with what a spool holds. Only for a queue that is empty.
  mutating func use(_ file: SpoolFile, limit: Int) {
    spool = (file, limit)
    start = file.start
    dropped = file.dropped
    for request in file.found {
      add(
        Entry(
          place: .spool(request.id), byteCount: request.byteCount, pointCount: request.pointCount,
          encoding: request.encoding, compression: request.compression, created: request.created))
    }
  }

  var isEmpty: Bool { entries.isEmpty }

  var count: Int { entries.count }

  /// The data points of the oldest request.
  var headPointCount: Int { entries.first?.pointCount ?? 0 }

  /// The limits in bytes, for people.
  var limitText: String {
    spool.map { "\($0.limit) bytes in the spool or \(limit) in memory" } ?? "\(limit) bytes"
  }

  /// When the oldest request was handed over.
  var oldest: Timestamp? { entries.first?.created }

  /// Points that the spool keeps when the process ends.
  var spooledPointCount: Int { entries.reduce(0) { $0 + ($1.isSpooled ? $1.pointCount : 0) } }

  /// The oldest request; nil where there is none, or where it cannot be read any more: then it has to be dropped as
  /// corrupt.
  func head() -> QueuedRequest? {
    guard let entry = entries.first else { return nil }
    let body: [UInt8]? =
      switch entry.place {
      case .memory(let body): body
      case .spool(let id): (try? spool?.file.body(id)) ?? nil
      }
    return body.map {
      QueuedRequest(
        body: $0, encoding: entry.encoding, compression: entry.compression, pointCount: entry.pointCount,
        created: entry.created)
    }
  }

  /// Appends the requests of a batch and drops what is then beyond the limits. The newest always stays.
  ///
  /// - Parameter told: what the destination was told of series once these are delivered, kept in the same commit.
  mutating func append(_ requests: [QueuedRequest], told: [String: String?] = [:]) -> [Departure] {
    var places = requests.map { Place.memory($0.body) }
    if let spool {
      do throws(SQLiteError) {
        places = try spool.file.append(requests, told: told).map { .spool($0) }
        spoolError = nil
      } catch {
        spoolError = error
      }
    }
    for (request, place) in zip(requests, places) {
      add(
        Entry(
          place: place, byteCount: request.body.count, pointCount: request.pointCount, encoding: request.encoding,
          compression: request.compression, created: request.created))
    }
    return requests.last.map { enforceLimits(at: $0.created) } ?? []
  }

  /// Drops what has waited too long, and the oldest until the rest fits.
  mutating func enforceLimits(at now: Timestamp) -> [Departure] {
    var departures: [Departure] = []
    let first = isHeadOnWire ? 1 : 0
    if let ageLimit {
      while entries.count > first, now.since(entries[first].created) > ageLimit {
        departures.append(take(at: first, .tooOld))
      }
    }
    while byteCount > limit, let index = oldest(from: first, spooled: false), index < entries.count - 1 {
      departures.append(take(at: index, .full))
    }
    while let spool, spooledByteCount > spool.limit, let index = oldest(from: first, spooled: true),
      index < entries.count - 1
    {
      departures.append(take(at: index, .full))
    }
    settle()
    return departures
  }

  /// Notes when the first attempt to send the oldest request began.
  mutating func noteAttempt(at time: Int64) {
    if entries[0].firstAttempt == nil { entries[0].firstAttempt = time }
    isHeadOnWire = true
  }

  /// Removes the oldest request, of which so many points were lost.
  ///
  /// - Parameters:
  ///   - reason: why points were lost; nil where all of them arrived.
  ///   - lost: how many of them; nil for all.
  @discardableResult
  mutating func removeHead(_ reason: DropReason? = nil, lost: Int? = nil) -> Departure {
    isHeadOnWire = false
    let departure = take(at: 0, reason, lost: lost)
    settle()
    return departure
  }

  /// Removes what waits in memory, for the end of the process; what is in the spool stays.
  mutating func abandonMemory() -> [Departure] {
    isHeadOnWire = false
    var departures: [Departure] = []
    while let index = oldest(from: 0, spooled: false) { departures.append(take(at: index, nil)) }
    return departures
  }

  /// Counts points that never became part of a request.
  mutating func countDropped(_ points: Int, _ reason: DropReason) {
    dropped[reason, default: 0] += points
    note(SpoolRemoval(reason: reason, points: points))
    settle()
  }

  private func oldest(from first: Int, spooled: Bool) -> Int? {
    entries.indices.dropFirst(first).first { entries[$0].isSpooled == spooled }
  }

  private mutating func add(_ entry: Entry) {
    entries.append(entry)
    pointCount += entry.pointCount
    if entry.isSpooled { spooledByteCount += entry.byteCount } else { byteCount += entry.byteCount }
  }

  private mutating func take(at index: Int, _ reason: DropReason?, lost: Int? = nil) -> Departure {
    let entry = entries.remove(at: index)
    pointCount -= entry.pointCount
    let points = reason == nil ? 0 : lost ?? entry.pointCount
    if let reason { dropped[reason, default: 0] += points }
    var removal = SpoolRemoval(reason: reason, points: points)
    if case .spool(let id) = entry.place {
      spooledByteCount -= entry.byteCount
      removal.id = id
    } else {
      byteCount -= entry.byteCount
    }
    note(removal)
    return Departure(pointCount: entry.pointCount, firstAttempt: entry.firstAttempt, reason: reason)
  }

  private mutating func note(_ removal: SpoolRemoval) {
    if spool != nil, removal.id != nil || removal.reason != nil { unsettled.append(removal) }
  }

  /// Tells the spool, in one transaction, what left and what was lost.
  private mutating func settle() {
    guard let spool, !unsettled.isEmpty else { return }
    do throws(SQLiteError) {
      try spool.file.remove(unsettled)
      unsettled = []
      spoolError = nil
    } catch {
      spoolError = error
    }
  }
}
