"""One Ethereum account that sends: nonces, fees, signing, and what became of a transaction.

A transaction may be sent many times, signed anew with a higher fee, or forgotten by a node that
restarts; it counts once, because all its versions carry one nonce. So nothing has to be kept over a
restart: the chain says how many nonces are used. What an answer does not tell is looked up; "already
known" and "nonce too low" are no errors, they are what a lost answer looks like the second time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import StrEnum, auto
from weakref import WeakValueDictionary

import msgspec
import trio

from stkrp2p.adapters.chain.abi import error_of
from stkrp2p.adapters.chain.endpoint import Endpoint, EndpointFailed, Refused, unhex
from stkrp2p.adapters.chain.follower import Block, Hex, latest_block
from stkrp2p.adapters.libraries import load_in_thread
from stkrp2p.ports import ChainUnavailable

log = logging.getLogger(__name__)

GAS_MAX = 16_777_216
"""Most gas of a transaction (EIP-7825)."""

FEE_WEI_MAX = 500 * 10**9
"""Most we offer for a unit of gas unless told otherwise."""

GAS_SPARE_MIN = 60_000
"""Least gas to allow beyond an estimate: an amount with a history, and its total, that another
transaction of the block estimated on has just written are updated there, and appended to in a later
block, at about 20,000 more each. What is not used is not paid."""

OUT_OF_GAS = "OutOfGas"
"""What stands for a contract's error where a transaction used all the gas that it was allowed."""

BUMP_BLOCKS = 3
"""A transaction that waits longer is offered again at a higher fee."""

VERSIONS_MAX = 16
"""Most versions of one transaction; a dozen bumps of an eighth quadruple the fee."""

_SENDING: WeakValueDictionary[tuple[int, bytes], trio.Lock] = WeakValueDictionary()
"""A lock for each account in use, by chain and address."""

_TIP_WEI_MIN = 10**6
_KNOWN = ("already known", "already imported", "known transaction", "nonce too low")
_TOO_CHEAP = ("underpriced", "less than block base fee", "fee cap less than", "fee too low")


class Rejected(ChainUnavailable):
    """The contract, or the chain, will not have this transaction; sent again it fares no better."""

    def __init__(self, rule: str, detail: str, *, transaction: str = "") -> None:
        super().__init__(f"rejected: {detail}")
        self.rule = rule
        """Name of the contract's error, such as `StakeTooLow`, or `OUT_OF_GAS`; "" if it gave none."""

        self.transaction = transaction
        """Hash of what was mined and undone, 0x-hex; "" if nothing was."""


class Fate(StrEnum):
    """What has become of a transaction."""

    WAITING = auto()
    MINED = auto()
    REVERTED = auto()
    """Mined, and the contract undid it."""

    REPLACED = auto()
    """Another transaction has taken its nonce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to send."""

    to: bytes | None
    """Address of a contract, 20 bytes; `None` deploys one."""

    data: bytes = field(repr=False)
    gas_more: int = 0
    """Gas to allow beyond the estimate: what it may cost after others have changed the contract."""

    value_wei: int = 0
    """Ether that goes with it."""


@dataclass(slots=True, kw_only=True)
class Sent:
    """A transaction that was sent, in all its versions."""

    call: Call
    nonce: int
    gas: int
    fee_wei: int
    """Most offered for a unit of gas."""

    tip_wei: int
    block: int
    """Newest block when this version was signed; -`BUMP_BLOCKS` asks for a new version at once."""

    raw: bytes = b""
    """The latest version, signed."""

    hashes: list[str] = field(default_factory=list)
    """Of all versions, the latest last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A transaction that is in a block."""

    transaction: str
    """Hash, 0x-hex."""

    block: int
    gas_used: int
    contract: bytes | None
    """Address of the contract it deployed."""

    is_success: bool


class _Receipt(msgspec.Struct, frozen=True, rename="camel"):
    transaction_hash: Hex
    block_number: Hex
    gas_used: Hex
    status: Hex
    contract_address: Hex | None = None


def _read_receipt(result: object) -> Receipt | None:
    if result is None:
        return None
    receipt = msgspec.convert(result, _Receipt)
    contract = receipt.contract_address
    return Receipt(
        transaction=receipt.transaction_hash,
        block=int(receipt.block_number, 16),
        gas_used=int(receipt.gas_used, 16),
        contract=None if contract is None else unhex(contract),
        is_success=int(receipt.status, 16) == 1,
    )


def read_int(result: object) -> int:
    """Read a result that is a number.

    Raises:
        ValueError: It is none.
    """
    return int(str(result), 16)


