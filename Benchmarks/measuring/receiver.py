"""An OTLP endpoint that takes everything and counts it."""
import http.server, threading, time


class Receiver:
    """Listens on a loopback port until the benchmark ends."""

    def __init__(self):
        self.requests = 0
        self.bytes = 0
        self.arrivals = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                receiver.arrivals.append(time.perf_counter())
                receiver.requests += 1
                receiver.bytes += length
                receiver.last = body, self.headers.get("Content-Encoding")
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def wait(self, requests, process, limit=30):
        """Until so many requests have come in all."""
        end = time.monotonic() + limit
        while self.requests < requests:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"{process.args[0]} sent {self.requests} of {requests} requests")
            time.sleep(0.001)
