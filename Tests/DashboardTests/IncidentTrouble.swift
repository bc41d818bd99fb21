/// One thing that goes wrong in an incident, and is put right.
struct IncidentTrouble: Sendable {
  let name: String
  /// The alerts that it raises, all of them.
  let alerts: Set<String>
  /// The worst verdict on each outbox that it is about, as the dashboards number it.
  let conditions: [String: ClosedRange<Double>]
  /// What may be pending besides while it begins and while it ends, and does not fire.
  var passing: Set<String> = []
  let begin: @Sendable (Incident) throws -> Void
  let repair: @Sendable (Incident) throws -> Void

  /// The far side of one destination refuses everything.
  static let channelDown = IncidentTrouble(
    name: "channel down",
    alerts: [
      "OutboxDeliveryFailing warning orders/sms", "OutboxRetryStorm warning orders/sms",
      "OutboxOldestEventTooOld warning orders/sms", "OutboxOldestEventTooOld critical orders/sms",
      "OutboxVerdictBad warning orders/sms spinning", "OutboxDeliveryBudgetBurn critical orders",
      "OutboxDeliveryBudgetBurn warning orders",
    ], conditions: ["orders": Condition.spinning...Condition.spinning],
    passing: passingVerdicts(on: "orders", "orders/sms")
  ) {
    try $0.store.change("orders", "UPDATE destinations SET refuses = true WHERE outbox = 'orders' AND topic = 'sms'")
  } repair: {
    try $0.store.change("orders", "UPDATE destinations SET refuses = false WHERE outbox = 'orders'")
  }

  /// A third of what arrives is refused for good, and a dead letter of long ago comes to light.
  static let deadLetters = IncidentTrouble(
    name: "dead letters",
    alerts: [
      "OutboxDeadLettersArriving warning letters/partner", "OutboxDeliveryFailing warning letters/partner",
      "OutboxDeadLettersUnattended info letters",
    ], conditions: ["letters": Condition.idle...Condition.ok]
  ) {
    let (died, made) = ($0.pace.seconds(25 * 60), $0.pace.seconds(26 * 60))
    try $0.store.change(
      "letters",
      """
      UPDATE destinations SET poison = 0.3 WHERE outbox = 'letters';
      INSERT INTO letters (topic, status, attempts, finished_at, created_at)
      VALUES ('partner', 'dead', 1, now() - interval '\(died) s', now() - interval '\(made) s');
      INSERT INTO truth VALUES ('letters', 'partner', 'enqueued', 1), ('letters', 'partner', 'dead', 1);
      """)
  } repair: {
    try $0.store.change(
      "letters",
      """
      UPDATE destinations SET poison = 0 WHERE outbox = 'letters';
      DELETE FROM letters WHERE status = 'dead';
      """)
  }

  /// The only worker is killed.
  static let deadWorker = IncidentTrouble(
    name: "dead worker",
    alerts: [
      "OutboxWorkerDead critical bots/telegram", "OutboxOldestEventTooOld warning bots/telegram",
      "OutboxOldestEventTooOld critical bots/telegram", "OutboxBacklogNotDraining warning bots/telegram",
      "OutboxVerdictBad warning bots/telegram stalled",
    ], conditions: ["bots": Condition.stalled...Condition.stalled],
    // A worker that has just died was at work in the first of the three windows, in which the backlog grew already.
    passing: passingVerdicts(on: "bots", "bots/telegram").union(["OutboxBacklogGrowing warning bots/telegram"])
  ) {
    $0.store.kill("bots-1")
  } repair: {
    try $0.store.begin()
  }

