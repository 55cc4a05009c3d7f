"""What a governor keeps of ceremonies: for its owner alone, encrypted, and nothing half written."""

import os
import random
import re
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters import keystore
from stkrp2p.adapters.council_files import CouncilFiles
from stkrp2p.adapters.keys import write_secret_file
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.group import GovernorShare
from stkrp2p.core.types import NodeId, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import KEPT_GROUPS_MAX, KeptGroup, SafeError
from testnet.dealer import deal, draw_polynomials

NODES = tuple(node_id_of(sha256(b"governor", bytes([i]))) for i in range(3))
POLYNOMIALS = draw_polynomials(random.Random(3), 3)
BOARD = bytes(range(20))


async def inline(work, /):
    await trio.lowlevel.checkpoint()
    return work()


def password(folder: Path, text: bytes = b"a password\n") -> Path:
    path = folder / f"password-{len(text)}"
    if not path.exists() and folder.exists():
        write_secret_file(path, text)
    return path


def files(folder: Path, **changes: object) -> CouncilFiles:
    settings = {
        "directory": folder / "council",
        "password_path": password(folder),
        "node": NODES[1],
        "chain_id": 31337,
        "board": BOARD,
        "iterations": 2,
        "run": inline,
    }
    return CouncilFiles(**(settings | changes))  # type: ignore[arg-type]


def share(session: int = 1, governor: int = 1, salt: int = 3) -> GovernorShare:
    polynomials = POLYNOMIALS if salt == 3 else draw_polynomials(random.Random(salt), 3)
    return deal(polynomials, NODES, session=session)[governor]


def all_files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


async def put(safe: CouncilFiles, session: int, *, is_confirmed: bool = True) -> GovernorShare:
    held = share(session)
    await safe.seed(session)
    await safe.put_deal(session, 0, b"a deal")
    await safe.put_group(held.group, held)
    if is_confirmed:
        await safe.put_start(session, UnixMs(session * 1000))
    return held


async def test_a_seed_is_drawn_once_a_session_and_outlives_the_process(tmp_path: Path) -> None:
    seed = await files(tmp_path).seed(1)
    assert len(seed.reveal()) == 32
    assert await files(tmp_path).seed(1) == seed
    assert await files(tmp_path).seed(2) != seed


async def test_work_on_files_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    safe = CouncilFiles(
        directory=tmp_path / "council",
        password_path=password(tmp_path),
        node=NODES[1],
        chain_id=31337,
        board=BOARD,
    )
    assert await safe.seed(1) == await files(tmp_path).seed(1)


async def test_a_share_outlives_the_process_with_its_group_and_start(tmp_path: Path) -> None:
    held = await put(files(tmp_path), 7)
    assert await files(tmp_path).groups() == (KeptGroup(held.group, held, UnixMs(7000)),)


async def test_a_group_without_a_share_of_ours_is_kept_too(tmp_path: Path) -> None:
    await files(tmp_path).put_group(share().group, None)
    assert await files(tmp_path).groups() == (KeptGroup(share().group, None, None),)
    stranger = files(tmp_path, node=NodeId(bytes(32)))
    assert await stranger.groups() == (KeptGroup(share().group, None, None),)


async def test_deals_outlive_the_process_byte_for_byte(tmp_path: Path) -> None:
    safe = files(tmp_path)
    await safe.put_deal(1, 0, b"first")
    await safe.put_deal(1, 62, b"x" * 16 * 1024)
    await safe.put_deal(1, 0, b"another")
    await safe.put_deal(1, 0, b"another")
    assert await files(tmp_path).deals(1) == {0: b"another", 62: b"x" * 16 * 1024}
    assert await files(tmp_path).deals(2) == {}


async def test_nobody_else_can_read_what_is_kept(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await put(files(tmp_path), 1)
    finally:
        os.umask(before)
    folder = tmp_path / "council"
    assert {p.stat().st_mode & 0o777 for p in folder.rglob("*") if p.is_file()} == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (folder, folder / "1")} == {0o700}


