"""The story's first part: the council takes its seats and lets three providers in, by vote."""

from __future__ import annotations

import trio

from stkrp2p.adapters.chain.rule import decisions
from stkrp2p.adapters.chain.rule.proposals import OperationState, Outcome, TimelockCall
from stkrp2p.adapters.chain.rule.providers import Application
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.crypto import sha256
from stkrp2p.core.policy import Parameter
from testnet.market_cast import Provider, hand_out
from testnet.market_moves import decide, enact, take_seats
from testnet.market_plan import CAPACITY, DELAY_S, KIND, PROJECT_TYPE, VALUES
from testnet.market_proofs import member_in
from testnet.market_scene import Scene, until_some

SUMMARY = "the first type of projects, and three providers"

PRICE_WEI = 100 * ANKR
"""What providers ask for a node in general (R34); what counts is their bids."""


async def open_market(scene: Scene) -> None:
    """Seat the council, and let it approve providers, who stake."""
    await hand_out(scene.cluster, scene.cast)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_seat, scene)
        for provider in scene.cast.providers:
            nursery.start_soon(_apply, scene, provider)
    proposal = await _decide(scene)
    await _judge(scene, proposal)
    async with trio.open_nursery() as nursery:
        for provider in scene.cast.providers:
            nursery.start_soon(_stake, scene, provider)


async def bind_nodes(scene: Scene) -> None:
    """Let providers bind their nodes, once there is a final epoch (R26)."""
    async with trio.open_nursery() as nursery:
        for provider in scene.cast.providers:
            nursery.start_soon(_bind, scene, provider)


async def _seat(scene: Scene) -> None:
    stake_wei = VALUES[Parameter.GOVERNOR_STAKE_MIN]
    await take_seats([g.chain for g in scene.cast.governors], stake_wei)
    names = ", ".join(g.name for g in scene.cast.governors)
    scene.tell("council", f"{names} stake {stake_wei // ANKR:,} ANKR each and take their seats")


async def _apply(scene: Scene, provider: Provider) -> None:
    said = Application(
        name=provider.name, capacity=CAPACITY, price_wei=PRICE_WEI, details="https://example.org"
    )
    await provider.do(lambda: provider.chain.providers.apply(said))
    scene.tell(provider.name, f"applies as a provider, with {provider.member.entry.name}")


def _calls(scene: Scene) -> list[TimelockCall]:
    market = scene.market
    approvals = [
        decisions.approve_provider(
            market, p.account, name=p.name, tier=p.terms.tier, k_eth_wei=p.terms.k_eth_wei
        )
        for p in scene.cast.providers
    ]
    return [decisions.set_project_type(market, KIND, PROJECT_TYPE), *approvals]


async def _decide(scene: Scene) -> int:
    """Propose, vote, wait, and carry out; return the proposal's number."""
    calls = _calls(scene)
    governors, anybody = [g.chain for g in scene.cast.governors], scene.cast.anybody.chain
    scene.tell("council", f"{scene.cast.governors[0].name} proposes: {SUMMARY}")
    proposal = await decide(governors, anybody, calls, summary=SUMMARY, wait_until=scene.wait_until)
    record = await anybody.proposals.proposal(proposal)
    votes = f"{record.yes} yes, {record.no} no"
    scene.tell("council", f"proposal {proposal}: {votes}; queued in the timelock for {DELAY_S} s")
    await enact(anybody, proposal, wait_until=scene.wait_until)
    for provider in scene.cast.providers:
        scene.tell("timelock", f"lets in {provider.terms.told()}")
    return proposal


async def _judge(scene: Scene, proposal: int) -> None:
    chain = scene.cast.anybody.chain
    record = await chain.proposals.proposal(proposal)
    state = await chain.proposals.operation_state(proposal)
    holders = [await chain.providers.holder(p.name) for p in scene.cast.providers]
    kind = await chain.policy.project_type(KIND)
    held = (
        (record.outcome, state) == (Outcome.PASSED, OperationState.DONE)
        and holders == [p.account for p in scene.cast.providers]
        and kind == PROJECT_TYPE
    )
    scene.find(
        "providers and the type of projects are approved by vote, through the timelock",
        f"proposal {proposal}: {record.yes} of {record.seat_count} seats yes, {len(holders)} approved",
        held=held,
    )


async def _stake(scene: Scene, provider: Provider) -> None:
    stake_wei = provider.terms.stake_wei
    await provider.do(lambda: provider.chain.providers.stake_to(stake_wei))
    scene.tell(provider.name, f"stakes {stake_wei // ANKR:,} ANKR")


async def _bind(scene: Scene, provider: Provider) -> None:
    """Bind the node to a blockchain node, with the proof that it is a member of a final epoch."""
    epoch = await scene.latest_final()
    genesis, own, chain = scene.cluster.genesis, provider.member, provider.chain
    proved = await until_some(lambda: member_in(genesis, own, provider.node, epoch))
    chain_node = sha256(provider.node)
    await provider.do(lambda: chain.providers.add_node(provider.registration, chain_node, proved))
    scene.tell(provider.name, f"binds {own.entry.name}, a member of final epoch {epoch}")