  /// One of two workers is killed with events in its hands, and nobody takes them back. The verdict is `stuck` after three
  /// minutes by the clock, which nothing divides; until then it sees that the oldest event stays.
  static let stuckClaims = IncidentTrouble(
    name: "stuck claims",
    alerts: [
      "OutboxEventsStuck warning jobs/webhook lease_expired", "OutboxOldestEventTooOld warning jobs/webhook",
      "OutboxOldestEventTooOld critical jobs/webhook", "OutboxVerdictBad warning jobs/webhook falling_behind",
    ], conditions: ["jobs": Condition.fallingBehind...Condition.fallingBehind],
    passing: passingVerdicts(on: "jobs", "jobs/webhook")
  ) {
    try $0.store.change("jobs", "UPDATE outboxes SET reaper = false WHERE name = 'jobs'")
    try $0.store.kill("jobs-1", of: "jobs", holding: 2)
  } repair: {
    try $0.store.change("jobs", "UPDATE outboxes SET reaper = true WHERE name = 'jobs'")
    try $0.store.begin()
  }

  /// More arrives than the worker can take.
  static let slowWorker = IncidentTrouble(
    name: "slow worker",
    alerts: [
      "OutboxBacklogGrowing warning reports/archive", "OutboxBacklogNotDraining warning reports/archive",
      "OutboxOldestEventTooOld warning reports/archive", "OutboxOldestEventTooOld critical reports/archive",
      "OutboxVerdictBad warning reports/archive falling_behind",
    ], conditions: ["reports": Condition.fallingBehind...Condition.fallingBehind],
    passing: passingVerdicts(on: "reports", "reports/archive")
  ) {
    try $0.store.change("reports", "UPDATE destinations SET rate = 20 WHERE outbox = 'reports'")
  } repair: {
    try $0.store.change("reports", "UPDATE destinations SET rate = 2 WHERE outbox = 'reports'")
    try $0.store.begin("reports-2", of: "reports", taking: 60)
  }

  /// A database server is stopped, and with it the application that uses it.
  static let storeDown = IncidentTrouble(
    name: "store down", alerts: ["OutboxStoreUnreachable critical billing"],
    conditions: ["billing": Condition.notRead...Condition.notRead]
  ) {
    try $0.store.stopServerApart()
    $0.readable.remove("billing")
  } repair: {
    try $0.store.startServerApart()
    $0.readable.insert("billing")
  }

  /// What writes to an outbox has stopped, which had been busy at this time last week.
  static let arrivalsMissing = IncidentTrouble(
    name: "arrivals missing", alerts: ["OutboxArrivalsMissing warning imports"],
    conditions: ["imports": Condition.idle...Condition.ok]
  ) {
    try $0.store.change("imports", "UPDATE destinations SET rate = 0 WHERE outbox = 'imports'")
  } repair: {
    try $0.store.change("imports", "UPDATE destinations SET rate = 4 WHERE outbox = 'imports'")
  }

  /// One of those that the exporter sends to is stopped for longer than the spool has room.
  static let collectorDown = IncidentTrouble(
    name: "collector down", alerts: ["OutboxSamplesDropped warning full"], conditions: [:]
  ) {
    $0.collector.stop()
  } repair: {
    try $0.collector.start()
  }

  /// Every verdict that may be passing on a destination, or on its outbox as a whole, while that gets into trouble or out of
  /// it: a trend takes some samples to be seen, which is why the alert waits.
  static func passingVerdicts(on places: String...) -> Set<String> {
    Set(
      places.flatMap { place in
        ["falling_behind", "spinning", "stalled", "stuck"].map { "OutboxVerdictBad warning \(place) \($0)" }
      })
  }

  /// All troubles, those of each list at once: what is over within three minutes by the clock, and what takes an hour and
  /// more of the rehearsal.
  static let together = [
    [channelDown, deadWorker, stuckClaims, slowWorker, storeDown], [deadLetters, arrivalsMissing, collectorDown],
  ]
  /// One after the other, but for those that take long.
  static let apart = together[0].map { [$0] } + [together[1]]

  /// Conditions as the dashboards number them.
  enum Condition {
    static let (idle, ok, fallingBehind) = (1.0, 2.0, 4.0)
    static let (spinning, stalled, notRead, silent) = (7.0, 8.0, 9.0, 10.0)
  }
}
