"""`ports.Board` on the contract `CouncilKeys`.

A council makes its keys before there is a network, so the board knows a chain and a contract and no
genesis. Each post first looks whether it stands there already; the contract itself takes none twice.
One account may post here and send anchors at the same time (`Wallet.sending`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import trio

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.calls import (
    MINED_POLL_S_MAX,
    MINED_S_MAX,
    Preview,
    preview_of,
    send_and_wait,
    view,
)
from stkrp2p.adapters.chain.endpoint import (
    REQUEST_S_MAX,
    Endpoint,
    Endpoints,
    WrongChain,
    unhex,
)
from stkrp2p.adapters.chain.wallet import FEE_WEI_MAX, Account, Call, Rejected, read_int
from stkrp2p.core.group import GOVERNORS_MAX
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.types import NodeId, UnixMs
from stkrp2p.ports import (
    BoardSession,
    ChainState,
    Governor,
    Justification,
    Phase,
    SittingCouncil,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

CONTRACT = "CouncilKeys"

RESHARE = 1
"""The contract's number for a session that deals the keys anew."""

_PHASES: Mapping[int, Phase] = dict(enumerate(Phase))
"""By the contract's number."""

_ENDS = {
    Phase.DEAL: "dealEndsAt",
    Phase.RESPOND: "respondEndsAt",
    Phase.JUSTIFY: "justifyEndsAt",
    Phase.CONFIRM: "confirmEndsAt",
}

_ALREADY = {
    "postDeal": "AlreadyDealt",
    "respond": "AlreadyResponded",
    "justify": "AlreadyJustified",
    "confirm": "AlreadyConfirmed",
}
"""The contract's rule against a second post, by function."""

_GAS_MORE = {
    "support": 150_000,
    "postDeal": 20_000,
    "respond": 20_000,
    "justify": 20_000,
    "confirm": 120_000,
}
"""What each costs more than it seems to if, when it is mined, it is the last that was waited for."""

_GAS_LEAVER = 35_000
"""What a seat costs in addition for each governor that leaves."""

_Posted = Callable[[BoardSession], object]
"""Reads from a session what we have posted; `None` if nothing."""


