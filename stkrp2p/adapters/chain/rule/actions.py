"""What a party is about to do on chain: shown and priced first, sent afterwards.

An action has one transaction, or two where the contract takes ANKR that it may not take yet: it is
allowed exactly what it needs, then it is called. Both are run beforehand on the newest state, one
after the other (`eth_simulateV1`), so that what the second will cost, and whether it is refused, is
known before the first is signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stkrp2p.adapters.chain.abi import error_of
from stkrp2p.adapters.chain.endpoint import Endpoint, EndpointFailed, Refused, unhex
from stkrp2p.adapters.chain.follower import Hex
from stkrp2p.adapters.chain.wallet import GAS_MAX, Call, Rejected, Wallet, gas_allowed, rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Amounts of both kinds, in 10^-18."""

    ankr_wei: int = 0
    eth_wei: int = 0


NOTHING = Money()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transaction of an action."""

    what: str
    """Contract and function, such as `Market.open`."""

    call: Call
    gas_max: int | None
    """How much it may use, more than it does (`gas_allowed`); `None` where the endpoint cannot tell
    before the step before it is mined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a call will do, and what it may cost."""

    does: str
    """For people, such as "seal a bid on deal 7"."""

    done: str = ""
    """What the chain shows already, so that nothing has to be sent; empty if something has."""

    steps: tuple[Step, ...] = ()
    """In this order; none if it is done."""

    ankr_wei: int = 0
    """What the contract takes from the account."""

    gets: Money = NOTHING
    """What it brings whoever the action names, the account unless another is; nothing if that
    depends on what the contract finds."""

    fee_wei: int = 0
    """Most offered for a unit of gas."""

    balance_wei: int = 0
    """The account's ether."""

    @property
    def is_done(self) -> bool:
        """Whether the chain shows the result already."""
        return bool(self.done)

    @property
    def eth_wei(self) -> int:
        """Ether that goes with it, besides the gas."""
        return sum(step.call.value_wei for step in self.steps)

    @property
    def gas_max(self) -> int | None:
        """How much gas it may use in all; `None` if that cannot be known yet."""
        gas = [step.gas_max for step in self.steps]
        return None if None in gas else sum(each for each in gas if each is not None)

    @property
    def cost_wei_max(self) -> int | None:
        """What the gas may cost; `None` if that cannot be known yet."""
        return None if self.gas_max is None else self.gas_max * self.fee_wei


class _Ran(msgspec.Struct, frozen=True, rename="camel"):
    gas_used: Hex
    status: Hex
    return_data: Hex = "0x"


class _Block(msgspec.Struct, frozen=True):
    calls: tuple[_Ran, ...]


async def gas_of(endpoint: Endpoint, wallet: Wallet, calls: Sequence[Call]) -> list[int | None]:
    """Return how much gas to allow each call when they follow one another.

    Raises:
        Rejected: One of them would revert.
        EndpointFailed: The endpoint did not tell.
    """
    if len(calls) > 1:
        try:
            return list(await _simulated(endpoint, wallet, calls))
        except Refused as error:  # it has no such method, or the calls have too little ether
            meaning = rejection(error)
            if isinstance(meaning, Rejected):
                raise meaning from None
    first = await wallet.gas(endpoint, calls[0])
    return [first, *[None for _ in calls[1:]]]


async def _simulated(endpoint: Endpoint, wallet: Wallet, calls: Sequence[Call]) -> list[int]:
    questions = [wallet.question(call) for call in calls]
    blocks = {"blockStateCalls": [{"calls": questions}]}
    ran = await endpoint.ask("eth_simulateV1", blocks, "latest", parse=_calls_of)
    if len(ran) != len(calls):
        raise EndpointFailed(f"eth_simulateV1: {len(ran)} results of {len(calls)} calls")
    for each in ran:
        if int(each.status, 16) != 1:
            raise Rejected(*error_of(unhex(each.return_data)))
    return [min(gas_allowed(int(each.gas_used, 16)), GAS_MAX) for each in ran]


def _calls_of(result: object) -> tuple[_Ran, ...]:
    [block] = msgspec.convert(result, tuple[_Block, ...])
    return block.calls
