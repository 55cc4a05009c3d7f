"""The control socket: how the owner of a node asks it, on the same machine.

A Unix socket of mode 0600 in the data directory; whoever may connect may ask, so nobody else can. A
client sends a line of JSON and gets one back, as often as it likes within `IDLE_S` each. Commands
only read; they run in the node's own loop, so they must be quick.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from stkrp2p.api.control_client import REPLY_BYTES_MAX, REQUEST_BYTES_MAX, ControlError, address_of

log = structlog.get_logger()

Command = Callable[[], Mapping[str, object]]
"""Returns JSON types only, at once."""

CLIENTS_MAX = 16
"""Clients at a time; one more is told so and sent away."""

BACKLOG_MAX = 16

IDLE_S = 5.0
"""How long a client may take over a request, or over reading a reply."""

DETAIL_MAX = 200
"""Most characters of an error's own words that a client is told."""

_MODE: Final = 0o600


class ControlBusy(ControlError):
    """Another node listens at this socket."""


class _Request(msgspec.Struct, frozen=True):
    command: str


async def serve_control(
    path: Path,
    commands: Mapping[str, Command],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer commands until cancelled; the socket is gone afterwards.

    Args:
        path: Where to listen. A socket that a dead node left behind is replaced.
        commands: What each command returns. One that raises is answered with `failed` and logged.
        task_status: Started once clients can connect.

    Raises:
        ControlBusy: A node listens there already.
        ControlError: `not-a-socket`, `path-too-long`, or `cannot-listen`.
    """
    with _listening(path) as raw:
        slots = trio.CapacityLimiter(CLIENTS_MAX)

        async def serve(stream: trio.SocketStream) -> None:
            async with stream:
                await _serve_client(stream, commands, slots)

        listener = trio.SocketListener(trio.socket.from_stdlib_socket(raw))
        task_status.started()
        await trio.serve_listeners(serve, [listener])


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        try:
            identity = _bind(raw, path)
            raw.listen(BACKLOG_MAX)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ControlBusy("busy", f"another node is starting at {path}") from error
            detail = f"{path}: {error.strerror or error}"
            raise ControlError("cannot-listen", detail) from error
        raw.settimeout(0)
        try:
            yield raw
        finally:
            _remove(path, identity)


def _bind(raw: socket.socket, path: Path) -> tuple[int, int]:
    """Bind, never with a wider mode than 0600, and return what tells our file from another's."""
    _clear(path)
    with contextlib.suppress(OSError):
        os.fchmod(raw.fileno(), _MODE)  # on Linux the file gets this mode, less the umask
    with address_of(path) as address:
        raw.bind(address)
        Path(address).chmod(_MODE)
        status = os.stat(address)  # noqa: PTH116  - the same call as below
    return status.st_dev, status.st_ino


def _clear(path: Path) -> None:
    """Remove what a dead node left; refuse what is alive or not ours.

    Raises:
        ControlBusy: A node answers there.
        ControlError: `not-a-socket`: there is something else at the path.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise ControlError("not-a-socket", f"{path} is in the way; move it elsewhere")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, address_of(path) as address:
        probe.settimeout(0)
        if probe.connect_ex(address) != errno.ECONNREFUSED:
            raise ControlBusy("busy", f"another node listens at {path}; stop it first")
    path.unlink(missing_ok=True)


def _remove(path: Path, identity: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        status = path.lstat()
        if (status.st_dev, status.st_ino) == identity:
            path.unlink()


async def _serve_client(
    stream: trio.SocketStream, commands: Mapping[str, Command], slots: trio.CapacityLimiter
) -> None:
    try:
        slots.acquire_on_behalf_of_nowait(stream)
    except trio.WouldBlock:
        with trio.move_on_after(IDLE_S):
            await stream.send_all(_refusal("busy", f"more than {CLIENTS_MAX} clients"))
        return
    try:
        await _converse(stream, commands)
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
        log.debug("control client dropped", error=type(error).__name__)
    finally:
        slots.release_on_behalf_of(stream)


async def _converse(stream: trio.SocketStream, commands: Mapping[str, Command]) -> None:
    pending = bytearray()
    while True:
        with trio.fail_after(IDLE_S):
            line = await _next_line(stream, pending)
        if line is None:
            return
        if len(line) > REQUEST_BYTES_MAX:
            reply = _refusal("oversized", f"a request has at most {REQUEST_BYTES_MAX} bytes")
        else:
            reply = _reply(line, commands)
        with trio.fail_after(IDLE_S):
            await stream.send_all(reply)
        if len(line) > REQUEST_BYTES_MAX:
            return


async def _next_line(stream: trio.SocketStream, pending: bytearray) -> bytes | None:
    """Return the next line, what was read of one that is too long, or `None` at the end."""
    while b"\n" not in pending and len(pending) <= REQUEST_BYTES_MAX:
        chunk = await stream.receive_some(REQUEST_BYTES_MAX)
        if not chunk:
            return None
        pending += chunk
    line, _, rest = bytes(pending).partition(b"\n")
    pending[:] = rest
    return line


def _refusal(error: str, detail: str) -> bytes:
    return msgspec.json.encode({"error": error, "detail": detail}) + b"\n"


def _reply(line: bytes, commands: Mapping[str, Command]) -> bytes:
    try:
        name = msgspec.json.decode(line, type=_Request).command
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refusal("malformed", str(error))
    command = commands.get(name)
    if command is None:
        return _refusal("unknown-command", f"known are {', '.join(sorted(commands))}")
    try:
        reply = msgspec.json.encode({"result": command()}) + b"\n"
    except Exception as error:  # a question must never end the node
        log.exception("command failed", command=name)
        return _refusal("failed", repr(error)[:DETAIL_MAX])
    if len(reply) > REPLY_BYTES_MAX:
        return _refusal("oversized", "the answer is too long")
    return reply
