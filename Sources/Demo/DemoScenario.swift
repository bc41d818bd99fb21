/// The story that the demo tells: what the worker does in which second.
package struct DemoScenario: Sendable {
  /// One chapter.
  package struct Phase: Sendable {
    /// What is going on, in a few words.
    package let title: String
    /// What to look at.
    package let sentence: String
    /// How long it lasts.
    package let seconds: Int
    /// Events written per second, over all channels.
    package let arrivals: Int
    /// Events that the worker can handle per second; nil while it is dead.
    package let capacity: Int?
    /// The channel that refuses everything, if one does.
    package let brokenChannel: String?
  }

  /// The channels of the demo's outbox.
  package static let channels = ["email", "slack", "webhook"]

  /// The chapters, in order.
  package static let phases = [
    Phase(
      title: "healthy", sentence: "The worker keeps up: what is written is delivered at once.",
      seconds: 7, arrivals: 12, capacity: 40, brokenChannel: nil),
    Phase(
      title: "slow worker", sentence: "The worker handles less than arrives: the backlog and its age grow.",
      seconds: 9, arrivals: 12, capacity: 6, brokenChannel: nil),
    Phase(
      title: "dead worker",
      sentence: "The worker died with events in hand. Their leases run out: they are stuck.",
      seconds: 11, arrivals: 8, capacity: nil, brokenChannel: nil),
    Phase(
      title: "channel down",
      sentence: "A new worker drains, but webhook refuses: events are tried again, then dead.",
      seconds: 14, arrivals: 8, capacity: 60, brokenChannel: "webhook"),
    Phase(
      title: "recovered", sentence: "webhook answers again. What is dead stays dead until a person steps in.",
      seconds: 8, arrivals: 12, capacity: 60, brokenChannel: nil),
  ]

  /// How long the whole story is.
  package static let seconds = phases.reduce(0) { $0 + $1.seconds }

  /// The chapter at a second of the story; nil once it is over.
  package static func phase(at second: Int) -> Phase? {
    var end = 0
    for phase in phases {
      end += phase.seconds
      if second < end { return phase }
    }
    return nil
  }
}
