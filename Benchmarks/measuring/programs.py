"""The programs that are measured."""
import os, pathlib, platform, shutil, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def exporter(directory):
    """A stripped copy of the release, as it is shipped. OUTBOX_RELEASE_BINARY names one that is built already."""
    binary = os.environ.get("OUTBOX_RELEASE_BINARY")
    if not binary:
        print("building the release …", file=sys.stderr)
        build = subprocess.run([ROOT / "scripts/build"], check=True, capture_output=True, text=True)
        binary = build.stdout.strip()
    stripped = shutil.copy(binary, f"{directory}/outbox-exporter")
    subprocess.run(["strip", stripped], check=True)
    return stripped


def compiled(source, directory, libraries=(), flags=()):
    """A C program of this directory, compiled."""
    path = f"{directory}/{pathlib.Path(source).stem}"
    found = []
    if libraries:
        found = subprocess.run(["pkg-config", "--cflags", "--libs", *libraries], check=True, capture_output=True,
                               text=True).stdout.split()
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", *flags, "-o", path, str(source), *found], check=True)
    return path


def peer(name):
    """A peer's program: on PATH, or where scripts/bootstrap --peers puts it; None where it is nowhere."""
    return shutil.which(name, path=f"{os.environ['PATH']}:{ROOT}/.build/components")


def environment(**variables):
    """Nothing but what a program needs."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}


def machine():
    """One line about where it ran."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release().split('-')[0]}"