class Web3Board:
    """The bulletin board of one council, through its chain's endpoints."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        chain_id: int,
        contract: bytes,
        account_key: bytes | None = None,
        request_s_max: float = REQUEST_S_MAX,
        fee_wei_max: int = FEE_WEI_MAX,
    ) -> None:
        """Set up; nothing is loaded or sent before the first call.

        Args:
            endpoints: http(s) addresses, the preferred one first.
            chain_id: The chain they must be on.
            contract: The board's address there, 20 bytes.
            account_key: secp256k1 secret of the account that posts, 32 bytes; `None` only reads.
            request_s_max: How long one request may take.
            fee_wei_max: Most to offer for a unit of gas.

        Raises:
            ValueError: An endpoint is no http(s) address, or there are too many.
        """
        self._endpoints = Endpoints(
            [Endpoint(url, request_s_max=request_s_max) for url in endpoints], self._check
        )
        self._chain_id = chain_id
        self._contract = contract
        self._account = Account(account_key, chain_id=chain_id, fee_wei_max=fee_wei_max)
        self._posting = trio.Lock()

    @property
    def state(self) -> ChainState:
        """How the endpoints were at the last call."""
        return self._endpoints.state

    @property
    def detail(self) -> str:
        """Which endpoint is used, and what is wrong with those that are not."""
        return self._endpoints.detail

    def close(self) -> None:
        """Close all connections; call it when nobody uses the board any more."""
        self._endpoints.close()

    async def account(self) -> bytes:
        """Return our account's address.

        Raises:
            ChainUnavailable: There is no account.
        """
        return (await self._account.wallet()).address

    async def session(self) -> BoardSession | None:
        """Return the latest session, by the newest block; `None` before the first.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """

        async def work(endpoint: Endpoint) -> BoardSession | None:
            latest = int(await self._view(endpoint, "latestSession"))
            return await self._session_at(endpoint, latest) if latest else None

        return await self._endpoints.use(work)

    async def sitting(self) -> SittingCouncil:
        """Return who governs, by the newest block.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        return await self._endpoints.use(lambda e: self._struct(e, "sitting", parse=_sitting_of))

    # Posts.

    async def support(self, session: int, governors: Sequence[Governor]) -> None:
        """Ask for the next session, with these as receivers; a threshold of those who sit open it.

        It supersedes the one under way. If it is open already with these receivers, that is as good.

        Raises:
            Rejected: The contract will not have it: `rule` says why.
            ChainUnavailable: No endpoint took it, it is not mined, or there is no account.
        """
        me, receivers = await self.account(), tuple(governors)
        async with self._posting:
            if await self._has_opened(session, receivers):
                return
            if await self._endpoints.use(
                lambda e: self._view(e, "hasSupported", me, list_hash(receivers))
            ):
                return
            try:
                await self._send(_call(self._contract, "support", session, receivers))
            except Rejected as error:
                if error.rule == "AlreadySupported":
                    return  # the pool has it
                if not await self._will_open(session, receivers, error):
                    raise

    async def preview_support(self, session: int, governors: Sequence[Governor]) -> Preview:
        """Return what `support` would cost, and send nothing; raises as it does."""
        wallet = await self._account.wallet()
        call = _call(self._contract, "support", session, tuple(governors))
        return await self._endpoints.use(
            lambda e: preview_of(e, wallet, f"{CONTRACT}.support", call)
        )

    async def post_deal(self, session: int, deal_hash: bytes) -> None:
        """Commit to our deal; its SHA-256 is 32 bytes.

        Raises:
            Rejected: The contract will not have it, or has another of ours: `rule` says why.
            ChainUnavailable: No endpoint took it, it is not mined, or there is no account.
        """
        me = await self.account()

        def posted(shown: BoardSession) -> object:
            return _of(shown.deals, shown.dealers, me)

        await self._post("postDeal", session, deal_hash, posted=posted)

    async def respond(self, session: int, complaints: int) -> None:
        """Complain about the dealers whose bits are set; raises as `post_deal` does."""
        me = await self.account()

        def posted(shown: BoardSession) -> object:
            return _of(shown.complaints, shown.receivers, me)

        await self._post("respond", session, complaints, posted=posted)

    async def justify(self, session: int, receiver: int, shares: bytes) -> None:
        """Reveal what we dealt to a receiver, 64 bytes; raises as `post_deal` does."""
        me = await self.account()

        def posted(shown: BoardSession) -> object:
            dealer = _place(shown.dealers, me)
            answers = (j.shares for j in shown.justifications if j[:2] == (dealer, receiver))
            return next(answers, None)

        await self._post("justify", session, receiver, shares, posted=posted)

    async def confirm(self, session: int, group_hash: bytes) -> None:
        """Name the group we came to, 32 bytes; raises as `post_deal` does.

        Once a threshold of others has confirmed the same there is nothing left to say.
        """
        me = await self.account()

        def posted(shown: BoardSession) -> object:
            confirmed = shown.group_hash if shown.group_hash == group_hash else None
            return _of(shown.confirmations, shown.receivers, me) or confirmed

        await self._post("confirm", session, group_hash, posted=posted)

    async def _post(self, function: str, session: int, *arguments: object, posted: _Posted) -> None:
        """Post unless it stands on the board; the last argument is what must stand there.

        Raises:
            Rejected: The contract will not have it, or has another of ours.
            ChainUnavailable: No endpoint took it, it is not mined, or there is no account.
        """

        def stands(shown: BoardSession | None) -> bool:
            found = None if shown is None else posted(shown)
            if found is not None and found != arguments[-1]:
                rule = _ALREADY[function]
                raise Rejected(rule, f"{rule}: the board has another {function} of ours")
            return found is not None

        async with self._posting:
            shown = await self._shown(session)
            if stands(shown):
                return
            leavers = set(shown.dealers) - set(shown.receivers) if shown else set()
            call = _call(self._contract, function, session, *arguments, leavers=len(leavers))
            try:
                await self._send(call)
            except Rejected as error:
                # The pool has it already, or it was taken and only we were not told.
                if error.rule != _ALREADY[function] and not stands(await self._shown(session)):
                    raise

    async def _send(self, call: Call) -> None:
        receipt = await send_and_wait(self._endpoints, await self._account.wallet(), call)
        log.info("board post", extra={"transaction": receipt.transaction})

    async def _has_opened(self, number: int, receivers: tuple[Governor, ...]) -> bool:
        shown = await self._shown(number)
        return shown is not None and shown.receivers == receivers

    async def _will_open(
        self, number: int, receivers: tuple[Governor, ...], error: Rejected
    ) -> bool:
        """Tell whether the others open the session that we could not help to open any more.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        latest = int(await self._endpoints.use(lambda e: self._view(e, "latestSession")))
        if error.rule == "NotNextSession" and number == latest + 1:
            # What opens it is in the pool only, and nothing rings when it is mined.
            with trio.move_on_after(MINED_S_MAX):
                while await self._shown(number) is None:  # noqa: ASYNC110
                    await trio.sleep(MINED_POLL_S_MAX)
        return await self._has_opened(number, receivers)

    # Reading.

    async def _shown(self, number: int) -> BoardSession | None:
        """Return a session; `None` if there is none of this number.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """

        async def work(endpoint: Endpoint) -> BoardSession | None:
            latest = int(await self._view(endpoint, "latestSession"))
            return await self._session_at(endpoint, number) if 1 <= number <= latest else None

        return await self._endpoints.use(work)

    async def _session_at(self, endpoint: Endpoint, number: int) -> BoardSession:
        return await self._struct(endpoint, "sessionAt", number, parse=_session_of)

    async def _view(self, endpoint: Endpoint, function: str, *arguments: object) -> Any:  # noqa: ANN401  # one type a function
        return await view(endpoint, self._contract, CONTRACT, function, *arguments)

    async def _struct(
        self,
        endpoint: Endpoint,
        function: str,
        *arguments: object,
        parse: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """Call a view function that returns a struct, and read that by its fields' names."""
        abi = interface(CONTRACT)
        return await endpoint.call(
            self._contract,
            abi.call(function, *arguments),
            parse=lambda data: parse(abi.fields(function, data)),
        )

    async def _check(self, endpoint: Endpoint) -> None:
        """Check that an endpoint is on our chain and that there is a board at our address.

        Raises:
            WrongChain: It is not, or there is none.
            EndpointFailed: The endpoint did not tell.
        """
        chain_id = await endpoint.ask("eth_chainId", parse=read_int)
        if chain_id != self._chain_id:
            raise WrongChain(f"chain {chain_id}, the council is on {self._chain_id}")
        address = f"0x{self._contract.hex()}"
        if not await endpoint.code(self._contract):
            raise WrongChain(f"no contract at {address}")
        if await self._view(endpoint, "GOVERNORS_MAX") != GOVERNORS_MAX:
            raise WrongChain(f"the contract at {address} is no bulletin board of ours")


