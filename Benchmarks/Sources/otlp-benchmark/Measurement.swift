import CBaseline
import Glibc

/// Seconds of processor time of this thread.
func threadTime() -> Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

/// Seconds of processor time of this process, all threads.
func processTime() -> Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }

/// Seconds on the clock.
func wallTime() -> Double { seconds(CLOCK_MONOTONIC) }

private func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The allocations of one call; the least of three, since the first may fill caches.
func allocations(_ work: () -> Void) -> UInt64 {
  (0..<3).map { _ in
    let before = baseline_allocations()
    work()
    return baseline_allocations() - before
  }.min()!
}

/// Two pieces of work in turn, the first of each pair by turns too: the median time of each, and the median ratio.
func compare(_ pairs: Int, _ first: () -> Void, _ second: () -> Void) -> (first: Double, second: Double, ratio: Double)
{
  var times: (first: [Double], second: [Double]) = ([], [])
  func time(_ work: () -> Void) -> Double {
    let start = threadTime()
    work()
    return threadTime() - start
  }
  first()
  second()
  for pair in 0..<pairs {
    if pair % 2 == 0 {
      times.first.append(time(first))
      times.second.append(time(second))
    } else {
      times.second.append(time(second))
      times.first.append(time(first))
    }
  }
  return (median(times.first), median(times.second), median(zip(times.first, times.second).map { $0 / $1 }))
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
