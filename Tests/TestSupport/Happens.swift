/// Waits until a condition holds without holding the thread, which what it waits for may need; false where it does not
/// within the limit. For readiness only, never as an assertion about speed.
package func happens(within limit: Duration = .seconds(60), _ condition: () async throws -> Bool) async rethrows
  -> Bool
{
  let end = ContinuousClock.now + limit
  while try await !condition() {
    if ContinuousClock.now >= end { return false }
    try? await Task.sleep(for: .milliseconds(2))
  }
  return true
}
