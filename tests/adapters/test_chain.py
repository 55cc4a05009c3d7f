"""The chain adapter on a real anvil: registry, anchors, operators' transactions."""

import subprocess
import sys

import pytest
import trio

from stkrp2p.adapters.chain import Rejected, Web3Chain
from stkrp2p.adapters.chain.calls import view
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core import bls, merkle
from stkrp2p.core.anchor import Header
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId
from stkrp2p.ports import ChainState, ChainUnavailable
from tests.adapters.chain_kit import (
    ALICE,
    BOB,
    COUNCIL,
    STAKE,
    Net,
    block,
    epoch_now,
    fund,
    hold_blocks,
    make_final,
    mine,
    network,
    node,
    register,
    rpc,
)

pytestmark = pytest.mark.chain

FEES = ("maxFeePerGas", "maxPriorityFeePerGas")


@pytest.fixture
def url(net: Net) -> str:
    return net.url


async def test_a_registration_is_in_the_snapshot_once_its_block_is_final(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    await register(net, chain, "alice", profile=b"where")
    assert (await chain.registry()).registrations == ()

    make_final(net.url)
    snapshot = await chain.registry()
    (entry,) = snapshot.registrations
    assert (entry.index, entry.nonce, entry.kind) == (0, 0, Kind.FULL)
    assert (entry.node, entry.operator) == (node("alice"), await chain.operator())
    assert (entry.profile, entry.exit_epoch) == (b"where", None)
    assert [stake for _, stake in entry.stakes] == [STAKE]
    final = block(net.url, "finalized")
    assert snapshot.block == int(final["number"], 16)
    assert snapshot.block_ms == int(final["timestamp"], 16) * 1000
    assert (chain.state, chain.detail) == (ChainState.OK, net.url.removeprefix("http://"))


async def test_a_registration_counts_three_epochs_later_and_its_claim_is_true(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    await register(net, chain, "alice")
    first = epoch_now(net) + 3
    make_final(net.url)
    registry = (await chain.registry()).registrations
    assert registry[0].first_epoch == first
    assert len(roster_of(net.genesis.network_id, Epoch(first - 1), registry)) == 0
    assert len(roster_of(net.genesis.network_id, Epoch(first), registry)) == 1


async def test_what_is_registered_before_the_network_starts_counts_from_epoch_0(url: str) -> None:
    async with network(url, started_s_ago=-1_000) as net:
        chain = net.chain()
        await fund(chain)
        await register(net, chain, "alice")
        await chain.send(await chain.add_stake(0, ANKR))
        make_final(url)
        (entry,) = (await chain.registry()).registrations
        assert entry.stakes == ((0, STAKE + ANKR),)


async def test_added_stake_counts_from_the_epoch_the_contract_names(url: str) -> None:
    async with network(url, started_s_ago=-1_000) as net:
        chain = net.chain()
        await fund(chain)
        await register(net, chain, "alice")
        rpc(url, "evm_increaseTime", 1_100)
        await chain.send(await chain.add_stake(0, 5 * ANKR))
        second = epoch_now(net) + 3
        rpc(url, "evm_increaseTime", 120)
        await chain.send(await chain.add_stake(0, 7 * ANKR))
        third = epoch_now(net) + 3
        make_final(url)
        (entry,) = (await chain.registry()).registrations
        assert entry.stakes == ((0, STAKE), (second, STAKE + 5 * ANKR), (third, STAKE + 12 * ANKR))


async def test_who_exits_is_out_three_epochs_later_and_may_come_back(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    await register(net, chain, "alice")
    await chain.send(await chain.exit(0))
    out = epoch_now(net) + 3
    await register(net, chain, "alice", kind=Kind.LIGHT)
    make_final(net.url)
    old, new = (await chain.registry()).registrations
    assert old.exit_epoch == out
    assert (new.index, new.nonce, new.kind) == (1, 1, Kind.LIGHT)


async def test_a_new_profile_replaces_the_old_one_at_once(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    await register(net, chain, "alice", profile=b"old")
    await chain.send(await chain.set_addresses(0, b"new"))
    make_final(net.url)
    (entry,) = (await chain.registry()).registrations
    assert entry.profile == b"new"


async def test_the_stake_comes_back_after_the_bond(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    operator = await chain.operator()
    before = await chain.token_balance(operator)
    await register(net, chain, "alice")
    await chain.send(await chain.exit(0))
    with pytest.raises(Rejected, match="StillBonded") as caught:
        await chain.withdraw(0)
    assert caught.value.rule == "StillBonded"
    rpc(net.url, "evm_increaseTime", 12 * 12)
    mine(net.url)
    await chain.send(await chain.withdraw(0))
    assert await chain.token_balance(operator) == before


async def test_the_events_tell_the_roster_that_the_contract_shows(net: Net) -> None:
    alice, bob = net.chain(key=ALICE), net.chain(key=BOB)
    await fund(alice)
    await fund(bob)
    for i in range(3):
        await register(net, alice, f"a{i}")
        await register(net, bob, f"b{i}", kind=Kind.LIGHT)
        rpc(net.url, "evm_increaseTime", 12)
    await alice.send(await alice.exit(0))
    await bob.send(await bob.add_stake(1, ANKR))
    make_final(net.url)
    registry = (await alice.registry()).registrations
    for epoch in range(epoch_now(net) - 2, epoch_now(net) + 5):
        shown = await alice._endpoints.use(
            lambda e, at=epoch: view(e, net.genesis.registry, "Registry", "rosterAt", at, 0, 100)
        )
        ours = [
            (r.index, r.node, f"0x{r.operator.hex()}", r.nonce, r.kind, r.stake_at(Epoch(epoch)))
            for r in registry
            if r.is_active(Epoch(epoch))
        ]
        assert [tuple(entry) for entry in shown] == ours


async def test_an_old_deployment_is_read_in_bounded_ranges(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.follower.RANGE_BLOCKS_MAX", 7)
    chain = net.chain()
    await fund(chain)
    for i in range(4):
        await register(net, chain, f"n{i}")
        mine(net.url, 20)
    snapshot = await chain.registry()
    assert [r.node for r in snapshot.registrations] == [node(f"n{i}") for i in range(4)]


async def test_an_anchored_header_reads_back_as_it_was_signed(net: Net) -> None:
    chain = net.chain()
    assert await chain.anchors(Epoch(0)) == ()
    headers = [await net.anchor(chain, epoch) for epoch in range(5)]
    records = await chain.anchors(Epoch(0))
    assert [r.header for r in records] == headers
    assert [r.is_final for r in records] == [True, True, True, False, False]
    receipt = rpc(net.url, "eth_getTransactionReceipt", records[3].transaction)
    assert int(receipt["blockNumber"], 16) == records[3].block
    assert [r.header for r in await chain.anchors(Epoch(2))] == headers[2:]
    assert [r.header for r in await chain.anchors(Epoch(4))] == headers[4:]
    assert await chain.anchors(Epoch(5)) == ()


async def test_one_call_returns_at_most_so_many_anchors(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.web3chain.ANCHORS_MAX", 3)
    chain = net.chain()
    for epoch in range(5):
        await net.anchor(chain, epoch)
    assert [r.header.epoch for r in await chain.anchors(Epoch(0))] == [0, 1, 2]
    assert [r.header.epoch for r in await chain.anchors(Epoch(3))] == [3, 4]


async def test_an_anchor_fits_in_200_000_gas(net: Net) -> None:
    chain = net.chain()
    for epoch in range(2):
        await net.anchor(chain, epoch)
    for log in net.anchored_logs():
        receipt = rpc(net.url, "eth_getTransactionReceipt", log["transactionHash"])
        assert int(receipt["gasUsed"], 16) < 200_000


async def test_an_epoch_submitted_by_many_at_once_is_anchored_once(net: Net) -> None:
    header = net.header(0)
    same = net.chain()
    chains = [same, same, net.chain(), net.chain(key=BOB), net.chain(key=BOB)]

    async def submit(chain: Web3Chain) -> None:
        for _ in range(3):
            await chain.submit_anchor(header, net.seal(header))

    async with trio.open_nursery() as nursery:
        for chain in chains:
            nursery.start_soon(submit, chain)
    await net.mined()
    assert len(net.anchored_logs()) == 1
    assert [r.header for r in await same.anchors(Epoch(0))] == [header]


async def test_an_epoch_that_waits_in_the_pool_is_not_sent_again(net: Net) -> None:
    hold_blocks(net.url)
    header = net.header(0)
    alice, restarted, bob = net.chain(), net.chain(), net.chain(key=BOB)
    for chain in (alice, alice, restarted, restarted, bob, alice):
        await chain.submit_anchor(header, net.seal(header))
    status = rpc(net.url, "txpool_status")
    assert (int(status["pending"], 16), int(status["queued"], 16)) == (1, 0)
    mine(net.url)
    assert len(net.anchored_logs()) == 1


async def test_a_transaction_that_waits_for_long_is_offered_at_a_higher_fee(net: Net) -> None:
    chain = net.chain()
    hold_blocks(net.url)
    header = await net.submit(chain, 0)
    rpc(net.url, "anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
    mine(net.url)
    assert net.anchored_logs() == []
    for _ in range(12):  # its base fee falls by an eighth a block
        await chain.submit_anchor(header, net.seal(header))
        mine(net.url)
    assert len(net.anchored_logs()) == 1
    fate = chain._anchoring
    assert fate is not None
    assert len(fate[1].hashes) > 1


async def test_a_fee_above_the_limit_is_never_offered(net: Net) -> None:
    chain = net.chain(fee_wei_max=5 * 10**9)
    hold_blocks(net.url)
    header = await net.submit(chain, 0)
    for _ in range(10):
        rpc(net.url, "anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
        mine(net.url)
        await chain.submit_anchor(header, net.seal(header))
    fate = chain._anchoring
    assert fate is not None
    assert fate[1].fee_wei <= 5 * 10**9
    assert net.anchored_logs() == []


async def test_a_reorganised_anchor_disappears_and_is_anchored_again_once(net: Net) -> None:
    chain = net.chain()
    headers = [await net.anchor(chain, epoch) for epoch in range(4)]
    assert len(await chain.anchors(Epoch(0))) == 4

    rpc(net.url, "anvil_reorg", 1, [])
    assert [r.header for r in await chain.anchors(Epoch(0))] == headers[:3]
    await net.anchor(chain, 3)
    await net.anchor(chain, 3)
    mine(net.url)
    assert [r.header for r in await chain.anchors(Epoch(0))] == headers
    assert len(net.anchored_logs()) == 4


async def test_several_reorganised_anchors_come_back_in_order(net: Net) -> None:
    chain = net.chain()
    headers = [await net.anchor(chain, epoch) for epoch in range(5)]
    rpc(net.url, "anvil_rollback", 2)
    assert [r.header for r in await chain.anchors(Epoch(0))] == headers[:3]
    with pytest.raises(Rejected, match=r"EpochNotNext\(4, 3\)"):
        await net.anchor(chain, 4)
    await net.anchor(chain, 3)
    await net.anchor(chain, 4)
    assert [r.header for r in await chain.anchors(Epoch(0))] == headers
    assert len(net.anchored_logs()) == 5


async def test_a_final_block_that_is_replaced_all_the_same_is_read_again(net: Net) -> None:
    chain = net.chain()
    await fund(chain)
    await register(net, chain, "alice")
    make_final(net.url)
    assert len((await chain.registry()).registrations) == 1
    height = int(rpc(net.url, "eth_blockNumber"), 16)
    rpc(net.url, "anvil_rollback", 5)
    with pytest.raises(ChainUnavailable, match="lacks final block"):
        await chain.registry()
    mine(net.url, height)
    await trio.sleep(0.6)
    assert (await chain.registry()).registrations == ()


async def test_a_score_is_proved_by_the_contract(net: Net) -> None:
    scores = [Score(node=node(name), nonce=0, s=i, n=9) for i, name in enumerate("abc")]
    tree = merkle.Tree(s.leaf() for s in scores)
    header = Header(
        epoch=0,
        roster_root=bytes(32),
        proposal_hash=bytes(32),
        evidence_root=bytes(32),
        score_root=tree.root,
        median_ppm=0,
        is_void=False,
    )
    chain = net.chain()
    proof = tree.proof(scores[1].leaf())
    assert not await chain.is_score_proved(header, scores[1], proof)
    await chain.submit_anchor(header, net.seal(header))
    await net.mined()
    assert await chain.is_score_proved(header, scores[1], proof)
    assert not await chain.is_score_proved(header, scores[0], proof)


async def test_a_rejected_transaction_names_the_rule(net: Net) -> None:
    chain = net.chain()
    call = {"kind": Kind.FULL, "claim": bytes(64), "profile": b""}
    cases = {
        "ERC20InsufficientAllowance": chain.register(node=node("a"), stake=STAKE, **call),
        "StakeTooLow": chain.register(node=node("a"), stake=1, **call),
        "ZeroNodeId": chain.register(node=NodeId(bytes(32)), stake=STAKE, **call),
        "NoSuchRegistration": chain.exit(7),
        "FaucetExceeded": chain.mint(10**30),
        "BadCouncilSignature": chain.submit_anchor(
            net.header(0), bls.sign(COUNCIL, b"else", bls.ANCHOR_DST)
        ),
        "BadCouncilSignature ": chain.submit_anchor(net.header(0), b"\xff" * 48),
        "EpochNotNext": chain.submit_anchor(net.header(1), net.seal(net.header(1))),
    }
    for rule, attempt in cases.items():
        with pytest.raises(Rejected) as caught:
            await attempt
        assert caught.value.rule == rule.strip()
        assert chain.state is ChainState.OK


async def test_an_epoch_is_not_anchored_before_it_is_settled(url: str) -> None:
    async with network(url, started_s_ago=0) as net:
        chain = net.chain()
        with pytest.raises(Rejected, match="EpochNotSettled"):
            await net.anchor(chain, 0)
        rpc(url, "evm_increaseTime", 12 + 5)
        mine(url)
        await net.anchor(chain, 0)
        assert len(net.anchored_logs()) == 1


async def test_a_preview_says_at_least_what_it_costs(net: Net) -> None:
    chain = net.chain()
    preview = await chain.mint(ANKR)
    receipt = await chain.send(preview)
    assert preview.what == "TestAnkr.mint"
    assert receipt.gas_used <= preview.gas <= 2 * receipt.gas_used
    after = await chain.mint(ANKR)
    assert 0 < preview.balance_wei - after.balance_wei <= preview.cost_wei_max


async def test_an_account_without_ether_is_told_so(net: Net) -> None:
    chain = net.chain(key=b"\7" * 32)
    with pytest.raises(Rejected):
        await net.anchor(chain, 0)
    assert net.anchored_logs() == []


async def test_without_an_account_there_is_reading_only(net: Net) -> None:
    chain = net.chain(key=None)
    with pytest.raises(ChainUnavailable, match="no account"):
        await net.anchor(chain, 0)
    assert await chain.anchors(Epoch(0)) == ()
    assert chain.state is ChainState.OK


async def test_without_an_endpoint_the_chain_is_off(net: Net) -> None:
    chain = Web3Chain(net.genesis, ())
    assert chain.state is ChainState.OFF
    with pytest.raises(ChainUnavailable, match="no endpoint is configured"):
        await chain.registry()
    assert chain.state is ChainState.OFF


async def test_an_operator_learns_that_another_transaction_took_the_nonce(net: Net) -> None:
    chain = net.chain()
    preview = await chain.mint(ANKR)
    hold_blocks(net.url)

    async def replace() -> None:
        pool = rpc(net.url, "txpool_content")["pending"]
        while not pool:
            await trio.sleep(0.02)
            pool = rpc(net.url, "txpool_content")["pending"]
        ((sender, waiting),) = pool.items()
        (sent,) = waiting.values()
        fees = {name: hex(2 * int(sent[name], 16)) for name in FEES}
        rpc(
            net.url,
            "eth_sendTransaction",
            {"from": sender, "to": sender, "nonce": sent["nonce"], **fees},
        )
        mine(net.url)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(replace)
        with pytest.raises(Rejected, match="was replaced"):
            await chain.send(preview)


async def test_an_operator_learns_that_a_transaction_was_undone(net: Net) -> None:
    alice, bob = net.chain(), net.chain()
    await fund(alice)
    await register(net, alice, "alice")
    hold_blocks(net.url)
    preview = await alice.exit(0)
    operator = f"0x{(await alice.operator()).hex()}"
    # The same exit goes first: ours is in order when it is sent, and is not when it is mined.
    call = {
        "from": operator,
        "to": f"0x{preview.call.to.hex()}",
        "data": f"0x{preview.call.data.hex()}",
    }
    rpc(net.url, "evm_setAutomine", *[True])
    rpc(net.url, "eth_sendTransaction", call)
    await net.mined()
    with pytest.raises(Rejected, match="NotActive"):
        await alice.send(preview)
    with pytest.raises(Rejected, match="NotActive"):
        await bob.exit(0)


async def test_what_is_not_mined_in_time_is_named(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.calls.MINED_S_MAX", 0.5)
    chain = net.chain()
    preview = await chain.mint(ANKR)
    hold_blocks(net.url)
    with pytest.raises(ChainUnavailable, match=r"0x\w{64} is not mined: still waiting"):
        await chain.send(preview)


async def test_reading_that_takes_too_long_says_how_far_it_got(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.web3chain.READ_S_MAX", 0)
    chain = net.chain(deploy_block=5)
    with pytest.raises(ChainUnavailable, match="not read in 0 s, got to block 4"):
        await chain.registry()
    assert (chain.state, chain.detail) == (ChainState.CONNECTING, "reading block 4")


@pytest.mark.parametrize("deploy_block", [0, 1, 2, 50])
async def test_reading_starts_at_the_deploy_block(net: Net, deploy_block: int) -> None:
    chain = net.chain(deploy_block=deploy_block)
    before = await chain.registry()
    assert before.registrations == ()
    await fund(chain)
    await register(net, chain, "alice")
    make_final(net.url)
    snapshot = await chain.registry()
    assert [r.node for r in snapshot.registrations] == [node("alice")]
    assert snapshot.block > before.block


async def test_an_operator_sees_what_it_has(net: Net) -> None:
    chain = net.chain()
    operator = await chain.operator()
    assert await chain.token_balance(operator) == 0
    await fund(chain, 3 * STAKE)
    assert await chain.token_balance(operator) == 3 * STAKE
    assert await chain.allowance(operator) == 3 * STAKE
    assert await chain.min_stake(Kind.FULL) == STAKE
    assert await chain.min_stake(Kind.LIGHT) == STAKE // 10


def test_the_libraries_leave_the_recursion_limit_alone() -> None:
    """They raise it to 100,000: a nested answer then overflows the stack and ends the process."""
    code = (
        "import json, sys; from stkrp2p.adapters import libraries; libraries.load(); "
        "assert 'py_ecc' in sys.modules; sys.exit(sys.getrecursionlimit() != 1000)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_web3_is_loaded_by_the_first_call_only() -> None:
    code = (
        "import sys, stkrp2p.adapters.chain, stkrp2p.adapters.deploy; "
        "sys.exit(bool({'web3', 'eth_abi', 'eth_account'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
