"""The contracts on a real anvil: deployed from the package's artifacts, called, and timed at will.

For tests and measurements that need a contract and no network of nodes. The council is one made-up
key; epochs are MINIMAL's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from stkrp2p.adapters.artifacts import Artifact, load
from stkrp2p.adapters.chain.challenges import header_fields
from stkrp2p.adapters.deploy import Plan, Policy, anchor_setup
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Round, UnixMs
from testnet import anvil

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress
    from hexbytes import HexBytes
    from web3.contract import Contract
    from web3.contract.contract import ContractFunction
    from web3.types import TxReceipt

SECRET = 0xC0FFEE
"""The made-up council's key."""

EPOCH_MS = MINIMAL.epoch_ms
FIRST_ROUND = Round(51)

WEALTH = 10**27
"""How much of the token there is, in its smallest unit."""

PHASE_S = 60
_SCORE_NUMBERS = 15
_POLL_S = 0.01


class Reverted(Exception):
    """A transaction was mined and failed."""


class Chain:
    """What a test does with a chain; the first account deploys and pays for all."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.accounts: list[ChecksumAddress] = list(web3.eth.accounts)

    def deploy(self, name: str, *arguments: object) -> Contract:
        """Deploy a contract of the package by its name."""
        return self.create(load(name), *arguments)

    def create(self, artifact: Artifact, *arguments: object) -> Contract:
        """Deploy any contract."""
        factory = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self._mined(factory.constructor(*arguments).transact({"from": self.accounts[0]}))
        return factory(receipt["contractAddress"])

    def send(self, call: ContractFunction, account: int = 0) -> TxReceipt:
        """Send a call as a transaction and return its receipt.

        Raises:
            Reverted: It failed.
        """
        receipt = self._mined(call.transact({"from": self.accounts[account]}))
        if receipt["status"] != 1:
            raise Reverted(f"{call.fn_name} failed")
        return receipt

    def warp(self, timestamp_s: int) -> None:
        """Mine a block of that time."""
        provider = self.web3.provider
        if isinstance(provider, HTTPProvider):
            provider.make_request(RPCEndpoint("evm_setNextBlockTimestamp"), [timestamp_s])
            provider.make_request(RPCEndpoint("evm_mine"), [])

    @property
    def now_s(self) -> int:
        """The newest block's time, Unix seconds."""
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def _mined(self, transaction: HexBytes) -> TxReceipt:
        return self.web3.eth.wait_for_transaction_receipt(transaction, poll_latency=_POLL_S)


@contextmanager
def running_chain(log_path: Path) -> Iterator[Chain]:
    """Run a fresh anvil for the time of the context.

    Raises:
        AnvilMissing: There is no anvil on this machine.
        AnvilFailed: It did not start.
    """
    with anvil.running(anvil.Options(), log_path=log_path) as node:
        yield Chain(Web3(HTTPProvider(node.url)))


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchor contract, and a council of one."""

    chain: Chain
    contract: Contract
    genesis: Genesis
    token: Contract
    """The stand-in for ANKR; account 0 has all of it."""

    def fund(self, account: int, amount: int) -> None:
        """Give an account some of the token, and let the contract take it."""
        give = self.token.functions.transfer(self.chain.accounts[account], amount)
        self.chain.send(give)
        self.chain.send(self.token.functions.approve(self.contract.address, amount), account)

    def sealed_s(self, epoch: int) -> int:
        """When the core seals an epoch: its last round and the settle rounds are due."""
        return self.genesis.beacon.due_ms(self.genesis.clock.seal(Epoch(epoch))) // 1000

    def settle(self, epoch: int) -> None:
        """Let the time come when an epoch may be anchored."""
        self.chain.warp(self.sealed_s(epoch))

    def sign(self, header: Header, secret: int = SECRET) -> bytes:
        """Return the council's signature, 128 bytes."""
        message = anchor_message(self.genesis, header, self.contract.functions.voids().call())
        return bls.g1_uncompressed(bls.sign(secret, message, bls.ANCHOR_DST))

    def call(self, header: Header, signature: bytes) -> ContractFunction:
        """Return the call that anchors a header."""
        return self.contract.functions.anchor(header_fields(header), signature)

    def anchor(self, header: Header) -> TxReceipt:
        """Sign a header and anchor it.

        Raises:
            Reverted: The contract refused it.
        """
        return self.chain.send(self.call(header, self.sign(header)))


def deploy_anchors(
    chain: Chain, start_s: int, *, params: Params = MINIMAL, policy: Policy | None = None
) -> Anchors:
    """Deploy as a network does whose epoch 0 starts at `start_s`.

    Accounts 1 to 3 sit in the council.
    """
    key = bls.public_key_of(SECRET)
    token = chain.deploy("TestAnkr", WEALTH)
    seats = [(account, keccak256(account.encode())) for account in chain.accounts[1:4]]
    council = chain.deploy("CouncilKeys", seats, PHASE_S)
    genesis_ms = UnixMs(start_s * 1000 - (FIRST_ROUND - 1) * params.period_ms)
    plan = Plan(
        name="test",
        params=params,
        beacon=Beacon(public_key=key, genesis_ms=genesis_ms, period_ms=params.period_ms),
        first_round=FIRST_ROUND,
        council_key=key,
        council=address(council),
        policy=policy or Policy(),
    )
    contract = chain.deploy("ReputationAnchor", anchor_setup(plan, address(token)))
    genesis = Genesis(
        name=plan.name,
        params=plan.params,
        beacon=plan.beacon,
        first_round=plan.first_round,
        chain_id=chain.web3.eth.chain_id,
        registry=bytes(20),
        anchor=address(contract),
        council=plan.council,
        council_key=key,
    )
    return Anchors(chain, contract, genesis, token)


def address(contract: Contract) -> bytes:
    """Return where a contract is, 20 bytes."""
    return bytes.fromhex(contract.address[2:])


def header_of(epoch: int, **changes: object) -> Header:
    """Return a made-up header, with some fields as named."""
    header = Header(
        epoch=epoch,
        roster_root=keccak256(b"roster_root %d" % epoch),
        proposal_hash=keccak256(b"proposal_hash %d" % epoch),
        evidence_root=keccak256(b"evidence_root %d" % epoch),
        score_root=keccak256(b"score_root %d" % epoch),
        median_ppm=987_654,
        is_void=False,
    )
    return msgspec.structs.replace(header, **changes)


def score_of(index: int) -> Score:
    """Return a score whose every number is there and as long as real ones."""
    numbers = (1_000_000 + index + place for place in range(_SCORE_NUMBERS))
    return Score(keccak256(b"node %d" % index), *numbers)
