"""Asking a running node over its control socket; imports nothing that takes time.

    reply = ask(data_dir / "control.sock", "status", timeout_s=2)

One line of JSON goes out, `{"command": "status"}`, and one comes back: `{"result": {…}}`, or
`{"error": "…", "detail": "…"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

REQUEST_BYTES_MAX = 4096
"""Longest request line."""

REPLY_BYTES_MAX = 4 * 1024 * 1024
"""Longest reply line."""

ADDRESS_BYTES_MAX: Final = 107
"""Longest path the kernel takes as a socket's address (`sun_path` is 108 bytes with its zero)."""

_CHUNK_BYTES: Final = 64 * 1024


class ControlError(Exception):
    """A running node gave no useful answer; `code` is a word for scripts."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class NotRunning(ControlError):
    """Nobody answers at the socket."""


class ControlTimeout(ControlError):
    """A node is there, but it did not answer in time."""


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """Give a socket's path in a form that is short enough for the kernel.

    A path of up to 107 bytes is taken as it is. A longer one is reached through a descriptor of its
    directory, as `/proc/self/fd/<n>/<name>`, where the system has that.

    Raises:
        ControlError: `path-too-long`: there is no `/proc`, or the name itself is too long.
        OSError: The directory cannot be opened.
    """
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = Path(f"/proc/self/fd/{descriptor}") / path.name
        if not short.parent.exists() or len(os.fsencode(short)) > ADDRESS_BYTES_MAX:
            raise ControlError(
                "path-too-long", f"{path}: a socket's path has at most {ADDRESS_BYTES_MAX} bytes"
            )
        yield str(short)
    finally:
        os.close(descriptor)


def ask(path: Path, command: str, timeout_s: float) -> dict[str, object]:
    """Send one command to the node that listens at `path` and return its result.

    Args:
        path: The node's control socket.
        command: Such as `status`.
        timeout_s: For the whole exchange.

    Raises:
        NotRunning: No node listens there.
        ControlTimeout: It did not answer in time.
        ControlError: It refused; or the answer was too long or no answer.
    """
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(timeout_s)
            with address_of(path) as address:
                connection.connect(address)
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            line = _read_line(connection, deadline)
        except TimeoutError as error:
            detail = f"no answer at {path} within {timeout_s:g} s"
            raise ControlTimeout("timed-out", detail) from error
        except PermissionError as error:
            raise ControlError("not-allowed", f"{path} belongs to another user") from error
        except (FileNotFoundError, NotADirectoryError, ConnectionError) as error:
            raise NotRunning("not-running", f"no node listens at {path}") from error
    return _result_of(line)


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            raise ConnectionResetError
        line += chunk
        if len(line) > REPLY_BYTES_MAX:
            raise ControlError("bad-reply", f"longer than {REPLY_BYTES_MAX} bytes")
    return bytes(line)


def _result_of(line: bytes) -> dict[str, object]:
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("bad-reply", "no JSON") from error
    if not isinstance(reply, dict):
        raise ControlError("bad-reply", "no JSON object")
    if "error" in reply:
        raise ControlError(str(reply["error"]), str(reply.get("detail", "")))
    result = reply.get("result")
    if not isinstance(result, dict):
        raise ControlError("bad-reply", "no result")
    return result
