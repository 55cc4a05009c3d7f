"""The control socket: for its owner only, one line each way, and nothing a client does ends the node."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from stkrp2p.api import control, control_client
from stkrp2p.api.control import CLIENTS_MAX, ControlBusy, serve_control
from stkrp2p.api.control_client import (
    ADDRESS_BYTES_MAX,
    REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX,
    ControlError,
    ControlTimeout,
    NotRunning,
    ask,
)


def _fail():
    raise LookupError("no such thing")


COMMANDS = {
    "status": lambda: {"epoch": 7, "peers": [1, 2]},
    "fail": _fail,
    "unencodable": lambda: {"x": object()},
    "huge": lambda: {"x": "a" * REPLY_BYTES_MAX},
}


async def ask_off_loop(path, command, timeout_s=5.0):
    return await trio.to_thread.run_sync(ask, path, command, timeout_s)


@pytest.fixture
async def served(tmp_path, nursery):
    path = tmp_path / "control.sock"
    await nursery.start(serve_control, path, COMMANDS)
    return path


async def connect(path):
    return await trio.open_unix_socket(path)


async def read_line(stream):
    data = b""
    while not data.endswith(b"\n"):
        chunk = await stream.receive_some(65536)
        if not chunk:
            return data
        data += chunk
    return data


async def test_a_node_answers_its_owner(served):
    assert await ask_off_loop(served, "status") == {"epoch": 7, "peers": [1, 2]}


async def test_one_connection_serves_many_questions(served):
    async with await connect(served) as stream:
        for _ in range(3):
            await stream.send_all(b'{"command": "status"}\n')
            assert json.loads(await read_line(stream))["result"]["epoch"] == 7


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
async def test_the_socket_is_its_owners_alone_under_any_umask(tmp_path, nursery, umask):
    path = tmp_path / "control.sock"
    before = os.umask(umask)
    try:
        await nursery.start(serve_control, path, COMMANDS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600


async def test_the_socket_is_never_wider_even_before_its_mode_is_set(
    tmp_path, nursery, monkeypatch
):
    path = tmp_path / "control.sock"
    modes = []

    def look(path, mode):
        modes.append((stat.S_IMODE(path.stat().st_mode), mode))

    monkeypatch.setattr(control.Path, "chmod", look)
    before = os.umask(0)
    try:
        await nursery.start(serve_control, path, COMMANDS)
    finally:
        os.umask(before)
    assert modes == [(0o600, 0o600)]


@pytest.mark.parametrize("extra", [0, 1, 120])
async def test_a_path_too_long_for_the_kernel_is_reached_all_the_same(tmp_path, nursery, extra):
    name = "control.sock"
    room = ADDRESS_BYTES_MAX - len(os.fsencode(tmp_path)) - len(name) - 2 + extra
    folder = tmp_path / ("d" * room)
    folder.mkdir()
    path = folder / name
    assert len(os.fsencode(path)) == ADDRESS_BYTES_MAX + extra
    await nursery.start(serve_control, path, COMMANDS)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert (await ask_off_loop(path, "status"))["epoch"] == 7


async def test_a_name_too_long_for_the_kernel_is_refused_with_the_reason(tmp_path):
    with pytest.raises(ControlError, match=r"^path-too-long: .* has at most 107 bytes$"):
        await serve_control(tmp_path / ("s" * 120), COMMANDS)


async def test_a_socket_left_by_a_dead_node_is_replaced(tmp_path, nursery):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning, match=f"^not-running: no node listens at {path}$"):
        await ask_off_loop(path, "status")
    await nursery.start(serve_control, path, COMMANDS)
    assert (await ask_off_loop(path, "status"))["epoch"] == 7


async def test_a_second_node_does_not_take_the_socket_of_a_living_one(served):
    with pytest.raises(ControlBusy, match=r"^busy: another node listens at .*; stop it first$"):
        await serve_control(served, COMMANDS)
    assert (await ask_off_loop(served, "status"))["epoch"] == 7


async def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(ControlError, match=r"^not-a-socket: .* is in the way; move it elsewhere$"):
        await serve_control(path, COMMANDS)
    assert path.read_text() == "precious"


async def test_a_directory_that_is_missing_is_said_so(tmp_path):
    with pytest.raises(ControlError, match=r"^cannot-listen: .*No such file or directory$"):
        await serve_control(tmp_path / "missing" / "control.sock", COMMANDS)


async def test_the_socket_is_gone_when_the_node_is(tmp_path):
    path = tmp_path / "control.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, path, COMMANDS)
        assert path.exists()
        nursery.cancel_scope.cancel()
    assert not path.exists()


async def test_a_leaving_node_does_not_remove_its_successors_socket(tmp_path):
    path = tmp_path / "control.sock"
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, path, COMMANDS)
        path.unlink()
        await nursery.start(serve_control, path, COMMANDS)
        successor = path.lstat().st_ino
        path.rename(tmp_path / "other")
        path.write_text("not ours")
        nursery.cancel_scope.cancel()
    assert path.read_text() == "not ours"
    assert (tmp_path / "other").lstat().st_ino == successor


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\n", "malformed"),
        (b"status\n", "malformed"),
        (b"{}\n", "malformed"),
        (b'{"command": 1}\n', "malformed"),
        (b"\xff\xfe\n", "malformed"),
        (b"[" * 4000 + b"\n", "malformed"),
        (b'{"command": "stop"}\n', "unknown-command"),
        (b'{"command": "fail"}\n', "failed"),
        (b'{"command": "unencodable"}\n', "failed"),
        (b'{"command": "huge"}\n', "oversized"),
    ],
)
async def test_a_bad_question_is_answered_with_a_word(served, line, error):
    async with await connect(served) as stream:
        await stream.send_all(line)
        assert json.loads(await read_line(stream))["error"] == error
        await stream.send_all(b'{"command": "status"}\n')
        assert "result" in json.loads(await read_line(stream))


async def test_a_request_at_the_limit_is_read_and_one_beyond_ends_the_connection(served):
    filler = REQUEST_BYTES_MAX - len(b'{"command": "status"}')
    async with await connect(served) as stream:
        await stream.send_all(b'{"command": "status"}' + b" " * filler + b"\n")
        assert "result" in json.loads(await read_line(stream))
        await stream.send_all(b'{"command": "status"}' + b" " * (filler + 1) + b"\n")
        assert json.loads(await read_line(stream))["error"] == "oversized"
        assert await stream.receive_some(1) == b""


async def test_a_client_too_many_is_told_so_and_a_place_frees_up(served):
    streams = [await connect(served) for _ in range(CLIENTS_MAX)]
    for stream in streams:
        await stream.send_all(b'{"command": "status"}\n')
        assert "result" in json.loads(await read_line(stream))
    with pytest.raises(ControlError, match=r"^busy: more than 16 clients$"):
        await ask_off_loop(served, "status")
    await streams.pop().aclose()
    with trio.fail_after(5):
        while True:
            try:
                await ask_off_loop(served, "status")
                break
            except ControlError:
                await trio.sleep(0.01)
    for stream in streams:
        await stream.aclose()


async def test_a_client_that_asks_nothing_is_dropped(tmp_path, nursery, monkeypatch):
    monkeypatch.setattr(control, "IDLE_S", 0.05)
    path = tmp_path / "control.sock"
    await nursery.start(serve_control, path, COMMANDS)
    async with await connect(path) as silent:
        await silent.send_all(b'{"comm')
        with trio.fail_after(5):
            assert await silent.receive_some(1) == b""


async def test_a_client_that_does_not_read_is_dropped(tmp_path, nursery, monkeypatch):
    monkeypatch.setattr(control, "IDLE_S", 0.05)
    path = tmp_path / "control.sock"
    big = {"big": lambda: {"x": "a" * (REPLY_BYTES_MAX - 100)}}
    await nursery.start(serve_control, path, big)
    async with await connect(path) as deaf:
        await deaf.send_all(b'{"command": "big"}\n')
        await trio.sleep(0.2)
        received = 0
        with trio.fail_after(5):
            while chunk := await deaf.receive_some(65536):
                received += len(chunk)
        assert received < REPLY_BYTES_MAX - 100


# ---------------------------------------------------------------- the asking side


def test_no_socket_means_no_node(tmp_path):
    with pytest.raises(NotRunning, match=r"^not-running: no node listens at "):
        ask(tmp_path / "control.sock", "status", 1)
    with pytest.raises(NotRunning):
        ask(tmp_path / "missing" / ("d" * 120) / "control.sock", "status", 1)


def answering(path: Path, reply: bytes):
    """Return a socket that will have `reply` for its first client, whatever it asks."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"nonsense\n", "bad-reply"),
        (b"[1]\n", "bad-reply"),
        (b'{"result": 3}\n', "bad-reply"),
        (b"[" * 100_000 + b"\n", "bad-reply"),
        (b'{"error": "busy", "detail": "later"}\n', "busy"),
        (b"half an ans", "not-running"),
    ],
)
async def test_whatever_answers_makes_a_typed_error(tmp_path, nursery, reply, code):
    path = tmp_path / "control.sock"

    async def answer(stream):
        async with stream:
            await stream.receive_some(100)
            await stream.send_all(reply)

    with answering(path, reply) as listener:
        listener.settimeout(0)
        listening = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        nursery.start_soon(trio.serve_listeners, answer, [listening])
        with pytest.raises(ControlError) as caught:
            await ask_off_loop(path, "status")
        assert caught.value.code == code
        nursery.cancel_scope.cancel()


async def test_an_answer_without_end_is_cut(tmp_path, nursery, monkeypatch):
    monkeypatch.setattr(control_client, "REPLY_BYTES_MAX", 1000)
    path = tmp_path / "control.sock"

    async def answer(stream):
        async with stream:
            await stream.send_all(b"a" * 1001)

    with answering(path, b"") as listener:
        listener.settimeout(0)
        listening = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        nursery.start_soon(trio.serve_listeners, answer, [listening])
        with pytest.raises(ControlError, match=r"^bad-reply: longer than 1000 bytes$"):
            await ask_off_loop(path, "status")
        nursery.cancel_scope.cancel()


def test_a_node_that_hangs_is_given_up(tmp_path):
    path = tmp_path / "control.sock"
    with (
        answering(path, b""),
        pytest.raises(ControlTimeout, match=r"^timed-out: no answer at .* within 0\.05 s$"),
    ):
        ask(path, "status", 0.05)
