"""Calls of contracts: a view function read, a transaction previewed, or sent and waited for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.endpoint import Endpoint, Endpoints
from stkrp2p.adapters.chain.follower import latest_block
from stkrp2p.adapters.chain.wallet import Call, Fate, Receipt, Rejected, Sent, Wallet
from stkrp2p.ports import ChainUnavailable

MINED_S_MAX = 180
"""How long a transaction is waited for."""

MINED_POLL_S_MIN = 0.05
MINED_POLL_S_MAX = 1.0

DOUBTS_MAX = 3
"""How often in a row a transaction may seem to be replaced before it is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A transaction as it would be sent, and what it may cost."""

    what: str
    """The contract's function, for people."""

    call: Call
    gas: int
    """How much it may use; more than it does (`gas_allowed`)."""

    fee_wei: int
    """Most offered for a unit of gas."""

    cost_wei_max: int
    balance_wei: int
    """What the account has."""


async def preview_of(endpoint: Endpoint, wallet: Wallet, what: str, call: Call) -> Preview:
    """Prepare a transaction.

    Raises:
        Rejected: It would revert.
        EndpointFailed: The endpoint did not tell.
    """
    gas = await wallet.gas(endpoint, call)
    fee, _ = await wallet.fees(endpoint, await latest_block(endpoint))
    return Preview(
        what=what,
        call=call,
        gas=gas,
        fee_wei=fee,
        cost_wei_max=gas * fee,
        balance_wei=await wallet.balance(endpoint),
    )


async def view(
    endpoint: Endpoint, to: bytes, contract: str, function: str, *arguments: object
) -> Any:  # noqa: ANN401  # one type a function
    """Call a view function at the newest block.

    Raises:
        EndpointFailed: The endpoint did not tell, or there is no such contract.
    """
    abi = interface(contract)
    return await endpoint.call(
        to, abi.call(function, *arguments), parse=lambda data: abi.answer(function, data)
    )


async def send_and_wait(endpoints: Endpoints, wallet: Wallet, call: Call) -> Receipt:
    """Send a transaction behind all that waits, and wait until it is in a block.

    Raises:
        Rejected: It reverted, or would, or another took its place.
        ChainUnavailable: Not mined in `MINED_S_MAX`; it may still be.
    """

    async def prepare(endpoint: Endpoint) -> Sent:
        nonce = await wallet.used_nonces(endpoint, "pending")
        return await wallet.prepare(endpoint, call, nonce=nonce)

    async with wallet.sending:
        sent = await endpoints.use(prepare)
        with suppress(ChainUnavailable):  # what it is, the loop meets again
            await endpoints.use(lambda e: wallet.broadcast(e, sent))
    return await _mined(endpoints, wallet, sent)


async def _mined(endpoints: Endpoints, wallet: Wallet, sent: Sent) -> Receipt:
    """Return a transaction's receipt once it is in a block; raises as `send_and_wait` does."""
    trouble: ChainUnavailable | None = None
    doubts = 0
    poll_s = MINED_POLL_S_MIN
    with trio.move_on_after(MINED_S_MAX):
        while True:
            try:
                fate, receipt = await endpoints.use(lambda e: wallet.push(e, sent))
            except Rejected:
                raise
            except ChainUnavailable as error:
                trouble = error
                fate, receipt = Fate.WAITING, None
            if fate is Fate.MINED and receipt is not None:
                return receipt
            # A node may count a nonce before it has the receipt: replaced is what stays replaced.
            doubts = doubts + 1 if fate is Fate.REPLACED else 0
            if fate is Fate.REVERTED and receipt is not None:
                raise await _why_reverted(endpoints, wallet, sent, receipt)
            if doubts > DOUBTS_MAX:
                raise Rejected("", f"{sent.hashes[-1]} was {fate}")
            await trio.sleep(poll_s)
            poll_s = min(2 * poll_s, MINED_POLL_S_MAX)
    raise ChainUnavailable(f"{sent.hashes[-1]} is not mined: {trouble or 'still waiting'}")


async def _why_reverted(
    endpoints: Endpoints, wallet: Wallet, sent: Sent, receipt: Receipt
) -> Rejected:
    """Return why a transaction was undone; that it was is certain, why may be asked in vain."""
    try:
        return await endpoints.use(lambda e: wallet.why_reverted(e, sent, receipt))
    except ChainUnavailable as error:
        return Rejected("", f"nobody tells why: {error}", transaction=receipt.transaction)
