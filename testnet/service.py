"""A small HTTP service that local nodes look after: it answers with the challenge it is asked.

python -m testnet.service PORT HOST [HOST …]
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHALLENGE_CHARS_MAX = 64


class Service(BaseHTTPRequestHandler):
    """Answers GET with a JSON object; the same challenge gives the same bytes."""

    def do_GET(self) -> None:
        """Answer one request."""
        query = parse_qs(urlsplit(self.path).query)
        challenge = query.get("challenge", [""])[0][:CHALLENGE_CHARS_MAX]
        body = json.dumps({"service": "echo", "challenge": challenge}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Log nothing: a request comes each second."""


def main(argv: list[str]) -> int:
    """Serve until killed."""
    port, *hosts = argv
    servers = [ThreadingHTTPServer((host, int(port)), Service) for host in hosts]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
