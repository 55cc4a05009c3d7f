"""Checking what other nodes report, each by the workload its registration names.

Every check ends in one word, empty if the report is right:

    unknown-workload, bad-host                      the registration or the connection makes no sense
    oversized, malformed, not-canonical,
    unknown-version                                 the bytes are no report
    bad-header, stale-head, future-head, bad-proof  Ethereum: see `ethereum.py`
    unknown-block                                   Ethereum: our own node of that chain lacks the block
    bad-status, no-answer, other-answer             http: see `service.py`
    closed                                          tcp: no connection
    not-empty                                       tcp, none: the report should be empty
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import assert_never

import msgspec

from stkrp2p.adapters.workloads import ethereum
from stkrp2p.adapters.workloads.descriptor import (
    Ethereum,
    Http,
    Nothing,
    Tcp,
    read_descriptor,
)
from stkrp2p.adapters.workloads.service import PROBE_S_MAX, http_fault, is_open, page_url
from stkrp2p.adapters.workloads.web import NoAnswer, Rpc, Web
from stkrp2p.core.types import UnixMs

OWN_HEAD_AGE_MS_MAX = 30_000
"""A view whose head is older may be behind: it blames nobody."""

KNOWN_BLOCKS_MAX = 64
"""Blocks a view remembers to know, so that the auditors of a round ask once."""

_WITH_TRANSACTIONS = False


class _Block(msgspec.Struct):
    timestamp: str


class View:
    """Our own node of a chain, for the question whether a block is of that chain."""

    def __init__(self, url: str, *, probe_s_max: float) -> None:
        """Set up; nothing is sent yet.

        Raises:
            ValueError: `url` is no http or https address.
        """
        self._rpc = Rpc(url, timeout_s=probe_s_max)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._rpc.aclose()

    async def is_strange(self, head: ethereum.Head, now_ms: UnixMs) -> bool:
        """Tell whether our node is in sync and does not have this block.

        A node that is down or behind says nothing against anybody.
        """
        if head.hash in self._known:
            return False
        try:
            if await self._has(head.hash):
                self._remember(head.hash)
                return False
            newest = await self._rpc.ask(
                "eth_getBlockByNumber", "latest", _WITH_TRANSACTIONS, shape=_Block
            )
            is_fresh = now_ms - int(newest.timestamp, 16) * 1000 <= OWN_HEAD_AGE_MS_MAX
            # It may have come while we asked.
            return is_fresh and not await self._has(head.hash)
        except (NoAnswer, ValueError):
            return False

    async def _has(self, block_hash: bytes) -> bool:
        found = await self._rpc.ask(
            "eth_getBlockByHash", f"0x{block_hash.hex()}", _WITH_TRANSACTIONS, shape=msgspec.Raw
        )
        return bytes(found) != b"null"

    def _remember(self, block_hash: bytes) -> None:
        self._known[block_hash] = None
        if len(self._known) > KNOWN_BLOCKS_MAX:
            self._known.popitem(last=False)


class WorkloadExaminer:
    """Checks reports of every kind of workload."""

    def __init__(
        self, views: Mapping[int, str] | None = None, *, probe_s_max: float = PROBE_S_MAX
    ) -> None:
        """Set up; nothing is sent yet.

        Args:
            views: JSON-RPC of our own node of a chain, by chain id. Without one, a header of that
                chain is taken at its word.
            probe_s_max: How long one question to a service or to our node may take.

        Raises:
            ValueError: A view is no http or https address.
        """
        self._views = {
            chain_id: View(url, probe_s_max=probe_s_max) for chain_id, url in (views or {}).items()
        }
        self._web = Web(keepalive_max=0)
        self._probe_s_max = probe_s_max

    async def aclose(self) -> None:
        """Close all connections."""
        await self._web.aclose()
        for view in self._views.values():
            await view.aclose()

    async def fault(
        self, *, descriptor: str, host: str, challenge: bytes, report: bytes, now_ms: UnixMs
    ) -> str:
        """Return one word that says what is wrong with a report, "" if it is right. Never raises.

        Args:
            descriptor: The target's workload, from its registration.
            host: The IP address the target is connected from; the only one ever probed.
            challenge: 32 bytes.
            report: What the target answered.
            now_ms: Wall clock, for the age of a head.
        """
        try:
            workload = read_descriptor(descriptor)
        except ValueError:
            return "unknown-workload"
        if isinstance(workload, Ethereum):
            return await self._ethereum_fault(workload, challenge, report, now_ms)
        try:
            return await self._service_fault(workload, host, challenge, report)
        except ValueError:
            return "bad-host"

    async def _ethereum_fault(
        self, workload: Ethereum, challenge: bytes, report: bytes, now_ms: UnixMs
    ) -> str:
        word, head = ethereum.fault(challenge, report, now_ms)
        view = self._views.get(workload.chain_id)
        if word or head is None or view is None:
            return word
        return "unknown-block" if await view.is_strange(head, now_ms) else ""

    async def _service_fault(
        self, workload: Http | Tcp | Nothing, host: str, challenge: bytes, report: bytes
    ) -> str:
        match workload:
            case Http(port, path):
                url = page_url(host, port, path, challenge)
                return await http_fault(self._web, url, report, probe_s_max=self._probe_s_max)
            case Tcp(port):
                if report:
                    return "not-empty"
                is_up = await is_open(host, port, probe_s_max=self._probe_s_max)
                return "" if is_up else "closed"
            case Nothing():
                return "not-empty" if report else ""
            case _:
                assert_never(workload)