async def test_no_secret_is_on_the_disk_in_clear(tmp_path: Path) -> None:
    safe = files(tmp_path)
    held = await put(safe, 1)
    written = b"".join(all_files(tmp_path).values())
    for secret in (await safe.seed(1), *held.secrets):
        raw = secret.reveal()
        assert raw not in written
        assert raw.hex().encode() not in written.lower()
        assert str(int.from_bytes(raw, "big")).encode() not in written


async def test_another_group_of_a_session_replaces_the_share_of_the_first(tmp_path: Path) -> None:
    safe, other = files(tmp_path), share(salt=4)
    await put(safe, 1)
    await safe.put_group(other.group, other)
    assert await safe.groups() == (KeptGroup(other.group, other, None),)


async def test_the_same_group_again_touches_no_file(tmp_path: Path) -> None:
    safe = files(tmp_path)
    held = await put(safe, 1)
    before = all_files(tmp_path)
    await safe.put_group(held.group, held)
    assert all_files(tmp_path) == before


async def test_what_a_kill_left_half_written_is_written_anew(tmp_path: Path) -> None:
    safe, held = files(tmp_path), share()
    await safe.put_group(held.group, held)
    (tmp_path / "council/1/group").unlink()
    (tmp_path / "council/1/anchor.json").unlink()
    (tmp_path / "council/1/.anchor.json.0123").write_bytes(b"half")
    assert await safe.groups() == ()
    await safe.put_group(held.group, held)
    assert await safe.groups() == (KeptGroup(held.group, held, None),)
    await safe.forget(2)
    assert not (tmp_path / "council/1").exists()


async def test_secrets_of_earlier_sessions_are_forgotten_and_later_ones_stay(
    tmp_path: Path,
) -> None:
    safe = files(tmp_path)
    for session in (1, 2, 4):
        await put(safe, session)
    await put(safe, 3, is_confirmed=False)
    last = await put(safe, 5)
    await safe.forget(5)
    left = set(all_files(tmp_path / "council"))
    assert {name for name in left if not name.startswith("5/")} == {"board", "4/group", "4/starts"}
    assert left >= {"5/seed.json", "5/deal-0", "5/beacon.json", "5/anchor.json", "5/group"}
    assert await safe.groups() == (
        KeptGroup(share(4).group, None, UnixMs(4000)),
        KeptGroup(last.group, last, UnixMs(5000)),
    )


async def test_forgetting_where_nothing_is_kept_does_nothing(tmp_path: Path) -> None:
    await files(tmp_path).forget(9)
    assert not (tmp_path / "council").exists()


async def test_at_most_so_many_groups_are_loaded(tmp_path: Path) -> None:
    safe = files(tmp_path)
    for session in range(1, KEPT_GROUPS_MAX + 3):
        await safe.put_group(share(session).group, None)
    assert [k.group.session for k in await safe.groups()] == [3, 4, 5, 6]


# ---------------------------------------------------------------------------- refusals


async def test_the_files_of_another_board_are_left_alone(tmp_path: Path) -> None:
    await put(files(tmp_path), 1)
    folder = tmp_path / "council"
    for other in (files(tmp_path, chain_id=1), files(tmp_path, board=bytes(20))):
        for call in (other.groups(), other.seed(1), other.deals(1)):
            with pytest.raises(SafeError) as refused:
                await call
            assert str(refused.value) == (
                f"{folder} belongs to another bulletin board; run: mv {folder} {folder}.old"
            )


async def test_a_wrong_password_is_told_with_the_file_and_without_the_password(
    tmp_path: Path,
) -> None:
    await put(files(tmp_path), 1)
    other = files(tmp_path, password_path=password(tmp_path, b"hunter2"))
    with pytest.raises(SafeError) as refused:
        await other.groups()
    path = tmp_path / "council/1/beacon.json"
    assert str(refused.value) == f"{path}: wrong password, or the file is damaged"


