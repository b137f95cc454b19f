"""A real MLflow server to kill and start again, and a proxy before it that loses replies."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

from tests.postgres import free_port

START_S = 180


class MlflowServer:
    """`mlflow server` with its database in one folder, on a port that it keeps."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs; wait until it answers, which takes 12 to 20 s."""
        if self._process is not None:
            return
        arguments = {
            "--backend-store-uri": f"sqlite:///{self._folder}/mlflow.db",
            "--artifacts-destination": str(self._folder / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
        }
        words = [word for pair in arguments.items() for word in pair]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )
        deadline, pause = monotonic() + START_S, threading.Event()
        while not self._answers():
            if self._process.poll() is not None or monotonic() > deadline:
                self.kill()
                raise AssertionError((self._folder / "log").read_text()[-3000:])
            pause.wait(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill all of its processes, as a lost machine would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


Hook = Callable[[str, int], bool]


class Proxy:
    """Stands before a server. `hook(path, number)` is asked for every request that the server got.

    True: the server's reply is read, and thrown away with the connection.
    """

    def __init__(self, port: int, hook: Hook) -> None:
        self._target, self._hook = port, hook
        self._lock, self._count = threading.Lock(), 0
        self.lost: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                outer._forward(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def _forward(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=30)
        try:
            connection.request(request.command, request.path, body, dict(request.headers))
            with self._lock:
                self._count += 1
                lose = self._hook(request.path.partition("?")[0], self._count)
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()
        if lose:
            self.lost.append(request.path)
            return
        request.send_response(reply.status)
        request.send_header("Content-Type", reply.getheader("Content-Type", "application/json"))
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(content)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
