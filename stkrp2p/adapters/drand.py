"""Beacon rounds over drand's HTTP API, from several endpoints of which none is trusted.

A round is asked of the endpoint that did best lately; if it fails, or is silent for `hedge_ms`, the
next is asked beside it. The first answer whose signature verifies wins, so a slow, hanging or lying
endpoint costs a little time and nothing else. An endpoint that knows drand holds the question for
the round just due; one that answers "not yet" is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import httpx
import msgspec
import structlog
import trio

from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, verified
from stkrp2p.core.types import ProtocolError, Round
from stkrp2p.core.wire import INTEGER_MAX, Uint
from stkrp2p.ports import BeaconUnavailable, WallClock

log = structlog.get_logger()

SCHEME = "bls-unchained-g1-rfc9380"
"""The only one of drand's schemes whose rounds Ethereum can check cheaply."""

ENDPOINTS_MAX = 16

BODY_BYTES_MAX = 4096
"""Largest body read; a round has some 250 bytes, a chain's description some 600."""

FAULT_CHARACTERS_MAX = 200
"""What is kept and logged of a fault: endpoints choose some of the words."""

_MS_PER_S: Final = 1000
_HTTP_OK: Final = 200


class ForeignBeacon(Exception):
    """An endpoint serves another chain than the one this network was founded on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what."""

    hedge_ms: int = 1_000
    """After a round is due, until the next endpoint is asked beside a silent one."""

    answer_ms: int = 5_000
    """For one endpoint's whole answer, counted from when the round is due."""

    retry_ms: int = 250
    """Between two sweeps over all endpoints."""

    total_ms: int = 10_000
    """For `fetch` altogether, counted from when the round is due."""

    ahead_ms: int = 3_000
    """How long before it is due a round may be asked for."""


