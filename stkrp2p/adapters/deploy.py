"""Deploying the contracts of a local network.

A network's genesis names its contracts, and the contracts are told the network's clock and the
council's key when they are deployed. So: deploy the council's bulletin board, let the council make
its key on it, decide the clock, deploy the rest, then write the genesis.
Public networks are deployed by hand, and stake real ANKR; this stakes a token anyone can mint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.assignment import network_of
from stkrp2p.adapters.chain.calls import send_and_wait
from stkrp2p.adapters.chain.challenges import ANKR, Policy, policy_fields, scoring_fields
from stkrp2p.adapters.chain.endpoint import Endpoint, Endpoints
from stkrp2p.adapters.chain.wallet import Call, Receipt, Wallet, read_int
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, EpochClock
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import Params
from stkrp2p.core.types import Epoch, NodeId, Round
from stkrp2p.ports import ChainUnavailable

__all__ = ["ANKR", "Deployed", "Plan", "Policy", "anchor_setup", "deploy", "deploy_council"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A network before it has contracts."""

    name: str
    params: Params
    beacon: Beacon
    first_round: Round
    council_key: bytes
    """Compressed BLS key in G2, 96 bytes."""

    council: bytes = bytes(20)
    """Address of `CouncilKeys` (`deploy_council`). Without one nobody can bond."""

    policy: Policy = field(default_factory=Policy)
    min_stake_full: int = 100_000 * ANKR
    min_stake_light: int = 10_000 * ANKR
    """In ANKR wei."""

    unbonding_epochs: int = 8

    @property
    def start_ms(self) -> int:
        """When epoch 0 starts."""
        clock = EpochClock(first_round=self.first_round, params=self.params)
        return self.beacon.due_ms(clock.first(Epoch(0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A network with contracts."""

    genesis: Genesis
    token: bytes
    """Address of `TestAnkr`, 20 bytes."""

    beacon_verifier: bytes
    """Address of `BeaconVerifier`, 20 bytes."""

    assignment_verifier: bytes
    """Address of `AssignmentVerifier`, 20 bytes."""

    block: int
    """The block before which there is no event of these contracts."""


async def deploy(url: str, account_key: bytes, plan: Plan) -> Deployed:
    """Deploy a network's contracts, five transactions.

    Args:
        url: JSON-RPC of the chain, http or https.
        account_key: secp256k1 secret of an account with ether, 32 bytes.
        plan: The network.

    Raises:
        ChainUnavailable: The endpoint failed, or a transaction did.
    """
    async with deploying(url, account_key) as deployer:
        return await _deploy(deployer, plan)


async def deploy_council(
    url: str, account_key: bytes, governors: Sequence[tuple[bytes, NodeId]], *, phase_s: int
) -> tuple[bytes, int]:
    """Deploy a council's bulletin board, one transaction; return its address and its block.

    Args:
        url: JSON-RPC of the chain, http or https.
        account_key: secp256k1 secret of an account with ether, 32 bytes.
        governors: The first council: an odd number of (account, node id).
        phase_s: How long a phase of a ceremony lasts at the most.

    Raises:
        ChainUnavailable: The endpoint failed, or the transaction did.
    """
    async with deploying(url, account_key) as deployer:
        return await deployer.create("CouncilKeys", governors, phase_s)


@dataclass(frozen=True, slots=True)
class Deployer:
    """An account that deploys."""

    endpoints: Endpoints
    wallet: Wallet
    chain_id: int

    async def create(self, contract: str, *arguments: object) -> tuple[bytes, int]:
        """Deploy a contract; return its address and its block."""
        receipt = await self.send(Call(to=None, data=interface(contract).creation(*arguments)))
        if receipt.contract is None:
            raise ChainUnavailable(f"deploying {contract} gave no address")
        return receipt.contract, receipt.block

    async def send(self, call: Call) -> Receipt:
        """Send a transaction and wait until it is in a block; raises `ChainUnavailable`."""
        return await send_and_wait(self.endpoints, self.wallet, call)


@asynccontextmanager
async def deploying(url: str, account_key: bytes) -> AsyncIterator[Deployer]:
    """Open an account that deploys, on a chain that nobody knows yet.

    Args:
        url: JSON-RPC of the chain, http or https.
        account_key: secp256k1 secret of an account with ether, 32 bytes.

    Raises:
        ChainUnavailable: The endpoint does not answer.
    """
    endpoints = Endpoints([Endpoint(url)], _no_check)
    try:
        chain_id = await endpoints.use(lambda e: e.ask("eth_chainId", parse=read_int))
        wallet = await trio.to_thread.run_sync(lambda: Wallet(account_key, chain_id=chain_id))
        yield Deployer(endpoints, wallet, chain_id)
    finally:
        endpoints.close()


def anchor_setup(plan: Plan, token: bytes) -> tuple[object, ...]:
    """Return what `ReputationAnchor` is told when it is deployed.

    Args:
        plan: The network.
        token: Address of the token that is bonded, 20 bytes.
    """
    # An epoch ends as the next one's first round falls due; the sealing round is that much later.
    settle_ms = (plan.params.settle_rounds - 1) * plan.params.period_ms
    clock = (plan.start_ms, plan.params.epoch_ms, settle_ms)
    key = bls.g2_uncompressed(plan.council_key)
    places = (plan.council, token)
    return (key, *clock, *places, policy_fields(plan.policy), scoring_fields(plan.params))


async def _deploy(deployer: Deployer, plan: Plan) -> Deployed:
    create = deployer.create
    clock = (plan.start_ms, plan.params.epoch_ms)
    stakes = (plan.min_stake_full, plan.min_stake_light, plan.unbonding_epochs)
    token, _ = await create("TestAnkr", 0)
    registry, block = await create("Registry", token, *clock, *stakes)
    anchor, _ = await create("ReputationAnchor", anchor_setup(plan, token))
    verifier, _ = await create("BeaconVerifier", bls.g2_uncompressed(plan.beacon.public_key))
    genesis = Genesis(
        name=plan.name,
        params=plan.params,
        beacon=plan.beacon,
        first_round=plan.first_round,
        chain_id=deployer.chain_id,
        registry=registry,
        anchor=anchor,
        council=plan.council,
        council_key=plan.council_key,
    )
    places = network_of(genesis, beacon=verifier)
    assignment, _ = await create("AssignmentVerifier", places)
    return Deployed(
        genesis=genesis,
        token=token,
        beacon_verifier=verifier,
        assignment_verifier=assignment,
        block=block,
    )


async def _no_check(endpoint: Endpoint) -> None:
    """There is nothing to check yet on the chain that is about to get the contracts."""
