"""What the kernel says of a process. Nothing is taken from a program's own figures."""
import os, pathlib, re, time

TICK = os.sysconf("SC_CLK_TCK")


def processor_time(process):
    """Seconds, exact to the scheduler's nanosecond (clock_getcpuclockid(3)); None when the process is gone."""
    try:
        return time.clock_gettime_ns((~process << 3) | 2) / 1e9
    except OSError:
        return None


def reaped_time(process):
    """Seconds of the children that a process has waited for, in ticks."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICK


def children(process):
    text = "".join(path.read_text() for path in pathlib.Path(f"/proc/{process}/task").glob("*/children"))
    return [int(word) for word in text.split()]


def memory(process):
    """Kilobytes by the names of proc(5): VmRSS, VmHWM, RssAnon, RssFile, …"""
    text = pathlib.Path(f"/proc/{process}/status").read_text()
    return {key: int(value) for key, value in re.findall(r"(\w+):\s+(\d+) kB", text)}
