"""Who does the reference job, and how each is started, scraped and heard. Every one is given the table, the same
rhythm, and a role of its own that may read the table and nothing else but the statistics."""
import os, pathlib, re, signal, subprocess, time, urllib.request

from . import kernel, programs
from .cluster import free_port, server_program

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
QUERIES = [
    "select status, count(*) from outbox_events where status in ('pending','processing','failed') group by status",
    "select coalesce(extract(epoch from now()-min(created_at)),0)::float8 from outbox_events where status='pending'",
    "select count(*) from outbox_events where status='processing' and updated_at < now() - interval '5 minutes'",
]


class Contestant:
    """A process that stays. `pushes` says whether its figures come to the receiver; the others are scraped."""

    pushes = True

    def __init__(self, name, program, arguments=(), environment=None, port=None, marks=()):
        self.name = name
        self.program = program
        self.command = [program, *arguments]
        self.environment = programs.environment(**(environment or {}))
        self.port = port
        self.marks = marks
        self.pushes = port is None

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def scrape(self):
        """The page of a contestant that is asked, or None while it has none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def first_sample(self, receiver):
        """Starts it; seconds from exec until all its figures are there."""
        received, begin = receiver.requests, time.perf_counter()
        self.start()
        if self.pushes:
            receiver.wait(received + 1, self.process)
            return receiver.arrivals[received] - begin
        while time.perf_counter() < begin + 30:
            page = self.scrape()
            if page and all(re.search(mark, page, re.M) for mark in self.marks):
                return time.perf_counter() - begin
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        raise RuntimeError(f"{self.name} shows no figures")

    def cycle(self):
        """What makes a contestant work that does not do so by itself; bytes that came of it."""
        return 0 if self.pushes else len(self.scrape() or "")

    def processor_time(self):
        return kernel.processor_time(self.pid)

    def memory(self):
        return kernel.memory(self.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def size(self):
        return os.path.getsize(os.path.realpath(self.program))


class ShellLoop(Contestant):
    """One psql for each cycle, as a script would."""

    pushes = False

    def __init__(self, name, url):
        super().__init__(name, server_program("psql"))
        self.pushes = False
        self.command += ["-XAtq", url] + [word for query in QUERIES for word in ("-c", query)]
        self.spent, self.peak, self.output = 0.0, {"VmRSS": 0}, 0

    def _run(self):
        self.start_process()
        output = self.process.stdout.read()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.spent += usage.ru_utime + usage.ru_stime
        self.peak["VmRSS"] = max(self.peak["VmRSS"], usage.ru_maxrss)
        return len(output)

    def start_process(self):
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=subprocess.PIPE)

    def first_sample(self, receiver):
        begin = time.perf_counter()
        self._run()
        return time.perf_counter() - begin

    def cycle(self):
        return self._run()

    def processor_time(self):
        return self.spent

    def memory(self):
        return self.peak

    def stop(self):
        pass


class Job:
    """Where the job is done and in which rhythm, in milliseconds."""

    def __init__(self, exporter, directory, cluster, receiver, interval=1000):
        self.exporter, self.directory, self.cluster, self.receiver = exporter, directory, cluster, receiver
        self.interval = interval

    def url(self, role):
        return self.cluster.url("outbox", role)

    def configuration(self, name, url):
        """A configuration of Benchmarks/peers with the addresses of this run."""
        text = (PEERS / name).read_text().replace("@URL@", url)
        text = text.replace("@ENDPOINT@", self.receiver.endpoint).replace("@INTERVAL@", f"{self.interval}ms")
        path = pathlib.Path(self.directory) / name
        path.write_text(text)
        return str(path)


EVERY_FIGURE = "outbox-exporter, every figure in every cycle"
AS_IT_COMES = "outbox-exporter"


def ours(job, name, *flags):
    path = job.configuration("outbox-exporter.yaml", job.url("ours"))
    return Contestant(name, job.exporter, ["--config", path, "--log-level", "error", *flags])


def floor(job):
    program = programs.compiled(PEERS / "floor.c", job.directory, ["libpq", "libcurl"])
    return Contestant("C program", program, [job.url("floor"), job.receiver.endpoint + "/v1/metrics", str(job.interval)])


def postgres_exporter(job):
    program = programs.peer("prometheus-postgres-exporter")
    if not program:
        return None
    port = free_port()
    said = subprocess.run([program, "--help"], capture_output=True, text=True)
    collectors = re.findall(r"^\s+--(?:\[no-\])?collector\.(\w+)\s", said.stdout + said.stderr, re.M)
    return Contestant(
        "postgres_exporter", program,
        [f"--web.listen-address=127.0.0.1:{port}", "--config.file=/dev/null", "--disable-default-metrics",
         "--disable-settings-metrics", f"--extend.query-path={PEERS}/postgres_exporter.yaml", "--log.level=error",
         *(f"--no-collector.{name}" for name in collectors)],
        {"DATA_SOURCE_NAME": job.url("postgres_exporter")}, port,
        [r"^outbox_depth_rows.* \d", r"^outbox_oldest_pending_age_seconds.* \d", r"^outbox_stuck_rows.* \d"])


def sql_exporter(job):
    program = programs.peer("prometheus-sql-exporter")
    if not program:
        return None
    port = free_port()
    path = job.configuration("sql_exporter.yml", job.url("sql_exporter").replace("postgresql:", "postgres:"))
    return Contestant(
        "sql_exporter", program, [f"-config.file={path}", f"-web.listen-address=127.0.0.1:{port}"], {}, port,
        [r"^sql_outbox_depth\{.* \d", r"^sql_outbox_oldest_pending_age_seconds\{.* \d", r"^sql_outbox_stuck\{.* \d"])


def collector(job):
    """The first Collector on PATH that has the sqlquery receiver. The distribution has none that does."""
    for name in ("otelcol-contrib", "otelcol-sqlquery", "otelcol"):
        program = programs.peer(name)
        if program and "sqlquery" in subprocess.run([program, "components"], capture_output=True, text=True).stdout:
            path = job.configuration("otelcol.yaml", job.url("collector"))
            return Contestant("OpenTelemetry Collector", program, ["--config", path])
    return None


ROLES = ["ours", "floor", "postgres_exporter", "sql_exporter", "collector", "psql"]


def everybody(job):
    """All that can be had on this machine, this project's exporter first and the floor after it."""
    all = [ours(job, EVERY_FIGURE, "--database-share", "100%"), ours(job, AS_IT_COMES), floor(job), postgres_exporter(job), sql_exporter(job), collector(job),
           ShellLoop("psql in a loop", job.url("psql"))]
    return [contestant for contestant in all if contestant]


def prepare(cluster):
    """The reference table, and a role for each contestant."""
    cluster.sql("CREATE DATABASE outbox")
    cluster.sql((PEERS / "reference.sql").read_text(), "outbox")
    for role in ROLES:
        cluster.sql(f"CREATE ROLE {role} LOGIN IN ROLE exporter", "outbox")
