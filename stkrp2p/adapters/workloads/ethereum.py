"""Ethereum execution nodes: a question only a node that has the state at the head can answer.

The challenge names an address that nobody knew before the round:

    address = first 20 bytes of SHA-256(challenge)

The report is the header of the block before the node's head, what the state of that block says of the
address (almost always: nothing) with its Merkle-Patricia proof, and the client's version. The nodes of
such a proof lie anywhere in the state, so whoever answers has it, or asks somebody who does. The block
before the head is asked for because every node in sync has had it for a slot.

`fault` needs the report, the challenge and the time only, so anybody can check a report again. What it
cannot tell is *which chain* the header is of: since proof of stake a header proves nothing by itself,
and somebody may invent a chain with one account. An auditor that has a node of that chain itself, as
full members of the same workload do, looks the block up there (`examiner.py`). Nor can any check tell
a node of one's own from one rented by the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from stkrp2p.adapters.workloads import trie
from stkrp2p.adapters.workloads.rlp import NotRlp, encode_list, encode_uint, read_list
from stkrp2p.adapters.workloads.web import NoAnswer, Rpc
from stkrp2p.core.challenge import REPORT_BYTES_MAX
from stkrp2p.core.crypto import sha256
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.types import HASH_BYTES, Digest, ProtocolError, UnixMs
from stkrp2p.core.wire import Message, Uint, decode, encode
from stkrp2p.ports import WorkloadError, WorkloadHealth

VERSION = 1

HEAD_AGE_MS_MAX = 120_000
"""How old the reported block may be: ten slots of Ethereum, should some be missed."""

HEAD_AHEAD_MS_MAX = 15_000
"""How far its time may lie ahead of our clock."""

HEADER_BYTES_MAX = 2_048
"""Largest header; today's have some 650 bytes."""

CLIENT_CHARS_MAX = 128

ANSWER_S_MAX = 2.0
"""How long the node behind a sidecar may take for one request."""

ADDRESS_BYTES = 20


class EthereumReport(Message, frozen=True):
    """What the target answers."""

    version: Uint
    header: Annotated[bytes, msgspec.Meta(max_length=HEADER_BYTES_MAX)]
    """RLP of a block's header."""

    proof: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(max_length=trie.NODE_BYTES_MAX)], ...],
        msgspec.Meta(max_length=trie.NODES_MAX),
    ]
    """Nodes of the state trie from the root down."""

    client: Annotated[str, msgspec.Meta(max_length=CLIENT_CHARS_MAX)]
    """What the node calls itself; not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is read of a header."""

    hash: Digest
    number: int
    time_s: int
    """When the block was made; Unix time."""

    state_root: bytes


def address_of(challenge: bytes) -> bytes:
    """Return the address a challenge asks for, 20 bytes."""
    return sha256(challenge)[:ADDRESS_BYTES]


_STATE_ROOT, _NUMBER, _TIME, _FIELDS_MIN = 3, 8, 11, 15
_UINT_BYTES_MAX = 8


def read_head(header: bytes) -> Head:
    """Read a header.

    Raises:
        NotRlp: It is none.
    """
    fields = read_list(header)
    if len(fields) < _FIELDS_MIN or len(fields[_STATE_ROOT]) != HASH_BYTES:
        raise NotRlp("no header")
    if max(len(fields[_NUMBER]), len(fields[_TIME])) > _UINT_BYTES_MAX:
        raise NotRlp("no header")
    return Head(
        hash=keccak256(header),
        number=int.from_bytes(fields[_NUMBER], "big"),
        time_s=int.from_bytes(fields[_TIME], "big"),
        state_root=fields[_STATE_ROOT],
    )


def fault(challenge: bytes, report: bytes, now_ms: UnixMs) -> tuple[str, Head | None]:
    """Return one word that says what is wrong with a report, "" if nothing is, and its block.

    Words: `oversized`, `malformed`, `not-canonical` (not a report), `unknown-version`,
    `bad-header`, `stale-head`, `future-head`, `bad-proof`. Never raises.
    """
    try:
        fields = decode(report, EthereumReport, bytes_max=REPORT_BYTES_MAX)
        head = read_head(fields.header)
    except ProtocolError as error:
        return error.reason, None
    except NotRlp:
        return "bad-header", None
    return _wrong(fields, head, challenge, now_ms), head


def _wrong(fields: EthereumReport, head: Head, challenge: bytes, now_ms: UnixMs) -> str:
    if fields.version != VERSION:
        return "unknown-version"
    if head.time_s * 1000 < now_ms - HEAD_AGE_MS_MAX:
        return "stale-head"
    if head.time_s * 1000 > now_ms + HEAD_AHEAD_MS_MAX:
        return "future-head"
    if not trie.is_proved(head.state_root, address_of(challenge), fields.proof):
        return "bad-proof"
    return ""


