import Outbox

extension Layout {
  /// OpenClaw's outbound queue of the time before it moved into SQLite: one JSON file for each message.
  package static let openClawFiles = Layout(
    name: "openclaw-files",
    summary: "OpenClaw until mid-2026: ~/.openclaw/delivery-queue, one JSON file per outbound message",
    systems: [.files],
    directory: DirectoryQueue(
      fileSuffix: ".json",
      deadDirectory: "failed",
      fields: openClawFields,
      // computeBackoffMs(retryCount + 1) in isEntryEligibleForRecoveryRetry.
      backoff: [.seconds(5), .seconds(25), .seconds(120), .seconds(600)],
      maxAttempts: 5,
      claimedStates: ["send_attempt_started": .leaseExpired, "unknown_after_send": .unclaimable],
      lease: .seconds(300),
      deliveredSuffix: ".delivered"),
    createdLazily: true,
    limits: openClawLimits,
    sources: [
      "openclaw/openclaw 00c4361a src/infra/outbound/delivery-queue.ts",
      "openclaw/openclaw 984135b0 src/infra/outbound/delivery-queue-storage.ts, delivery-queue-recovery.ts",
    ],
    notes: openClawNotes + [
      "An event with 5 failed attempts is moved to failed/ only by the next recovery; once its back-off is over it "
        + "counts as stuck (attempts_exhausted).",
      "unknown_after_send: nobody knows whether the message arrived, and it is not sent again blindly. After 5 minutes "
        + "without a sign of life it counts as stuck (unclaimable).",
    ])

  /// The queue beside it, with the messages for OpenClaw's own sessions. The same files, a shorter back-off.
  package static let openClawSessionFiles = Layout(
    name: "openclaw-session-files",
    summary: "OpenClaw until mid-2026: ~/.openclaw/session-delivery-queue, one JSON file per session message",
    systems: [.files],
    directory: DirectoryQueue(
      fileSuffix: ".json",
      deadDirectory: "failed",
      fields: openClawFields,
      // computeSessionDeliveryBackoffMs(retryCount) in isSessionDeliveryEligibleForRetry; the maximum is each entry's.
      backoff: [.zero, .seconds(5), .seconds(25), .seconds(120), .seconds(600)],
      maxAttempts: nil,
      claimedStates: ["send_attempt_started": .leaseExpired, "unknown_after_send": .unclaimable],
      lease: .seconds(300),
      deliveredSuffix: ".delivered"),
    createdLazily: true,
    limits: openClawLimits,
    sources: ["openclaw/openclaw 08495516 src/infra/session-delivery-queue-storage.ts, -recovery.ts"],
    notes: openClawNotes + [
      "One version removes files from failed/ after 14 days and stops queueing at 10 000 files: fewer dead events is "
        + "not a recovery."
    ])

  private static let openClawFields = DirectoryQueue.Fields(
    id: ["id"],
    created: ["enqueuedAt", "createdAt"],
    attempts: ["retryCount", "attempt"],
    lastAttempt: ["lastAttemptAt"],
    claimed: ["platformSendStartedAt"],
    recoveryState: ["recoveryState"],
    destination: ["channel", "route.channel", "deliveryContext.channel"])

  // The five back-offs add up to 12.5 minutes: a message that is older waits for something that does not come.
  private static let openClawLimits = Limits(
    age: .init(warning: .seconds(900), critical: .seconds(1_800)), stuck: .init(warning: 1), dead: .init(warning: 1))

  private static let openClawNotes = [
    "The directories are open to OpenClaw's own user only: run the exporter as that user, or as root.",
    "An error while a message is written to the queue is swallowed by OpenClaw: such a message leaves no file, and "
      + "nobody can count it.",
    "Failed messages are tried again when the gateway starts or a channel reconnects, not while it just runs: a ready "
      + "event with retries can wait for ever. The age says more than the count.",
    "Nothing on disk marks an event that is being tried for the first time; it is ready. claimed is what later "
      + "versions mark before they hand a message over.",
    "failed/ is never emptied by OpenClaw. A message that failed for good at once carries no time; the file's own "
      + "modification time then stands for the moment it died.",
    "A file that is no JSON object is skipped by OpenClaw in silence and never leaves: it counts as unknown, as do "
      + "links and files above 1 MiB, which are not read; with the latter the sample says that it is not exact.",
    "Delivered messages leave no trace; *.delivered files are markers of them, *.tmp files are being written.",
    "While it runs, the exporter sees each message delivered (the file becomes *.delivered, then goes), retried and dead. "
      + "The first versions with a queue remove the file of a delivered message without a marker, as a person does who "
      + "deletes it and as the move into SQLite does: that counts as unseen. With such a version, copy this layout and "
      + "set removal to delivered.",
  ]
}
