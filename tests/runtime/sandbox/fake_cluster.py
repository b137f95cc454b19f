"""A loopback stand-in for the few calls of the Kubernetes API that a sandbox makes. It starts no pod."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeCluster:
    """statuses: what is told of a pod, one after the other, the last for ever. log: of every pod.

    failures: by the last word of a path, or method: answers (code, reason) that come first, one by one.
    """

    url: str = ""
    policies: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""
    refuse: int | None = None
    failures: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        self.calls.append(f"{method} {path.partition('?')[0]}")
        kind = path.partition("?")[0].rsplit("/", 1)[-1]
        if self.refuse is not None:
            return self.refuse, json.dumps({"message": "pods is forbidden"})
        for place in (kind, method):
            if self.failures.get(place):
                code, reason = self.failures[place].pop(0)
                return code, json.dumps({"reason": reason, "message": f"a failure: {reason}"})
        if "networkpolicies" in path:
            return 200, json.dumps({"kind": "NetworkPolicyList", "items": self.policies})
        if method == "POST":
            self.created.append(json.loads(body))
            return 201, body.decode()
        if kind == "status":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            return 200, json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": status})
        return 200, self.log if kind == "log" else json.dumps({"kind": "Status", "status": "Success"})


@contextmanager
def fake_cluster(**more: Any) -> Iterator[FakeCluster]:
    cluster = FakeCluster(**more)

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, text = cluster.answer(self.command, self.path, body)
            content = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        cluster.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join()
