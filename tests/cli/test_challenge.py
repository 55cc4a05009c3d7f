"""Forged scores on a real chain: one honest node's owner overturns them, by hand or by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
import trio

from stkrp2p.adapters.chain import Web3Chain
from stkrp2p.adapters.deploy import Plan, Policy, deploy, deploy_council
from stkrp2p.adapters.keys import write_secret_file
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core import bls
from stkrp2p.core.anchor import ClosedEpoch, SealedAnchor
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.merkle import Tree
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, Round, UnixMs
from stkrp2p.ports import StoredEpoch
from testnet import anvil
from tests.adapters.chain_kit import ALICE, BOB, GOVERNOR, block, restored, rpc
from tests.cli.world import BEACON_SECRET, COUNCIL_SECRET, PARAMS, World, make_node

ANKR = 10**18
BOND = 50_000 * ANKR
FORGED = Epoch(2)
POLICY = Policy(bond_min=BOND, challenge_s=3_600)

pytestmark = pytest.mark.chain


@dataclass
class Forged:
    """A chain on which epochs 0 and 1 are true and epoch 2 is forged, and a node that knows."""

    url: str
    world: World
    config: Path
    victim: NodeId
    """Whose score of epoch 2 is forged."""

    def chain(self, key: bytes | None = None) -> Web3Chain:
        return Web3Chain(self.world.genesis, [self.url], account_key=key)

    def anchored(self) -> list[int]:
        async def read():
            chain = self.chain()
            try:
                return [r.header.epoch for r in await chain.anchors(Epoch(0))], chain.voids
            finally:
                chain.close()

        return trio.run(read)

    def balance(self) -> int:
        async def read():
            chain = self.chain(BOB)
            try:
                return await chain.token_balance(await chain.operator())
            finally:
                chain.close()

        return trio.run(read)


async def anchor(chain: Web3Chain, sealed: SealedAnchor) -> None:
    with trio.fail_after(30):
        while len(await chain.anchors(Epoch(0))) <= sealed.header.epoch:
            await chain.submit_anchor(sealed.header, sealed.signature)
            await trio.sleep(0.05)


def forge(world: World, closed: ClosedEpoch) -> tuple[SealedAnchor, tuple[Score, ...]]:
    first, *others = closed.scores
    scores = (msgspec.structs.replace(first, reliability_ppm=1_000_000), *others)
    header = msgspec.structs.replace(closed.header, score_root=Tree(s.leaf() for s in scores).root)
    return world.sealed(replace(closed, header=header)), scores


async def set_up(url: str, folder: Path) -> Forged:
    now_s = int(block(url)["timestamp"], 16)
    council, _ = await deploy_council(url, ALICE, [(GOVERNOR, NodeId(b"g" * 32))], phase_s=60)
    plan = Plan(
        name="forged",
        params=PARAMS,
        beacon=Beacon(
            public_key=bls.public_key_of(BEACON_SECRET),
            genesis_ms=UnixMs((now_s - 600) * 1000),
            period_ms=1000,
        ),
        first_round=Round(11),
        council=council,
        council_key=bls.public_key_of(COUNCIL_SECRET),
        policy=POLICY,
    )
    deployed = await deploy(url, ALICE, plan)
    world = World(deployed=deployed.genesis)
    return Forged(url=url, world=world, config=folder / "config.toml", victim=world.node(0))


async def tell(forged: Forged) -> None:
    """Bond as the governor, anchor two true epochs and a false one, and let the node see it."""
    world, chain = forged.world, forged.chain(BOB)
    try:
        await chain.send(await chain.mint(BOND + POLICY.deposit))
        await chain.send(await chain.approve(BOND, "ReputationAnchor"))
        await chain.send(await chain.bond(BOND))
        for closed in world.closed[:2]:
            await anchor(chain, world.sealed(closed))
        sealed, scores = forge(world, world.closed[FORGED])
        forged.victim = NodeId(scores[0].node)
        await anchor(chain, sealed)
    finally:
        chain.close()
    async with SqliteStore.open(forged.config.parent) as store:
        await store.take_back(FORGED)
        await store.put_contested(StoredEpoch.of(sealed, is_anchored=True), scores)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forged")
    with anvil.running(anvil.Options(), log_path=folder / "anvil.log") as running:
        forged = trio.run(set_up, running.url, folder / "node")
        make_node(
            forged.world,
            folder / "node",
            epochs=3,
            rpc=(running.url,),
            account_key="account.key",
        )
        write_secret_file(folder / "node" / "account.key", BOB.hex().encode())
        trio.run(tell, forged)
        yield forged


@pytest.fixture
def forged(made, tmp_path):
    """The chain and the node as they were made, whatever other tests did."""
    folder = shutil.copytree(made.config.parent, tmp_path / "node")
    with restored(made.url):
        yield replace(made, config=folder / "config.toml")


def test_a_forged_score_is_overturned_and_the_challenger_rewarded(forged, run):
    before = forged.balance()
    ran = run("challenge", forged.victim.hex(), FORGED, "--config", forged.config)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[:3] == [
        f"node     {peer_id_text(forged.victim)}",
        "epoch    2",
        "score    WRONG: reliability_ppm",
    ]
    assert lines[3:6] == [
        "deposit  1,000 ANKR, comes back",
        "slashed  25,000 ANKR of the governors' bonds",
        "reward   5,000 ANKR",
    ]
    assert lines[-1] == "epoch 2 and all later ones are void; they are anchored anew"
    assert forged.anchored() == ([0, 1], 1)
    assert forged.balance() - before == 5_000 * ANKR


def test_a_challenge_that_is_only_tried_sends_nothing(forged, run):
    height = rpc(forged.url, "eth_blockNumber")
    ran = run("challenge", forged.victim.hex(), 2, "--dry-run", "--json", "--config", forged.config)
    assert ran.code == 0
    said = ran.json()
    assert said["schema"] == "challenge/1"
    assert (said["is_wrong"], said["wrong"]) == (True, "reliability_ppm")
    assert (said["deposit_wei"], said["reward_wei"]) == (str(1_000 * ANKR), str(5_000 * ANKR))
    assert said["transaction"] is None
    assert rpc(forged.url, "eth_blockNumber") == height


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_right_score_is_not_challenged_because_that_would_cost_the_deposit(forged, run, epoch):
    honest = forged.world.node(1)
    ran = run("challenge", honest.hex(), epoch, "--config", forged.config)
    assert ran.code == 1
    assert f"in epoch {epoch} is right\n  why: the contract would find so too" in ran.err
    assert forged.anchored() == ([0, 1, 2], 0)


def test_a_right_score_challenged_anyway_stands_and_costs_the_deposit(forged, run):
    before = forged.balance()
    ran = run("challenge", forged.world.node(1).hex(), 1, "--anyway", "--config", forged.config)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "the deposit is lost"
    assert forged.anchored() == ([0, 1, 2], 0)
    assert before - forged.balance() == 1_000 * ANKR


def test_a_challenge_after_its_time_is_refused_with_the_reason(forged, run):
    rpc(forged.url, "evm_increaseTime", POLICY.challenge_s + 1)
    rpc(forged.url, "evm_mine")
    ran = run("challenge", forged.victim.hex(), 2, "--config", forged.config)
    assert ran.code == 1
    assert "the time in which this epoch could be challenged is over" in ran.err


def test_without_an_account_it_is_said_what_is_missing(forged, run):
    text = re.sub(r"account_key.*\n", "", forged.config.read_text())
    forged.config.write_text(text)
    ran = run("challenge", forged.victim.hex(), 2, "--config", forged.config)
    assert ran.code == 2
    assert "no account pays for the challenge" in ran.err


def test_a_watcher_that_looks_once_overturns_it_and_then_finds_nothing_forged(forged, run):
    ran = run("watch", "--once", "--config", forged.config)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"epoch 2: the score of {peer_id_text(forged.victim)[:16]} is forged (reliability_ppm); "
        "challenged, reward 5,000 ANKR"
    ]
    assert forged.anchored() == ([0, 1], 1)
    again = run("watch", "--once", "--json", "--config", forged.config)
    assert json.loads(again.out) == {"event": "nothing"}


def test_a_watcher_that_runs_overturns_it_by_itself_and_ends_when_told(forged):
    command = [sys.executable, "-m", "stkrp2p", "watch", "--json", "--config", forged.config]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as watcher:
        events = [json.loads(watcher.stdout.readline()) for _ in range(2)]
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(20) == 0
    assert [e["event"] for e in events] == ["watching", "challenged"]
    assert forged.anchored() == ([0, 1], 1)
