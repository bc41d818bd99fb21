import CSystem
import Glibc

/// Runs a closure as somebody who owns nothing. File permissions mean nothing to root, so where the tests run as root
/// this thread reads files as user 65534 meanwhile (setfsuid(2), which also takes away the capabilities to override
/// permissions). Elsewhere the tests' own user is already nobody special, as long as the files' owner has no access.
package func withoutFilePrivileges<Result>(_ body: () throws -> Result) rethrows -> Result {
  guard geteuid() == 0 else { return try body() }
  setfsuid(65_534)
  defer { setfsuid(0) }
  return try body()
}
