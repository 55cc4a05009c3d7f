"""Ethereum JSON-RPC endpoints: one request in a thread, and which endpoint to use now.

web3.py blocks, so each request runs in a worker thread, at most `THREADS_MAX` of them an endpoint. A
request ends by its deadline whatever the endpoint does; a thread that still hangs then is left
behind and counts against that endpoint only. An endpoint that fails rests for a while, doubled each
time up to `REST_S_MAX` and jittered, and is checked anew (chain, contracts) before it is used again.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import trio

from stkrp2p.adapters.libraries import load_in_thread
from stkrp2p.ports import ChainState, ChainUnavailable

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.provider import BoundedProvider

log = logging.getLogger(__name__)

T = TypeVar("T")

REQUEST_S_MAX = 5.0
"""How long one request may take."""

GRACE_S = 0.5
"""How much later than the request's own deadline its thread is left behind."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Largest answer read. A page of logs that is larger is asked for in smaller pieces."""

THREADS_MAX = 4
"""Requests of one endpoint at a time, those left behind included."""

ENDPOINTS_MAX = 8

REST_S_MIN = 0.5
REST_S_MAX = 30.0

TOO_LARGE = -1
"""Our own error code for an answer larger than `ANSWER_BYTES_MAX`; JSON-RPC's are below -32000."""

ERROR_TEXT_MAX = 200
"""Most characters of an endpoint's error message that are shown or logged."""


_READING = threading.Lock()
"""Held while an answer is read. msgspec learns a type when it first meets it, and while it does
(it runs Python for that, so another thread may come in) to use the same type ends the process."""


class EndpointFailed(Exception):
    """The endpoint is down, hangs, or answers nonsense; another may do better."""


class WrongChain(EndpointFailed):
    """The endpoint works, but it is not on our network's chain."""


class Refused(EndpointFailed):
    """The endpoint answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(f"refused ({code}): {message[:ERROR_TEXT_MAX]}")
        self.code = code
        self.message = message.lower()
        self.data = data
        """What a contract reverted with, empty if it did not."""


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: object = None


class _Answer(msgspec.Struct):
    error: _Error | None = None
    result: object = None


def unhex(text: str) -> bytes:
    """Read 0x-hex.

    Raises:
        ValueError: It is none.
    """
    if not text.startswith("0x"):
        raise ValueError("no 0x-hex")
    return bytes.fromhex(text[2:])


class Endpoint:
    """One JSON-RPC endpoint."""

    def __init__(self, url: str, *, request_s_max: float = REQUEST_S_MAX) -> None:
        """Name the endpoint; nothing is loaded or sent yet.

        Raises:
            ValueError: `url` is no http or https address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("an endpoint is an http:// or https:// address")
        self.name = parts.netloc.rpartition("@")[2]
        """Host and port only: addresses often carry a secret key in their path."""

        self.is_checked = False
        self.trouble: EndpointFailed | None = None
        """Why its last use failed; `None` if it did not."""

        self._url = url
        self._request_s_max = request_s_max
        self._limiter = trio.CapacityLimiter(THREADS_MAX)
        self._connecting = threading.Lock()
        self._provider: BoundedProvider | None = None
        self._failures = 0
        self._rests_until = -float("inf")

    async def ask(self, method: str, *params: object, parse: Callable[[object], T]) -> T:
        """Send one request and read its result; both in a thread.

        Args:
            method: Such as `eth_call`.
            params: Its parameters, as JSON has them.
            parse: Reads the result; a `ValueError` or `TypeError` means that it is nonsense.

        Raises:
            Refused: The endpoint answered with an error.
            EndpointFailed: No answer in time, or nonsense.
        """
        with trio.move_on_after(self._request_s_max + GRACE_S):
            return await trio.to_thread.run_sync(
                self._ask, method, params, parse, abandon_on_cancel=True, limiter=self._limiter
            )
        raise EndpointFailed(f"{method}: no answer in {self._request_s_max:g} s")

    async def call(
        self, to: bytes, data: bytes, *, parse: Callable[[bytes], T], block: str = "latest"
    ) -> T:
        """Call a contract's view function and read what it returns.

        Args:
            to: The contract's address.
            data: Selector and arguments.
            parse: Reads what is returned; as of `ask`.
            block: As of which block.

        Raises:
            Refused: It reverts: `data` says why.
            EndpointFailed: No answer in time, or nonsense.
        """
        question = {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}
        return await self.ask("eth_call", question, block, parse=lambda r: parse(unhex(str(r))))

    async def code(self, address: bytes) -> bytes:
        """Return the code at an address, none if no contract is there; raises as `ask` does."""
        place = f"0x{address.hex()}"
        return await self.ask("eth_getCode", place, "latest", parse=lambda r: unhex(str(r)))

    async def tell(self, method: str, *params: object) -> None:
        """Send one request that changes something; the caller's cancellation waits until it ended.

        Raises:
            Refused: The endpoint answered with an error.
            EndpointFailed: No answer in time: it may or may not have happened.
        """
        with trio.CancelScope(shield=True):
            await self.ask(method, *params, parse=bool)

    def _ask(self, method: str, params: Sequence[object], parse: Callable[[object], T]) -> T:
        try:
            answer = msgspec.convert(self._request(method, params), _Answer)
            if answer.error is None:
                with _READING:
                    return parse(answer.result)
        except httpx.HTTPStatusError as error:
            raise EndpointFailed(f"{method}: HTTP {error.response.status_code}") from None
        except httpx.TransportError as error:
            raise EndpointFailed(f"{method}: {str(error) or type(error).__name__}") from None
        except (ValueError, TypeError, KeyError, RecursionError, msgspec.MsgspecError) as error:
            nonsense = f"{type(error).__name__}: {error}"[:ERROR_TEXT_MAX]
            raise EndpointFailed(f"{method}: answered nonsense: {nonsense}") from None
        raise Refused(answer.error.code, answer.error.message, _reverted_with(answer.error.data))

    def _request(self, method: str, params: Sequence[object]) -> object:
        from web3.types import RPCEndpoint  # noqa: PLC0415  # a second, only where used

        from stkrp2p.adapters.chain.provider import TooLarge  # noqa: PLC0415

        try:
            return self._connected().make_request(RPCEndpoint(method), list(params))
        except TooLarge as error:
            raise Refused(TOO_LARGE, str(error)) from None

    def _connected(self) -> BoundedProvider:
        """Return the provider: the same to all threads, since `close` closes but one."""
        from stkrp2p.adapters.chain.provider import BoundedProvider  # noqa: PLC0415

        with self._connecting:
            if self._provider is None:
                self._provider = BoundedProvider(
                    self._url, request_s_max=self._request_s_max, answer_bytes_max=ANSWER_BYTES_MAX
                )
            return self._provider

    def close(self) -> None:
        """Close all connections."""
        if self._provider is not None:
            self._provider.close()

    @property
    def rest_s(self) -> float:
        """How long it still rests after a failure, 0 or less if it does not."""
        return self._rests_until - trio.current_time()

    def succeeded(self) -> None:
        """Take note that it works."""
        self._failures = 0
        self.trouble = None

    def failed(self, trouble: EndpointFailed) -> None:
        """Let it rest for a while, longer after each failure, and check it anew before the next use."""
        rest_s = min(REST_S_MAX, REST_S_MIN * 2 ** min(self._failures, 16))
        jitter_s = rest_s * secrets.randbelow(1_000) / 1_000
        self._rests_until = trio.current_time() + (rest_s + jitter_s) / 2
        self._failures += 1
        self.is_checked = False
        self.trouble = trouble