def patience_for(beacon: Beacon) -> Patience:
    """Return what suits a beacon: a round that comes after the next one is due helps nobody."""
    period = beacon.period_ms
    return Patience(
        hedge_ms=period // 4,
        answer_ms=max(period, 500),
        retry_ms=min(period // 8, 500),
        total_ms=max(period, 1_000),
        ahead_ms=period,
    )


@dataclass(slots=True, kw_only=True)
class EndpointHealth:
    """How one endpoint did since the node started."""

    url: str
    rounds: int = 0
    """Verified rounds it gave first."""

    failures: int = 0
    """Times it was down, too slow, or without the round."""

    bad_answers: int = 0
    """Answers that were no round, or not signed by the beacon."""

    failures_in_row: int = 0
    """Failures and bad answers since its last round; who has fewest is asked first."""

    latency_ms: int | None = None
    """From question (or due time, if later) to the last round it gave."""

    last_fault: str = ""
    """What was wrong last, empty if nothing ever was."""


class _Down(Exception):
    """No answer, or none of use; the endpoint may be honest."""


class _Bad(Exception):
    """An answer that no working endpoint of this chain gives."""


class _RoundAnswer(msgspec.Struct, frozen=True):
    round: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
    signature: str


class _InfoAnswer(msgspec.Struct, frozen=True):
    public_key: str
    period: Uint
    genesis_time: Uint
    scheme: str = msgspec.field(name="schemeID", default="")


@dataclass(slots=True)
class _Race:
    """All questions for one round. Times are trio's."""

    number: Round
    due: float
    deadline: float
    signature: bytes | None = None
    running: list[EndpointHealth] = field(default_factory=list)
    """Endpoints asked and not heard of, longest first."""


class DrandBeacons:
    """Implements `ports.Beacons`; what it returns is verified."""

    def __init__(
        self,
        beacon: Beacon,
        endpoints: Sequence[str],
        *,
        client: httpx.AsyncClient,
        clock: WallClock,
        patience: Patience | None = None,
    ) -> None:
        """Bind the endpoints.

        Args:
            beacon: The chain whose rounds count.
            endpoints: Base URLs, best first; of a server with several chains, with the chain hash
                at the end, such as `https://api.drand.sh/52db9ba7…`.
            client: Connections; the caller closes it.
            clock: For when a round is due.
            patience: `patience_for(beacon)` if not given.

        Raises:
            ValueError: No endpoint, more than `ENDPOINTS_MAX`, or one that is no http(s) URL.
        """
        if not 0 < len(endpoints) <= ENDPOINTS_MAX:
            raise ValueError(f"from 1 to {ENDPOINTS_MAX} beacon endpoints, got {len(endpoints)}")
        self._endpoints = [EndpointHealth(url=_checked_url(e)) for e in endpoints]
        self._beacon = beacon
        self._client = client
        self._clock = clock
        self._patience = patience or patience_for(beacon)

    @property
    def health(self) -> tuple[EndpointHealth, ...]:
        """How each endpoint does, in the order configured."""
        return tuple(self._endpoints)

    async def fetch(self, number: Round) -> bytes:
        """Return a round's signature, verified; waits up to `ahead_ms` for one not yet due.

        Raises:
            BeaconUnavailable: Not due soon, or no endpoint gave it within `total_ms` of its time.
        """
        wait_ms = max(0, self._beacon.due_ms(number) - self._clock.unix_ms())
        if wait_ms > self._patience.ahead_ms:
            raise BeaconUnavailable(f"round {number} is due in {wait_ms} ms only")
        due = trio.current_time() + wait_ms / _MS_PER_S
        race = _Race(number, due, due + self._patience.total_ms / _MS_PER_S)
        while trio.current_time() < race.deadline:
            await self._sweep(race)
            if race.signature is not None:
                return race.signature
            await trio.sleep(self._patience.retry_ms / _MS_PER_S)
        raise BeaconUnavailable(f"round {number}: {self._faults()}")

    def _faults(self) -> str:
        return "; ".join(f"{e.url}: {e.last_fault or 'not asked'}" for e in self._endpoints)

    async def _sweep(self, race: _Race) -> None:
        """Ask every endpoint once, one after the other or overlapping, until one verifies."""
        async with trio.open_nursery() as nursery:
            for endpoint in sorted(self._endpoints, key=lambda e: e.failures_in_row):
                has_ended = trio.Event()
                race.running.append(endpoint)
                nursery.start_soon(self._ask, endpoint, race, nursery.cancel_scope, has_ended)
                hedge_at = max(race.due, trio.current_time()) + self._patience.hedge_ms / _MS_PER_S
                with trio.move_on_at(min(hedge_at, race.deadline)):
                    await has_ended.wait()
                if trio.current_time() >= race.deadline:
                    return

    async def _ask(
        self, endpoint: EndpointHealth, race: _Race, others: trio.CancelScope, has_ended: trio.Event
    ) -> None:
        """Ask one endpoint; on success stop the race, on failure let the next one start."""
        asked = max(race.due, trio.current_time())
        try:
            race.signature = await self._round_of(endpoint, race, asked)
        except (_Down, _Bad) as error:
            race.running.remove(endpoint)
            _note_fault(endpoint, error)
            has_ended.set()
            return
        endpoint.rounds += 1
        endpoint.failures_in_row = 0
        endpoint.latency_ms = round((trio.current_time() - asked) * _MS_PER_S)
        for slower in race.running[: race.running.index(endpoint)]:
            _note_fault(slower, _Down("slower than the next endpoint"))
        others.cancel()

    async def _round_of(self, endpoint: EndpointHealth, race: _Race, asked: float) -> bytes:
        deadline = min(asked + self._patience.answer_ms / _MS_PER_S, race.deadline)
        with trio.move_on_at(deadline):
            body = await self._get(f"{endpoint.url}/public/{race.number}")
            return _checked_round(self._beacon, race.number, body)
        raise _Down("no answer in time")

    async def _get(self, url: str) -> bytes:
        """Return a body of at most `BODY_BYTES_MAX`; time is bounded by the caller."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with self._client.stream("GET", url, headers=headers, timeout=None) as response:
                if response.status_code != _HTTP_OK:
                    raise _Down(f"status {response.status_code}")
                return await _capped_body(response)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
            raise _Down(str(error) or type(error).__name__) from error

    async def check_info(self) -> None:
        """Ask every endpoint which chain it serves; those that do not answer are passed over.

        Raises:
            ForeignBeacon: At least one serves another; the message names each with what differs.
        """
        foreign: list[str] = []
        async with trio.open_nursery() as nursery:
            for endpoint in self._endpoints:
                nursery.start_soon(self._check_one, endpoint, foreign)
        if foreign:
            raise ForeignBeacon("; ".join(sorted(foreign)))

    async def _check_one(self, endpoint: EndpointHealth, foreign: list[str]) -> None:
        try:
            with trio.fail_after(self._patience.answer_ms / _MS_PER_S):
                info = _checked_info(await self._get(f"{endpoint.url}/info"))
        except trio.TooSlowError:
            _note_fault(endpoint, _Down("no /info in time"))
        except (_Down, _Bad) as error:
            _note_fault(endpoint, error)
        else:
            differing = _differences(self._beacon, info)
            if differing:
                foreign.append(f"{endpoint.url} serves another beacon: {', '.join(differing)}")


async def _capped_body(response: httpx.Response) -> bytes:
    """Return the body as it was sent, never decompressed."""
    body = b""
    with trio.CancelScope() as reading:
        async for chunk in response.aiter_raw():
            if len(body) + len(chunk) <= BODY_BYTES_MAX:
                body += chunk
            else:
                # Cancelled from inside, httpx's nested generators clean up; left by `break` or an
                # exception, they would linger until collected.
                reading.cancel()
    if reading.cancel_called:
        raise _Bad(f"more than {BODY_BYTES_MAX} bytes")
    return body


def _note_fault(endpoint: EndpointHealth, error: _Down | _Bad) -> None:
    fault = str(error)[:FAULT_CHARACTERS_MAX]
    if isinstance(error, _Bad):
        endpoint.bad_answers += 1
        if fault != endpoint.last_fault:
            log.warning("beacon endpoint gives bad answers", url=endpoint.url, fault=fault)
    else:
        endpoint.failures += 1
    endpoint.failures_in_row += 1
    endpoint.last_fault = fault


def _checked_url(endpoint: str) -> str:
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        raise ValueError(f"{endpoint!r} is no URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment:
        raise ValueError(f"a beacon endpoint is http(s)://host[/path], got {endpoint!r}")
    return endpoint.rstrip("/")


def _checked_round(beacon: Beacon, number: Round, body: bytes) -> bytes:
    try:
        answer = msgspec.json.decode(body, type=_RoundAnswer)
        signature = bytes.fromhex(answer.signature)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _Bad(f"not a round: {error}") from error
    if answer.round != number:
        raise _Bad("the answer for another round")
    if len(signature) != bls.SIGNATURE_BYTES:
        raise _Bad(f"a signature of {len(signature)} bytes")
    try:
        return verified(beacon, number, signature).signature
    except ProtocolError as error:
        raise _Bad("a signature that does not verify") from error


def _checked_info(body: bytes) -> _InfoAnswer:
    try:
        return msgspec.json.decode(body, type=_InfoAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Bad(f"not a chain's description: {error}") from error


def _differences(beacon: Beacon, info: _InfoAnswer) -> list[str]:
    pairs = {
        "public_key": (info.public_key.lower(), beacon.public_key.hex()),
        "period": (info.period * _MS_PER_S, beacon.period_ms),
        "genesis_time": (info.genesis_time * _MS_PER_S, beacon.genesis_ms),
        "schemeID": (info.scheme or SCHEME, SCHEME),
    }
    return [
        f"{name} is {theirs}, not {ours}"
        for name, (theirs, ours) in pairs.items()
        if theirs != ours
    ]
