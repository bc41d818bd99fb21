import CSystem
import Glibc

/// How many columns the C library says a character takes on a terminal that speaks UTF-8 (wcwidth(3)); nil for one that
/// it cannot print.
package func terminalColumns(of scalar: Unicode.Scalar) -> Int? {
  guard let utf8 = unsafe utf8 else { return nil }
  let before = unsafe uselocale(utf8)
  defer { unsafe uselocale(before) }
  let columns = Int(wcwidth(wchar_t(scalar.value)))
  return columns < 0 ? nil : columns
}

nonisolated(unsafe) private let utf8 = unsafe newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