def gas_allowed(used: int) -> int:
    """Return how much gas to allow what uses this much now: a quarter more, or the least spare."""
    return used + max(used // 4, GAS_SPARE_MIN)


class Wallet:
    """The account. Several wallets of a process may share one: `sending` keeps them apart."""

    def __init__(self, key: bytes, *, chain_id: int, fee_wei_max: int = FEE_WEI_MAX) -> None:
        """Open an account.

        Args:
            key: secp256k1 secret, 32 bytes.
            chain_id: The only chain its signatures hold on.
            fee_wei_max: Most it offers for a unit of gas.
        """
        from eth_account import Account  # noqa: PLC0415  # half a second, only where used

        self._account = Account.from_key(key)
        self._chain_id = chain_id
        self._fee_wei_max = fee_wei_max
        self._sending: trio.Lock | None = None

    @property
    def sending(self) -> trio.Lock:
        """Held from asking for a nonce until the transaction that takes it was sent.

        All wallets of one account have the same, so no two transactions get one nonce.
        """
        if self._sending is None:
            account = (self._chain_id, self.address)
            self._sending = _SENDING.setdefault(account, trio.Lock())
        return self._sending

    @property
    def address(self) -> bytes:
        """The account's address, 20 bytes."""
        return unhex(str(self._account.address))

    def question(self, call: Call) -> dict[str, str]:
        """Return a call of ours as JSON-RPC's questions take it."""
        question = {"from": self._account.address, "data": f"0x{call.data.hex()}"}
        if call.to is not None:
            question["to"] = f"0x{call.to.hex()}"
        return question | ({"value": hex(call.value_wei)} if call.value_wei else {})

    async def gas(self, endpoint: Endpoint, call: Call) -> int:
        """Return how much gas to allow a call: `gas_allowed` of what it would use, and `gas_more`.

        What waits in the pool counts as done.

        Raises:
            Rejected: It would revert.
            EndpointFailed: The endpoint did not tell.
        """
        question = self.question(call)
        try:
            used = await endpoint.ask("eth_estimateGas", question, "pending", parse=read_int)
        except Refused as error:
            raise rejection(error) from None
        return min(gas_allowed(used) + call.gas_more, GAS_MAX)

    async def fees(self, endpoint: Endpoint, newest: Block) -> tuple[int, int]:
        """Return (most to offer for a unit of gas, tip in it), in wei.

        Twice the base fee: enough for the next six blocks however full they are.
        """
        try:
            tip = await endpoint.ask("eth_maxPriorityFeePerGas", parse=read_int)
        except Refused:
            tip = 10**9
        tip = max(tip, _TIP_WEI_MIN)
        fee = min(2 * int(newest.base_fee_per_gas, 16) + tip, self._fee_wei_max)
        return fee, min(tip, fee)

    async def used_nonces(self, endpoint: Endpoint, block: str) -> int:
        """Return how many nonces are used as of a block: `latest`, or `pending` for the pool too."""
        return await endpoint.ask(
            "eth_getTransactionCount", self._account.address, block, parse=read_int
        )

    async def balance(self, endpoint: Endpoint) -> int:
        """Return the account's ether, in wei."""
        return await endpoint.ask("eth_getBalance", self._account.address, "latest", parse=read_int)

    async def prepare(self, endpoint: Endpoint, call: Call, *, nonce: int) -> Sent:
        """Return a transaction, signed and not sent.

        Raises:
            Rejected: It would revert.
            EndpointFailed: The endpoint did not tell what it takes.
        """
        gas = await self.gas(endpoint, call)
        newest = await latest_block(endpoint)
        fee, tip = await self.fees(endpoint, newest)
        sent = Sent(call=call, nonce=nonce, gas=gas, fee_wei=fee, tip_wei=tip, block=newest.height)
        await trio.to_thread.run_sync(self._sign, sent)
        return sent

    def _sign(self, sent: Sent) -> None:
        fields = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": sent.nonce,
            "data": sent.call.data,
            "value": sent.call.value_wei,
            "gas": sent.gas,
            "maxFeePerGas": sent.fee_wei,
            "maxPriorityFeePerGas": sent.tip_wei,
        }
        if sent.call.to is not None:
            fields["to"] = sent.call.to
        signed = self._account.sign_transaction(fields)
        sent.raw = bytes(signed.raw_transaction)
        sent.hashes.append(f"0x{bytes(signed.hash).hex()}")

    async def broadcast(self, endpoint: Endpoint, sent: Sent) -> None:
        """Send the latest version, once more if need be.

        Raises:
            Rejected: The account cannot pay for it.
            EndpointFailed: It may or may not have arrived.
        """
        try:
            await endpoint.tell("eth_sendRawTransaction", f"0x{sent.raw.hex()}")
        except Refused as error:
            if any(words in error.message for words in _TOO_CHEAP):
                sent.block = -BUMP_BLOCKS
            elif "insufficient funds" in error.message:
                raise Rejected("", "the account has too little ether for the gas") from None
            elif not any(words in error.message for words in _KNOWN):
                raise

    async def push(self, endpoint: Endpoint, sent: Sent) -> tuple[Fate, Receipt | None]:
        """See what became of a transaction and, while it waits, send it again.

        Raises:
            Rejected: The account cannot pay for it.
            EndpointFailed: The endpoint did not tell.
        """
        # Read before the receipts: if the nonce is used now, a version of ours has a receipt now.
        used = await self.used_nonces(endpoint, "latest")
        receipt = await self.receipt(endpoint, sent)
        if receipt is not None:
            return (Fate.MINED if receipt.is_success else Fate.REVERTED), receipt
        if used > sent.nonce:
            return Fate.REPLACED, None
        newest = await latest_block(endpoint)
        if newest.height - sent.block >= BUMP_BLOCKS and len(sent.hashes) < VERSIONS_MAX:
            await self._bump(endpoint, sent, newest)
        await self.broadcast(endpoint, sent)
        return Fate.WAITING, None

    async def receipt(self, endpoint: Endpoint, sent: Sent) -> Receipt | None:
        """Return the receipt of whichever version is in a block, if one is."""
        for version in reversed(sent.hashes):
            receipt = await endpoint.ask("eth_getTransactionReceipt", version, parse=_read_receipt)
            if receipt is not None:
                return receipt
        return None

    async def why_reverted(self, endpoint: Endpoint, sent: Sent, receipt: Receipt) -> Rejected:
        """Return why a transaction was undone: out of gas, or what the call meets in that block.

        Raises:
            EndpointFailed: The endpoint did not tell.
        """
        undone = receipt.transaction
        if receipt.gas_used >= sent.gas:
            return Rejected(OUT_OF_GAS, OUT_OF_GAS, transaction=undone)
        question = self.question(sent.call)
        try:
            await endpoint.ask("eth_call", question, hex(receipt.block), parse=str)
        except Refused as error:
            met = rejection(error)
            if isinstance(met, Rejected):
                met.transaction = undone
                return met
            raise met from None
        # Others changed the state after it, or a call within it had too little gas.
        return Rejected("", "it would pass now: run the command again", transaction=undone)

    async def _bump(self, endpoint: Endpoint, sent: Sent, newest: Block) -> None:
        """Sign a version that pays at least an eighth more: pools want a tenth to replace one."""
        fee, tip = await self.fees(endpoint, newest)
        fee = max(fee, sent.fee_wei + sent.fee_wei // 8 + 1)
        tip = max(tip, sent.tip_wei + sent.tip_wei // 8 + 1)
        sent.block = newest.height
        if fee > self._fee_wei_max:
            log.warning("fee limit reached", extra={"fee_wei": sent.fee_wei, "nonce": sent.nonce})
            return
        sent.fee_wei, sent.tip_wei = fee, min(tip, fee)
        await trio.to_thread.run_sync(self._sign, sent)


class Account:
    """An account whose wallet is made when it is first needed: that loads libraries for a second."""

    def __init__(self, key: bytes | None, *, chain_id: int, fee_wei_max: int) -> None:
        """Set up.

        Args:
            key: secp256k1 secret, 32 bytes; `None` if there is no account.
            chain_id: The chain it sends on.
            fee_wei_max: Most to offer for a unit of gas.
        """
        self._key = key
        self._chain_id = chain_id
        self._fee_wei_max = fee_wei_max
        self._wallet: Wallet | None = None

    async def wallet(self) -> Wallet:
        """Return its wallet.

        Raises:
            ChainUnavailable: There is no account.
        """
        key = self._key
        if key is None:
            raise ChainUnavailable("no account is configured to pay for transactions")
        if self._wallet is None:
            await load_in_thread()
            self._wallet = await trio.to_thread.run_sync(
                lambda: Wallet(key, chain_id=self._chain_id, fee_wei_max=self._fee_wei_max)
            )
        return self._wallet


def rejection(error: Refused) -> Exception:
    """Return what a refused estimate means: the contract's rule, or trouble with the endpoint."""
    if error.data:
        rule, line = error_of(error.data)
        return Rejected(rule, line)
    if "revert" in error.message or "insufficient funds" in error.message:
        return Rejected("", error.message)
    return EndpointFailed(str(error))
