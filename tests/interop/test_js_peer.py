"""A peer in JavaScript, written from `protocols/` alone, is a full member among ours."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from mesh import JS, OURS, Mesh, running_mesh, until  # noqa: E402

from stkrp2p.core.batch import check_batch  # noqa: E402
from stkrp2p.core.challenge import AUDIT_PROTOCOL, is_receipt_signed  # noqa: E402
from stkrp2p.core.reconcile import SYNC_PROTOCOL  # noqa: E402
from stkrp2p.core.types import Epoch, NodeId, Outcome, Round  # noqa: E402
from stkrp2p.node import Node  # noqa: E402
from stkrp2p.ports import Network, Observation  # noqa: E402
from testnet.vectors.files import FILES, FOLDER  # noqa: E402

DEADLINE_S = 60

pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and (not (JS / "node_modules").is_dir() or shutil.which("node") is None),
    reason="./run setup installs the JavaScript peer",
)

UP = {Outcome.OK, Outcome.SLOW}


def test_the_js_peer_gets_every_vector_right() -> None:
    done = subprocess.run(
        ["node", "check.mjs", str(FOLDER)],
        cwd=JS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    groups = [json.loads(line) for line in done.stdout.splitlines()]
    assert [g for g in groups if g["failed"]] == []
    assert done.returncode == 0, done.stderr
    checked = {name for g in groups for name in g["file"].split(" and ")}
    assert checked == set(FILES)
    assert all(g["count"] for g in groups)


@pytest.mark.e2e
async def test_the_js_peer_lives_an_epoch_as_a_full_member(tmp_path: Path) -> None:
    async with running_mesh(tmp_path) as mesh:
        try:
            with trio.fail_after(DEADLINE_S):
                await check_connections(mesh)
                for name in OURS:
                    await check_audits(mesh, mesh.nodes[name])
                    await check_gossip(mesh, mesh.nodes[name])
                await check_anchor(mesh)
        except trio.TooSlowError as error:
            error.add_note("\n".join(json.dumps(event)[:300] for event in mesh.js.events))
            raise


async def check_connections(mesh: Mesh) -> None:
    """Both sides identify and ping the other."""
    for node in mesh.nodes.values():
        us, network = node.identity.node.hex(), node.ports.network
        known = await mesh.js.until("identified", peer=us)
        assert {AUDIT_PROTOCOL, SYNC_PROTOCOL, "/ipfs/ping/1.0.0"} <= set(known["protocols"])
        assert (await mesh.js.until("ping", peer=us))["ms"] < 5_000
        await until(lambda n=network: mesh.js_node in pinged(n))


def pinged(network: Network) -> set[NodeId]:
    return {p.node for p in network.peers() if p.latency_ms is not None}


async def passed_audits(mesh: Mesh, node: Node) -> list[Observation]:
    """Return our node's observations of the JavaScript peer that count as up."""
    seen = await node.ports.store.observations(Round(1), Round(1000))
    return [o for o in seen if o.target == mesh.js_node and o.outcome in UP]


async def check_audits(mesh: Mesh, node: Node) -> None:
    """Our node audits the JavaScript peer and its service, and it audits ours."""
    us = node.identity.node.hex()
    while not await passed_audits(mesh, node):
        await mesh.js.changed.wait()
    receipt = (await passed_audits(mesh, node))[0].receipt
    assert receipt is not None
    assert is_receipt_signed(mesh.genesis.network_id, receipt)
    assert mesh.js.said("answered", auditor=us)
    while not any(e["outcome"] in UP for e in mesh.js.said("audited", target=us)):
        await mesh.js.changed.wait()


async def check_gossip(mesh: Mesh, node: Node) -> None:
    """Our judge accepts its batch, and its judge accepts ours."""
    published = await mesh.js.until("published", epoch=0)
    evidence = node.ledger.evidence(Epoch(0))  # grows in place
    await until(lambda: evidence.of(mesh.js_node))
    (batch,) = evidence.of(mesh.js_node)
    view = node.ledger.view(Epoch(0))
    assert view is not None
    check_batch(batch, view)
    assert batch.id.hex() == published["id"]
    assert node.gossip.judged["accept"] > 0
    await mesh.js.until("judged", judgement="accept", auditor=node.identity.node.hex())
    assert mesh.js.said("judged", judgement="reject") == []


async def check_anchor(mesh: Mesh) -> None:
    """It shows the sampled receipt, its batch is in, and it computes the anchored roots itself."""
    while not any(mesh.js_node.hex() in e["included"] for e in mesh.js.said("closed")):
        await mesh.js.changed.wait()
    assert all(e["is_same"] for e in mesh.js.said("closed"))
    assert mesh.js.said("served", question="AskReceipt")
    assert mesh.js.said("reconciled")
    await until(lambda: all(n.ledger.last_folded >= 0 for n in mesh.nodes.values()))
    assert [n.ledger.alarm for n in mesh.nodes.values()] == ["", ""]
