"""Three governors make the council's keys: real processes, real sockets, a real chain, one kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.deploy import deploy_council
from stkrp2p.adapters.keys import AccountKey, NodeKey, create_account_key, create_node_key
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.keymaking import safe_of
from stkrp2p.config import dump_config, load_config
from stkrp2p.core.crypto import Secret
from stkrp2p.core.group import GovernorShare, Purpose, combine, partial_sign
from testnet import anvil
from testnet.cluster import free_port
from tests.adapters.chain_kit import ALICE, rpc

pytestmark = [pytest.mark.e2e, pytest.mark.chain]

CHAIN_ID = 31337
GOVERNORS = 3
PHASE_S = 30
RUN_S_MAX = 60
HOST = "127.0.0.1"


@dataclass
class Machine:
    """One governor's machine."""

    folder: Path
    key: NodeKey
    account: AccountKey
    listen: str

    @property
    def council(self) -> Path:
        return self.folder / "council"

    def start(self, board: bytes) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "stkrp2p", "council", "dkg", "--json"]
        command += ["--config", str(self.folder / "config.toml"), "--board", f"0x{board.hex()}"]
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("a") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, text=True)


def _machine(folder: Path) -> Machine:
    folder.mkdir(mode=0o700)
    return Machine(
        folder=folder,
        key=create_node_key(folder / "node.key"),
        account=create_account_key(folder / "account.key"),
        listen=f"/ip4/{HOST}/tcp/{free_port(HOST)}",
    )


def _configure(machine: Machine, all_machines: list[Machine], url: str) -> None:
    peers = [f"{m.listen}/p2p/{peer_id_text(m.key.node)}" for m in all_machines]
    settings = {
        "data_dir": machine.folder,
        "listen": [machine.listen],
        "rpc": [url],
        "peers": peers,
        "account_key": machine.folder / "account.key",
        "log_level": "debug",
        "log_format": "json",
    }
    (machine.folder / "config.toml").write_text(dump_config(settings))


def _wait(holds: Callable[[], object]) -> None:
    give_up = time.monotonic() + RUN_S_MAX
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@dataclass
class Story:
    folder: Path
    board: bytes
    machines: list[Machine]
    codes: list[int]
    said: list[dict]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the three, kill one with -9 once it has a seed, and start it again."""
    folder = tmp_path_factory.mktemp("keymaking")
    options = anvil.Options(block_time_s=1)
    with anvil.running(options, log_path=folder / "anvil.log") as chain:
        machines = [_machine(folder / f"g{i}") for i in range(GOVERNORS)]
        for machine in machines:
            rpc(chain.url, "anvil_setBalance", f"0x{machine.account.address.hex()}", hex(10**20))
            _configure(machine, machines, chain.url)
        seats = [(m.account.address, m.key.node) for m in machines]
        board, _ = trio.run(lambda: deploy_council(chain.url, ALICE, seats, phase_s=PHASE_S))
        processes = [m.start(board) for m in machines]
        try:
            victim = machines[1]
            _wait((victim.council / "1" / "seed.json").exists)
            processes[1].send_signal(signal.SIGKILL)
            processes[1].wait()
            processes[1] = victim.start(board)
            codes = [p.wait(RUN_S_MAX) for p in processes]
        finally:
            for process in processes:
                process.kill()
        said = [json.loads((m.folder / "out").read_text() or "{}") for m in machines]
        yield Story(folder, board, machines, codes, said)


def test_all_come_to_one_public_key_each_with_a_share_of_its_own(story: Story) -> None:
    errors = [(m.folder / "err").read_text()[-2000:] for m in story.machines]
    assert story.codes == [0, 0, 0], errors
    for name in ("beacon_key", "anchor_key", "group_hash", "session"):
        assert len({said[name] for said in story.said}) == 1
    assert [said["index"] for said in story.said] == [0, 1, 2]


async def _kept(machine: Machine, board: bytes) -> tuple[GovernorShare, list[Secret]]:
    """Return what a governor's disk holds: its share, and all its secrets."""
    config = load_config(path=machine.folder / "config.toml").config
    safe = safe_of(config, machine.key.node, CHAIN_ID, board)
    (kept,) = await safe.groups()
    assert kept.share is not None
    return kept.share, [machine.key.secret, await safe.seed(1), *kept.share.secrets]


def test_any_two_of_them_sign_for_the_key_and_one_alone_does_not(story: Story) -> None:
    shares = [trio.run(_kept, m, story.board)[0] for m in story.machines]
    group = shares[0].group
    assert {s.group for s in shares} == {group}
    assert group.public_key(Purpose.ANCHOR).hex() == story.said[0]["anchor_key"]
    partials = {s.index: partial_sign(s, Purpose.ANCHOR, b"m") for s in shares}
    made = {
        combine(group, Purpose.ANCHOR, {i: partials[i] for i in pair}, b"m")
        for pair in combinations(partials, 2)
    }
    assert len(made) == 1
    assert None not in made
    assert combine(group, Purpose.ANCHOR, {0: partials[0]}, b"m") is None


def test_no_secret_is_in_a_log_at_level_debug_nor_in_clear_on_a_disk(story: Story) -> None:
    files = [p for p in sorted(story.folder.rglob("*")) if p.is_file() and p.name != "node.key"]
    left = b"".join(p.read_bytes() for p in files).lower()
    assert b'"level": "debug"' in left
    for machine in story.machines:
        for secret in trio.run(_kept, machine, story.board)[1]:
            raw = secret.reveal()
            assert raw not in left
            assert raw.hex().encode() not in left
            assert str(int.from_bytes(raw, "big")).encode() not in left
            assert repr(raw)[2:-1].lower().encode() not in left