def _reverted_with(data: object) -> bytes:
    # Geth and anvil put the bytes here, others an object around them or prose.
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    try:
        return unhex(data) if isinstance(data, str) else b""
    except ValueError:
        return b""


class Endpoints:
    """All endpoints of a node: which works, and how things stand."""

    def __init__(
        self, endpoints: Sequence[Endpoint], check: Callable[[Endpoint], Awaitable[None]]
    ) -> None:
        """Set up; nothing is sent yet.

        Args:
            endpoints: In the order of preference, at most `ENDPOINTS_MAX`.
            check: Asks an endpoint whether it is on our chain, before its first use and after each
                failure; raises `EndpointFailed` if not.
        """
        if len(endpoints) > ENDPOINTS_MAX:
            raise ValueError(f"at most {ENDPOINTS_MAX} endpoints, got {len(endpoints)}")
        self._endpoints = list(endpoints)
        self._check = check
        self.state = ChainState.CONNECTING if endpoints else ChainState.OFF
        self.detail = "not asked yet" if endpoints else "no endpoint is configured"

    def close(self) -> None:
        """Close all connections."""
        for endpoint in self._endpoints:
            endpoint.close()

    async def use(self, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Do something with the first endpoint that can.

        Args:
            work: Done from the start again with the next endpoint when one fails, so doing it
                twice must do no harm.

        Raises:
            ChainUnavailable: None could, or `work` said so.
        """
        await load_in_thread()
        for endpoint in tuple(self._endpoints):
            if endpoint.rest_s > 0:
                continue
            try:
                return await self._use_one(endpoint, work)
            except EndpointFailed as error:
                self._note_failure(endpoint, error)
        raise ChainUnavailable(self.detail)

    async def _use_one(self, endpoint: Endpoint, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        if not endpoint.is_checked:
            await self._check(endpoint)
            endpoint.is_checked = True
        try:
            result = await work(endpoint)
        except ChainUnavailable:
            self._note_success(endpoint)  # it answered; what it said does not please us
            raise
        self._note_success(endpoint)
        return result

    def _note_success(self, endpoint: Endpoint) -> None:
        if self.state is not ChainState.OK:
            log.info("chain endpoint works", extra={"endpoint": endpoint.name})
        endpoint.succeeded()
        self.state = ChainState.OK
        self.detail = "; ".join([endpoint.name, *self._troubles()])

    def _note_failure(self, endpoint: Endpoint, error: EndpointFailed) -> None:
        log.warning(
            "chain endpoint failed", extra={"endpoint": endpoint.name, "reason": str(error)}
        )
        endpoint.failed(error)
        # The others come first next time.
        self._endpoints.remove(endpoint)
        self._endpoints.append(endpoint)
        # A wrong chain does not heal by itself, so it is what people must read.
        is_wrong = any(isinstance(e.trouble, WrongChain) for e in self._endpoints)
        self.state = ChainState.WRONG_CHAIN if is_wrong else ChainState.DOWN
        self.detail = "; ".join(self._troubles())

    def _troubles(self) -> list[str]:
        return [f"{e.name}: {e.trouble}" for e in self._endpoints if e.trouble]
