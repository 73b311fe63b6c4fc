"""Stub of the hub on the loopback interface; tests define its answers to the unpatched clients."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40
Reply = tuple[int, bytes, dict[str, str]]
"""Status, body, headers."""


class HubStub(BaseHTTPRequestHandler):
    """Answer every GET and HEAD with what `reply` returns, under the headers the hub sends."""

    def reply(self) -> Reply:
        """Return the answer; by default 404."""
        return 404, b"", {"X-Error-Code": "RepoNotFound"}

    def do_GET(self) -> None:
        status, body, headers = self.reply()
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(stub: type[HubStub]) -> Iterator[str]:
    """Serve a stub until the block ends; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), stub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
