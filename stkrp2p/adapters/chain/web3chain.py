"""`ports.Chain` on real contracts, and what operators do with them.

Reads follow the contracts' events (`follower.py`), writes go through one account (`wallet.py`), and
both through whichever endpoint works (`endpoint.py`). The anchors' contract takes each epoch once and
in order, so the worst that two submitters can do is to pay for a transaction that reverts.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.calls import Preview, preview_of, send_and_wait, view
from stkrp2p.adapters.chain.challenges import (
    RIGHT,
    Policy,
    challenge_fields,
    header_fields,
    policy_of,
    scoring_fields,
)
from stkrp2p.adapters.chain.endpoint import (
    REQUEST_S_MAX,
    Endpoint,
    Endpoints,
    Refused,
    WrongChain,
    unhex,
)
from stkrp2p.adapters.chain.follower import Follower, latest_block
from stkrp2p.adapters.chain.wallet import (
    BUMP_BLOCKS,
    FEE_WEI_MAX,
    Account,
    Call,
    Fate,
    Receipt,
    Rejected,
    Sent,
    Wallet,
    read_int,
    rejection,
)
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import Challenge
from stkrp2p.core.merkle import words_in
from stkrp2p.core.network import Genesis
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, UnixMs
from stkrp2p.ports import (
    ANCHORS_MAX,
    AnchorRecord,
    ChainState,
    ChainUnavailable,
    RegistrySnapshot,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

CONFIRMATIONS = 64
"""How deep a block must lie to count as final where the endpoint has no `finalized`."""

READ_S_MAX = 60
"""How long one reading call may take; the first one after a start may need several."""


class Web3Chain:
    """The contracts of one network, through its endpoints."""

    def __init__(
        self,
        genesis: Genesis,
        endpoints: Sequence[str],
        *,
        account_key: bytes | None = None,
        deploy_block: int = 0,
        confirmations: int = CONFIRMATIONS,
        request_s_max: float = REQUEST_S_MAX,
        fee_wei_max: int = FEE_WEI_MAX,
    ) -> None:
        """Set up; nothing is loaded or sent before the first call.

        Args:
            genesis: Names chain and contracts.
            endpoints: http(s) addresses, the preferred one first; none switches the chain off.
            account_key: secp256k1 secret of the account that pays, 32 bytes; `None` only reads.
            deploy_block: No event of the contracts is in an earlier block.
            confirmations: See `CONFIRMATIONS`.
            request_s_max: How long one request may take.
            fee_wei_max: Most to offer for a unit of gas.

        Raises:
            ValueError: An endpoint is no http(s) address, or there are too many.
        """
        self._genesis = genesis
        self._endpoints = Endpoints(
            [Endpoint(url, request_s_max=request_s_max) for url in endpoints], self._check
        )
        self._follower = Follower(genesis, deploy_block=deploy_block, confirmations=confirmations)
        self._account = Account(account_key, chain_id=genesis.chain_id, fee_wei_max=fee_wei_max)
        self._anchoring: tuple[bytes, Sent] | None = None
        """What was last sent to be anchored, as data of a call, and its transaction."""

        self._foreign: tuple[int, int] | None = None
        """A nonce that somebody else's transaction of this account waits at, and since which block."""

        self._reading = trio.Lock()
        self._writing = trio.Lock()

    @property
    def state(self) -> ChainState:
        """How the endpoints were at the last call."""
        return self._endpoints.state

    @property
    def detail(self) -> str:
        """Which endpoint is used, and what is wrong with those that are not."""
        return self._endpoints.detail

    def close(self) -> None:
        """Close all connections; call it when nobody uses the chain any more."""
        self._endpoints.close()

    async def registry(self) -> RegistrySnapshot:
        """Return the registry as of the last final block.

        Profiles too are those of that block: they take effect with it, not with an epoch.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        return await self._read(self._follower.registry)

    async def anchors(self, first: Epoch) -> tuple[AnchorRecord, ...]:
        """Return the anchored epochs from `first` on as of the newest block, at most `ANCHORS_MAX`.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        return await self._read(lambda e: self._follower.anchors(e, first, ANCHORS_MAX))

    @property
    def voids(self) -> int:
        """How often the contract had voided an anchor, as of the last `anchors`."""
        return self._follower.voids

    async def _read(self, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        with trio.move_on_after(READ_S_MAX):
            async with self._reading:
                return await self._endpoints.use(work)
        if self.state is ChainState.CONNECTING:
            self._endpoints.detail = f"reading block {self._follower.height}"
        raise ChainUnavailable(f"not read in {READ_S_MAX} s, got to block {self._follower.height}")

    async def is_score_proved(self, header: Header, score: Score, proof: Sequence[bytes]) -> bool:
        """Ask the contract whether the score stands in the anchored root.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        shown = (header_fields(header), words_in(score.leaf()), list(proof))
        return bool(
            await self._endpoints.use(
                lambda e: self._view(e, "ReputationAnchor", "verifyScore", *shown)
            )
        )

    async def challenge(self, challenge: Challenge) -> str:
        """Show the contract that an anchored score is wrong; return the transaction's hash.

        The deposit is approved before if need be. Of a right score it is lost.

        Raises:
            Rejected: The contract will not have it: `rule` says why, `DepositMissing` for one.
            ChainUnavailable: No endpoint took it, or there is no account to pay.
        """
        return (await self.submit_challenge(challenge)).transaction

    async def submit_challenge(self, challenge: Challenge) -> Receipt:
        """Approve the deposit if need be and challenge; raises as `challenge` does."""
        deposit = (await self.policy()).deposit
        if await self.allowance(await self.operator(), "ReputationAnchor") < deposit:
            await self.send(await self.approve(deposit, "ReputationAnchor"))
        return await self.send(await self.preview_challenge(challenge))

    async def fault_of(self, challenge: Challenge) -> int | None:
        """Ask the contract what is wrong with a score, `None` for nothing (`core.fraud`).

        Raises:
            Rejected: The contract would not have the challenge: `rule` says why.
            ChainUnavailable: No endpoint could tell.
        """
        fields = challenge_fields(challenge)

        async def work(endpoint: Endpoint) -> int:
            try:
                return int(await self._view(endpoint, "ReputationAnchor", "faultOf", fields))
            except Refused as error:
                raise rejection(error) from None

        fault = await self._endpoints.use(work)
        return None if fault == RIGHT else fault

    async def submit_anchor(self, header: Header, signature: bytes) -> None:
        """Send the next epoch's anchor unless it is anchored or waiting already.

        Call it until `anchors` shows the epoch: each call looks where the transaction is, sends it
        again, and raises its fee when it waits for long.

        Args:
            header: The epoch's roots.
            signature: The council's, compressed (48 bytes).

        Raises:
            Rejected: The contract will not have it (yet): `rule` says why.
            ChainUnavailable: No endpoint took it, or there is no account to pay.
        """
        try:
            point = bls.g1_uncompressed(signature)
        except ValueError as error:
            raise Rejected("BadCouncilSignature", str(error)) from None
        data = interface("ReputationAnchor").call("anchor", header_fields(header), point)
        call = Call(to=self._genesis.anchor, data=data)
        async with self._writing:
            await self._endpoints.use(lambda e: self._submit(e, header, call))

    async def _submit(self, endpoint: Endpoint, header: Header, call: Call) -> None:
        next_epoch = await self._view(endpoint, "ReputationAnchor", "nextEpoch")
        if header.epoch < next_epoch:
            return
        if header.epoch > next_epoch:
            raise Rejected("EpochNotNext", f"EpochNotNext({header.epoch}, {next_epoch})")
        wallet = await self._account.wallet()
        if self._anchoring is not None and self._anchoring[0] == call.data:
            fate, _ = await wallet.push(endpoint, self._anchoring[1])
            if fate is Fate.WAITING:
                return
            # If it is mined and the epoch is still the next one, it was voided; or it is mined since
            # we asked, and that is found out below.
        async with wallet.sending:
            await self._send_anchor(endpoint, wallet, header, call)

    async def _send_anchor(
        self, endpoint: Endpoint, wallet: Wallet, header: Header, call: Call
    ) -> None:
        if await self._is_foreign_waiting(endpoint, wallet):
            return
        try:
            nonce = await wallet.used_nonces(endpoint, "latest")
            sent = await wallet.prepare(endpoint, call, nonce=nonce)
        except Rejected as error:
            if error.rule == "EpochNotNext":
                return  # another's transaction for this epoch waits in the pool
            raise
        self._anchoring = (call.data, sent)  # before it is sent: an answer may get lost
        await wallet.broadcast(endpoint, sent)
        log.info("anchor sent", extra={"epoch": header.epoch, "transaction": sent.hashes[-1]})

    async def _is_foreign_waiting(self, endpoint: Endpoint, wallet: Wallet) -> bool:
        """Tell whether a transaction of this account that we do not know is in the way.

        It is from before a restart, most likely this very anchor, or an operator's. It gets
        `BUMP_BLOCKS` blocks; then ours takes its nonce, for it may wait for ever.
        """
        used = await wallet.used_nonces(endpoint, "latest")
        if await wallet.used_nonces(endpoint, "pending") == used:
            self._foreign = None
            return False
        height = (await latest_block(endpoint)).height
        if self._foreign is None or self._foreign[0] != used:
            self._foreign = (used, height)
        return height - self._foreign[1] < BUMP_BLOCKS

    # What operators do. Each returns a preview; `send` sends it.

    async def register(
        self, *, node: NodeId, kind: Kind, stake: int, claim: bytes, profile: bytes
    ) -> Preview:
        """Prepare to register a node; the stake must be approved before.

        Args:
            node: Its id.
            kind: What it brings.
            stake: In ANKR wei.
            claim: The node key's signature for `next_nonce`.
            profile: Encoded `Profile`.

        Raises:
            Rejected: The contract would not have it: `rule` says why.
            ChainUnavailable: No endpoint could tell, or there is no account.
        """
        return await self._preview("Registry", "register", node, int(kind), stake, claim, profile)

    async def add_stake(self, index: int, amount: int) -> Preview:
        """Prepare to add to a registration's stake, in ANKR wei; raises as `register` does."""
        return await self._preview("Registry", "addStake", index, amount)

    async def exit(self, index: int) -> Preview:
        """Prepare to take a registration out of the rosters; raises as `register` does."""
        return await self._preview("Registry", "exit", index)

    async def withdraw(self, index: int) -> Preview:
        """Prepare to take the stake of a registration back; raises as `register` does."""
        return await self._preview("Registry", "withdraw", index)

    async def set_addresses(self, index: int, profile: bytes) -> Preview:
        """Prepare to replace a registration's profile; raises as `register` does."""
        return await self._preview("Registry", "setAddresses", index, profile)

    async def approve(self, amount: int, contract: str = "Registry") -> Preview:
        """Prepare to let a contract take up to `amount` ANKR wei; raises as `register` does."""
        return await self._preview("TestAnkr", "approve", self._place_of(contract), amount)

    async def bond(self, amount: int) -> Preview:
        """Prepare to bond as a governor, in ANKR wei approved before; raises as `register` does."""
        return await self._preview("ReputationAnchor", "bond", amount)

    async def unbond(self) -> Preview:
        """Prepare to take our whole bond back; raises as `register` does."""
        return await self._preview("ReputationAnchor", "unbond")

    async def preview_challenge(self, challenge: Challenge) -> Preview:
        """Prepare a challenge; the deposit must be approved before. Raises as `register` does."""
        return await self._preview("ReputationAnchor", "challenge", challenge_fields(challenge))

    async def mint(self, amount: int) -> Preview:
        """Prepare to mint test ANKR for ourselves, in wei; raises as `register` does."""
        wallet = await self._account.wallet()
        return await self._preview("TestAnkr", "mint", f"0x{wallet.address.hex()}", amount)

    async def send(self, preview: Preview) -> Receipt:
        """Send a prepared transaction and wait until it is in a block.

        Raises:
            Rejected: It reverted, or would by now, or another took its place.
            ChainUnavailable: Not mined in `MINED_S_MAX`; it may still be.
        """
        async with self._writing:
            wallet = await self._account.wallet()
            return await send_and_wait(self._endpoints, wallet, preview.call)

    async def _preview(self, contract: str, function: str, *arguments: object) -> Preview:
        data = interface(contract).call
        wallet = await self._account.wallet()

        async def work(endpoint: Endpoint) -> Preview:
            to = await self._address_of(endpoint, contract)
            call = Call(to=to, data=data(function, *arguments))
            return await preview_of(endpoint, wallet, f"{contract}.{function}", call)

        return await self._endpoints.use(work)

    async def operator(self) -> Operator:
        """Return our account's address.

        Raises:
            ChainUnavailable: There is no account.
        """
        return Operator((await self._account.wallet()).address)

    async def next_nonce(self, operator: Operator) -> int:
        """Return which nonce the operator's next claim must carry; raises `ChainUnavailable`."""
        return await self._number("Registry", "nextNonce", operator)

    async def min_stake(self, kind: Kind) -> int:
        """Return the least stake of a member, in ANKR wei; raises `ChainUnavailable`."""
        return await self._number("Registry", "minStake", int(kind))

    async def token_balance(self, operator: Operator) -> int:
        """Return an account's ANKR, in wei; raises `ChainUnavailable`."""
        return await self._number("TestAnkr", "balanceOf", operator)

    async def allowance(self, operator: Operator, contract: str = "Registry") -> int:
        """Return how much of it a contract may take, in wei; raises `ChainUnavailable`."""
        return await self._number("TestAnkr", "allowance", operator, self._place_of(contract))

    async def policy(self) -> Policy:
        """Return what anchors are worth; raises `ChainUnavailable`."""
        fields = await self._endpoints.use(lambda e: self._view(e, "ReputationAnchor", "policy"))
        return policy_of(fields)

    async def pool(self) -> int:
        """Return all governors' bonds together, in ANKR wei; raises `ChainUnavailable`."""
        return await self._number("ReputationAnchor", "pool")

    async def bonded(self, account: Operator) -> int:
        """Return what an account's bond is worth, in ANKR wei; raises `ChainUnavailable`."""
        return await self._number("ReputationAnchor", "bondOf", account)

    async def final_ms(self, epoch: Epoch) -> UnixMs | None:
        """Return from when on an epoch cannot be challenged, `None` if it is not anchored.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        final_s = await self._number("ReputationAnchor", "finalAt", epoch)
        return UnixMs(final_s * 1000) if final_s else None

    async def _number(self, contract: str, function: str, *arguments: object) -> int:
        return int(
            await self._endpoints.use(lambda e: self._view(e, contract, function, *arguments))
        )

    async def _view(
        self, endpoint: Endpoint, contract: str, function: str, *arguments: object
    ) -> Any:  # noqa: ANN401  # one type a function
        to = await self._address_of(endpoint, contract)
        return await view(endpoint, to, contract, function, *arguments)

    def _place_of(self, contract: str) -> bytes:
        places = {"Registry": self._genesis.registry, "ReputationAnchor": self._genesis.anchor}
        return places[contract]

    async def _address_of(self, endpoint: Endpoint, contract: str) -> bytes:
        if contract != "TestAnkr":
            return self._place_of(contract)
        token = await view(endpoint, self._genesis.registry, "Registry", "TOKEN")
        return unhex(str(token))

    async def _check(self, endpoint: Endpoint) -> None:
        """Check that an endpoint is on our chain and that the contracts there are this network's.

        Raises:
            WrongChain: They are not.
            EndpointFailed: The endpoint did not tell.
        """
        chain_id = await endpoint.ask("eth_chainId", parse=read_int)
        if chain_id != self._genesis.chain_id:
            raise WrongChain(f"chain {chain_id}, we are on {self._genesis.chain_id}")
        expected = (self._genesis.start_ms(Epoch(0)), self._genesis.params.epoch_ms)
        for contract in ("Registry", "ReputationAnchor"):
            address = await self._address_of(endpoint, contract)
            if not await endpoint.code(address):
                raise WrongChain(f"no contract at 0x{address.hex()}")
            clock = [await view(endpoint, address, contract, n) for n in ("GENESIS_MS", "EPOCH_MS")]
            if tuple(clock) != expected:
                raise WrongChain(f"{contract} at 0x{address.hex()} is another network's")
        key = await view(endpoint, self._genesis.anchor, "ReputationAnchor", "councilKey")
        if key != bls.g2_uncompressed(self._genesis.council_key):
            raise WrongChain("the anchors' contract has another council's key")
        scoring = await view(endpoint, self._genesis.anchor, "ReputationAnchor", "scoring")
        if scoring != scoring_fields(self._genesis.params):
            raise WrongChain("the anchors' contract has another preset")