def list_hash(governors: Sequence[Governor]) -> bytes:
    """Return what the contract calls a list: keccak256(abi.encode(list))."""
    words = [32, len(governors)]
    seats = b"".join(bytes(12) + account + node for account, node in governors)
    return keccak256(b"".join(word.to_bytes(32, "big") for word in words) + seats)


def _call(contract: bytes, function: str, *arguments: object, leavers: int = 0) -> Call:
    return Call(
        to=contract,
        data=interface(CONTRACT).call(function, *arguments),
        gas_more=_GAS_MORE[function] + _GAS_LEAVER * leavers,
    )


def _place(governors: Sequence[Governor], account: bytes) -> int | None:
    return next((i for i, g in enumerate(governors) if g.account == account), None)


def _of(posts: Sequence[T], governors: Sequence[Governor], account: bytes) -> T | None:
    place = _place(governors, account)
    return None if place is None else posts[place]


def _governors(seats: Sequence[tuple[str, bytes]]) -> tuple[Governor, ...]:
    if len(seats) > GOVERNORS_MAX:
        raise ValueError(f"a list of {len(seats)} governors")
    return tuple(Governor(unhex(account), NodeId(node)) for account, node in seats)


def _ms(timestamp_s: int) -> UnixMs | None:
    return UnixMs(timestamp_s * 1000) if timestamp_s else None


def _hash(word: bytes) -> bytes | None:
    return word if any(word) else None


def _sitting_of(shown: Mapping[str, Any]) -> SittingCouncil:
    return SittingCouncil(
        session=shown["session"],
        governors=_governors(shown["governors"]),
        group_hash=_hash(shown["groupHash"]),
        starts_ms=_ms(shown["startsAt"]),
    )


def _session_of(shown: Mapping[str, Any]) -> BoardSession:
    """Read the contract's `Session`.

    Raises:
        ValueError, KeyError: No contract answers that.
    """
    phase = _PHASES[shown["phase"]]
    dealers, receivers = _governors(shown["dealers"]), _governors(shown["receivers"])
    answers = tuple(Justification(*j) for j in shown["justifications"])
    responses = enumerate(shown["complaints"])
    session = BoardSession(
        number=shown["number"],
        is_reshare=shown["kind"] == RESHARE,
        phase=phase,
        phase_ends_ms=_ms(shown[_ENDS[phase]]) if phase in _ENDS else None,
        opened_ms=UnixMs(shown["openedAt"] * 1000),
        dealers=dealers,
        receivers=receivers,
        dealers_threshold=shown["dealersThreshold"],
        receivers_threshold=shown["receiversThreshold"],
        deals=tuple(map(_hash, shown["dealHashes"])),
        complaints=tuple(c if shown["responded"] >> j & 1 else None for j, c in responses),
        justifications=answers,
        confirmations=tuple(map(_hash, shown["confirmations"])),
        group_hash=_hash(shown["groupHash"]),
        starts_ms=_ms(shown["startsAt"]),
    )
    lengths = (len(session.deals), len(session.complaints), len(session.confirmations))
    if lengths != (len(dealers), len(receivers), len(receivers)):
        raise ValueError(f"{lengths} posts in lists of {len(dealers)} and {len(receivers)}")
    if any(j.dealer >= len(dealers) or j.receiver >= len(receivers) for j in answers):
        raise ValueError("an answer of nobody, or to nobody")
    return session