# The node's side.

_HEADER_HASHES = ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot")
_HEADER = (
    *((name, bytes) for name in (*_HEADER_HASHES, "receiptsRoot", "logsBloom")),
    *((name, int) for name in ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")),
    *((name, bytes) for name in ("extraData", "mixHash", "nonce")),
)
_LATER = (
    ("baseFeePerGas", int),
    ("withdrawalsRoot", bytes),
    ("blobGasUsed", int),
    ("excessBlobGas", int),
    ("parentBeaconBlockRoot", bytes),
    ("requestsHash", bytes),
)
"""Fields that forks added, in order: London, Shanghai, Cancun (3), Prague."""

_WITH_TRANSACTIONS = False


def header_of(block: dict[str, object]) -> bytes:
    """Return the RLP of a block's header from its JSON form.

    Raises:
        ValueError: A field is missing, or a fork has added one that we do not know: the result
            would not have the block's hash.
    """
    present = [(name, kind) for name, kind in _LATER if block.get(name) is not None]
    header = encode_list(_field(block, name, kind) for name, kind in (*_HEADER, *present))
    if f"0x{keccak256(header).hex()}" != block.get("hash"):
        raise ValueError("the header does not have the block's hash: a fork we do not know")
    return header


def _field(block: dict[str, object], name: str, kind: type) -> bytes:
    text = block.get(name)
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError(f"a block without {name}")
    return encode_uint(int(text, 16)) if kind is int else bytes.fromhex(text[2:])


class _Proof(msgspec.Struct, rename="camel"):
    account_proof: list[str]


class EthereumWorkload:
    """An execution node, through its JSON-RPC."""

    def __init__(self, url: str, chain_id: int, *, answer_s_max: float = ANSWER_S_MAX) -> None:
        """Set up; nothing is sent yet.

        Args:
            url: Its JSON-RPC, http or https; best on this machine.
            chain_id: The chain it must be on.
            answer_s_max: How long it may take for one request.

        Raises:
            ValueError: `url` is no http or https address.
        """
        self._rpc = Rpc(url, timeout_s=answer_s_max)
        self._chain_id = chain_id
        self._client = ""
        """Its version once it is known to be on our chain; "" before, and after each failure."""

    @property
    def descriptor(self) -> str:
        """`ethereum:<chain id>`."""
        return f"ethereum:{self._chain_id}"

    async def aclose(self) -> None:
        """Close its connections."""
        await self._rpc.aclose()

    async def health(self) -> WorkloadHealth:
        """Return whether it answers, is on our chain and in sync."""
        try:
            client = await self._check()
            syncing = bytes(await self._rpc.ask("eth_syncing", shape=msgspec.Raw))
            number = await self._rpc.ask("eth_blockNumber", shape=str)
        except (NoAnswer, WorkloadError) as error:
            self._client = ""
            return WorkloadHealth(is_ready=False, detail=str(error))
        detail = f"{client}, block {int(number, 16)}"
        if syncing != b"false":
            return WorkloadHealth(is_ready=False, detail=f"{detail}, syncing")
        return WorkloadHealth(is_ready=True, detail=detail)

    async def answer(self, challenge: bytes) -> bytes:
        """Return the report for a challenge.

        Raises:
            WorkloadError: The node does not answer, is on another chain, or contradicts itself.
        """
        try:
            client = await self._check()
            number = max(0, int(await self._rpc.ask("eth_blockNumber", shape=str), 16) - 1)
            header, proof = await self._proof(number, address_of(challenge))
        except (NoAnswer, ValueError) as error:
            self._client = ""
            raise WorkloadError(str(error)) from None
        report = EthereumReport(version=VERSION, header=header, proof=proof, client=client)
        return encode(report)

    async def _check(self) -> str:
        if not self._client:
            chain_id = int(await self._rpc.ask("eth_chainId", shape=str), 16)
            if chain_id != self._chain_id:
                raise WorkloadError(f"the node is on chain {chain_id}, not {self._chain_id}")
            client = await self._rpc.ask("web3_clientVersion", shape=str)
            self._client = client[:CLIENT_CHARS_MAX] or "unnamed"
        return self._client

    async def _proof(self, number: int, address: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Return a block's header and the account proof in its state, checked."""
        block = await self._rpc.ask(
            "eth_getBlockByNumber", hex(number), _WITH_TRANSACTIONS, shape=dict[str, object]
        )
        header = header_of(block)
        answer = await self._rpc.ask(
            "eth_getProof", f"0x{address.hex()}", [], hex(number), shape=_Proof
        )
        proof = tuple(bytes.fromhex(node[2:]) for node in answer.account_proof)
        if not trie.is_proved(read_head(header).state_root, address, proof):
            raise ValueError(f"the node's proof does not fit its block {number}")
        return header, proof