async def test_a_share_of_another_session_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    safe, held = files(tmp_path), share(1)
    await safe.put_group(held.group, held)
    other = share(2, salt=4)
    await safe.put_group(other.group, other)
    for name in ("beacon.json", "anchor.json"):
        (tmp_path / "council/2" / name).write_bytes((tmp_path / "council/1" / name).read_bytes())
    with pytest.raises(SafeError, match="the beacon share is not of this group and place"):
        await safe.groups()


async def test_a_keystore_with_a_secret_of_another_length_is_refused(tmp_path: Path) -> None:
    safe = files(tmp_path)
    await safe.put_group(share().group, None)
    text = keystore.seal(Secret(b"short"), Secret(b"a password"), iterations=2)
    for name in ("beacon.json", "anchor.json"):
        write_secret_file(tmp_path / "council/1" / name, text)
    with pytest.raises(SafeError, match=r"holds no secret of 32 bytes$"):
        await safe.groups()


@pytest.mark.parametrize("body", [b"", b"\x93\x01", encode([1, [], []])])
async def test_a_damaged_group_is_told(tmp_path: Path, body: bytes) -> None:
    safe = files(tmp_path)
    await put(safe, 1)
    (tmp_path / "council/1/group").write_bytes(body)
    with pytest.raises(SafeError, match=r"council/1 is damaged: "):
        await safe.groups()


async def test_files_that_others_may_use_are_refused(tmp_path: Path) -> None:
    await put(files(tmp_path), 1)
    path = tmp_path / "council/1/beacon.json"
    path.chmod(0o644)
    with pytest.raises(SafeError) as refused:
        await files(tmp_path).groups()
    assert str(refused.value) == (f"others may use {path} (mode 0644); run: chmod 600 {path}")


async def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    safe = files(tmp_path)
    held = await put(safe, 1)
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(SafeError, match="No space left on device"):
        await safe.seed(2)
    monkeypatch.undo()
    assert (await safe.groups())[0].share == held
    assert len((await safe.seed(2)).reveal()) == 32


def _no_space(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


async def test_a_missing_parent_is_told(tmp_path: Path) -> None:
    with pytest.raises(SafeError, match=r"^cannot use .*/none/council: No such file or directory$"):
        await files(tmp_path / "none").seed(1)


# ---------------------------------------------------------------------------- passwords


async def test_a_password_nobody_chose_is_made_before_the_first_keystore(tmp_path: Path) -> None:
    await files(tmp_path, password_path=None).put_deal(1, 0, b"a deal")
    path = tmp_path / "council.password"
    assert not path.exists()
    seed = await files(tmp_path, password_path=None).seed(1)
    assert re.fullmatch(rb"[0-9a-f]{64}\n", path.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o600
    assert await files(tmp_path, password_path=None).seed(1) == seed


async def test_a_lost_password_is_not_replaced_by_another(tmp_path: Path) -> None:
    await files(tmp_path, password_path=None).seed(1)
    (tmp_path / "council.password").unlink()
    for call in (files(tmp_path, password_path=None).seed(s) for s in (1, 2)):
        with pytest.raises(SafeError, match=r"^cannot read .*council\.password: No such file"):
            await call


async def test_a_password_file_of_ones_own_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(SafeError, match=r"^cannot read .*/mine: No such file"):
        await files(tmp_path, password_path=tmp_path / "mine").seed(1)


async def test_the_line_end_of_a_password_file_is_no_part_of_it(tmp_path: Path) -> None:
    seed = await files(tmp_path, password_path=password(tmp_path, b" a \r\n")).seed(1)
    write_secret_file(tmp_path / "same", b" a ")
    assert await files(tmp_path, password_path=tmp_path / "same").seed(1) == seed
