"""A PostgreSQL cluster that lives as long as a benchmark."""
import os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, time

from . import kernel


def server_program(name):
    """A program of PostgreSQL's server, which Debian keeps off PATH; of the newest version that is installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    path = str(found[0]) if found else shutil.which(name)
    return path or sys.exit(f"{name} is not installed; scripts/bootstrap installs PostgreSQL")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """PostgreSQL on a loopback port and a socket, with a superuser `postgres` and no passwords."""

    def __init__(self, settings=""):
        # PostgreSQL refuses to run as root.
        self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        self.home = tempfile.mkdtemp(prefix="outbox-bench-")
        os.chmod(self.home, 0o755)
        self.directory = f"{self.home}/pg"
        os.mkdir(self.directory)
        if self.user:
            shutil.chown(self.directory, "nobody", "nogroup")
        self.port = free_port()
        self._settings = settings
        self._server = None

    def __enter__(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.directory}
        subprocess.run(
            [server_program("initdb"), "-D", f"{self.directory}/db", "-A", "trust", "-U", "postgres", "-E", "UTF8",
             "--locale=C", "--no-sync"], check=True, **quiet, **self.user)
        with open(f"{self.directory}/db/postgresql.conf", "a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.directory}'\n"
                "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 4GB\njit = off\n"
                f"shared_buffers = 512MB\n{self._settings}\n")
        with open(f"{self.home}/log", "w") as log:
            self._server = subprocess.Popen(
                [server_program("postgres"), "-D", f"{self.directory}/db"], stdout=log, stderr=log,
                cwd=self.directory, **self.user)
        while subprocess.run(self._psql("postgres") + ["-c", "SELECT"], **{**quiet, "cwd": None}).returncode:
            if self._server.poll() is not None:
                sys.exit("PostgreSQL did not start: " + pathlib.Path(f"{self.home}/log").read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _psql(self, database, user="postgres"):
        return [server_program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p", str(self.port),
                "-U", user, database]

    def sql(self, text, database="postgres"):
        result = subprocess.run(self._psql(database), input=text, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"psql: {result.stderr}")
        return result.stdout.strip()

    def url(self, database, user="postgres"):
        """Over TCP, as every peer connects."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def conninfo(self, database, user="postgres"):
        """Over the socket."""
        return f"host={self.directory} port={self.port} user={user} dbname={database}"

    def session(self, database):
        """A psql that runs what it is told, and answers line by line."""
        return subprocess.Popen(
            self._psql(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def processor_time(self, without=None):
        """Seconds that all processes of the cluster have used since it started, ended sessions included; all but one."""
        total = kernel.reaped_time(self._server.pid)
        for process in [self._server.pid, *kernel.children(self._server.pid)]:
            if process != without:
                total += kernel.processor_time(process) or 0
        return total

    @property
    def version(self):
        return self.sql("SHOW server_version").split()[0]
