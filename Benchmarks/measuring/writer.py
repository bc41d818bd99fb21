"""Somebody who writes beside whoever is measured."""
import threading


class Writer:
    """A session that commits one small transaction after another, into a table that nobody watches. What its own process uses
    is not to be counted with the rest of the server's."""

    def __init__(self, cluster, database, seconds=0.1):
        cluster.sql("CREATE TABLE IF NOT EXISTS beside_the_outbox (at timestamptz NOT NULL DEFAULT now())", database)
        self._session = cluster.session(database)
        self._session.stdin.write("SELECT pg_backend_pid();\n")
        self.process = int(self._session.stdout.readline())
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self):
        while not self._stopped.wait(self._seconds):
            self._session.stdin.write("INSERT INTO beside_the_outbox DEFAULT VALUES;\n")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()
        self._session.stdin.close()
        self._session.wait()
