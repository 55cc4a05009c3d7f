"""The drand client against real quicknet rounds, served over real sockets by endpoints with faults."""

import gzip
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
import pytest
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import (
    BODY_BYTES_MAX,
    ENDPOINTS_MAX,
    DrandBeacons,
    ForeignBeacon,
    Patience,
    patience_for,
)
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, round_message
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.ports import Beacons, BeaconUnavailable

QUICKNET_INFO = {
    "public_key": (
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    "period": 3,
    "genesis_time": 1692803367,
    "hash": "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    "groupHash": "f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e",
    "schemeID": "bls-unchained-g1-rfc9380",
    "metadata": {"beaconID": "quicknet"},
}
QUICKNET = Beacon(
    public_key=bytes.fromhex(str(QUICKNET_INFO["public_key"])),
    genesis_ms=UnixMs(1692803367_000),
    period_ms=3_000,
)
SIGNATURES = {  # real rounds of quicknet
    42: "95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a",
    123: "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92",
    1000: "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
}
ROUND = Round(123)
RIGHT = bytes.fromhex(SIGNATURES[123])

QUICK = Patience(hedge_ms=50, answer_ms=800, retry_ms=100, total_ms=2_000, ahead_ms=1_000)
"""For tests in which no endpoint has the round."""

PATIENT = Patience(hedge_ms=50, answer_ms=20_000, retry_ms=50, total_ms=30_000, ahead_ms=1_000)
"""For tests in which one has: a busy machine must not fail them."""

IN_TURN = replace(PATIENT, hedge_ms=20_000)
"""One endpoint is asked after the other."""

Behaviour = Callable[[str, trio.SocketStream], Awaitable[None]]


@dataclass
class Endpoint:
    """A server that treats each request as its behaviour says."""

    behaviour: Behaviour
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def handle(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # the client has had enough
            head = b""
            while b"\r\n\r\n" not in head:
                more = await stream.receive_some()
                if not more:
                    return
                head += more
            path = head.split()[1].decode()
            self.asked.append(path)
            await self.behaviour(path, stream)


@asynccontextmanager
async def served(*behaviours: Behaviour):
    """Serve one endpoint for each behaviour."""
    endpoints = [Endpoint(behaviour) for behaviour in behaviours]
    async with trio.open_nursery() as nursery:
        for endpoint in endpoints:
            serve = partial(trio.serve_tcp, endpoint.handle, 0, host="127.0.0.1")
            listeners = await nursery.start(serve)
            endpoint.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield endpoints
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def beacons_over(patience: Patience, *behaviours: Behaviour):
    """Serve the behaviours and ask them, in this order."""
    async with served(*behaviours) as endpoints, httpx.AsyncClient() as client:
        urls = [e.url for e in endpoints]
        clock = SystemClock()
        yield DrandBeacons(QUICKNET, urls, client=client, clock=clock, patience=patience), endpoints


@asynccontextmanager
async def beacons_of(urls: list[str], patience: Patience):
    """Ask these addresses."""
    async with httpx.AsyncClient() as client:
        yield DrandBeacons(QUICKNET, urls, client=client, clock=SystemClock(), patience=patience)


async def respond(
    stream: trio.SocketStream, body: bytes, *, status: str = "200 OK", headers: str = ""
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    await stream.send_all(head.encode() + body)


def round_body(number: int, signature: str, **more: object) -> bytes:
    return json.dumps({"round": number, "signature": signature, **more}).encode()


def asked_round(path: str) -> int:
    return int(path.rpartition("/")[2])


async def honest(path: str, stream: trio.SocketStream) -> None:
    if path == "/info":
        await respond(stream, json.dumps(QUICKNET_INFO).encode())
    else:
        number = asked_round(path)
        await respond(stream, round_body(number, SIGNATURES[number], randomness="ignored"))


def answering(body: bytes, *, status: str = "200 OK", headers: str = "") -> Behaviour:
    async def behaviour(path: str, stream: trio.SocketStream) -> None:
        await respond(stream, body, status=status, headers=headers)

    return behaviour


async def hanging(path: str, stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def dripping(path: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.05)


async def endless(path: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send_all(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


async def hanging_up(path: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{")


async def no_http(path: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"SSH-2.0-OpenSSH_9.2\r\n")


FORGER = bls.secret_of(b"forger" * 8)
FORGED = bls.sign(FORGER, round_message(ROUND), bls.ROUND_DST).hex()
SQUEEZED = gzip.compress(round_body(ROUND, SIGNATURES[123]) + b" " * 10_000_000)

BAD: dict[str, Behaviour] = {
    "a signature by another key": answering(round_body(ROUND, FORGED)),
    "another round's signature": answering(round_body(ROUND, SIGNATURES[42])),
    "another round": answering(round_body(42, SIGNATURES[42])),
    "the identity as signature": answering(round_body(ROUND, "c0" + "00" * 47)),
    "a short signature": answering(round_body(ROUND, "ab")),
    "no hex": answering(round_body(ROUND, "zz" * 48)),
    "a negative round": answering(round_body(-1, SIGNATURES[123])),
    "a number too large": answering(b'{"round": 1' + b"0" * 4000 + b', "signature": ""}'),
    "fields of other types": answering(b'{"round": "123", "signature": 5}'),
    "a list": answering(b"[1, 2, 3]"),
    "garbage": answering(b"\xff\xfe{{{"),
    "deep nesting": answering(b"[" * 4000),
    "nothing": answering(b""),
    "a body too large": answering(b"x" * (BODY_BYTES_MAX + 1)),
    "an endless body": endless,
    "a compressed body": answering(SQUEEZED, headers="Content-Encoding: gzip\r\n"),
}
"""Answers that no working endpoint gives."""

DOWN: dict[str, Behaviour] = {
    "hanging": hanging,
    "dripping": dripping,
    "hanging up": hanging_up,
    "no HTTP": no_http,
    "status 500": answering(b"{}", status="500 Internal Server Error"),
    "status 404": answering(b"{}", status="404 Not Found"),
    "status 425": answering(b"{}", status="425 Too Early"),
    "a redirect": answering(b"", status="302 Found", headers="Location: http://127.0.0.1:1/\r\n"),
}
"""What an honest endpoint may do on a bad day."""

FAULTS = BAD | DOWN


async def test_a_real_quicknet_round_is_fetched() -> None:
    async with beacons_over(PATIENT, honest) as (beacons, _):
        for number, signature in SIGNATURES.items():
            assert (await beacons.fetch(Round(number))).hex() == signature
    [health] = beacons.health
    assert (health.rounds, health.failures, health.bad_answers, health.last_fault) == (3, 0, 0, "")
    assert health.latency_ms is not None


async def test_no_faulty_endpoint_gives_a_round_and_each_gives_up_within_the_bound() -> None:
    async with (
        served(*FAULTS.values()) as endpoints,
        httpx.AsyncClient() as client,
        trio.open_nursery() as nursery,
    ):
        for endpoint in endpoints:
            nursery.start_soon(assert_gives_up, endpoint.url, client)


async def assert_gives_up(url: str, client: httpx.AsyncClient) -> None:
    beacons = DrandBeacons(QUICKNET, [url], client=client, clock=SystemClock(), patience=QUICK)
    began = trio.current_time()
    with pytest.raises(BeaconUnavailable, match=f"^round {ROUND}: {url}: "):
        await beacons.fetch(ROUND)
    assert trio.current_time() - began < QUICK.total_ms / 1000 + 10  # a busy machine is no fault
    [health] = beacons.health
    assert health.rounds == 0
    assert health.failures_in_row == health.failures + health.bad_answers > 0


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_endpoint_costs_only_time_where_another_is_honest(fault: str) -> None:
    ends_by_itself = fault not in {"hanging", "dripping"}
    patience = IN_TURN if ends_by_itself else PATIENT
    async with beacons_over(patience, FAULTS[fault], honest) as (beacons, _):
        assert await beacons.fetch(ROUND) == RIGHT
    faulty, good = beacons.health
    assert (faulty.bad_answers, faulty.failures) == ((1, 0) if fault in BAD else (0, 1))
    assert (good.rounds, good.bad_answers, good.failures) == (1, 0, 0)
    assert faulty.failures_in_row > good.failures_in_row == 0  # next time the good one is first


async def test_who_did_best_lately_is_asked_first_and_alone() -> None:
    async with beacons_over(IN_TURN, hanging_up, honest) as (beacons, [faulty, good]):
        assert await beacons.fetch(ROUND) == RIGHT
        assert await beacons.fetch(Round(42)) == bytes.fromhex(SIGNATURES[42])
    assert (faulty.asked, good.asked) == (["/public/123"], ["/public/123", "/public/42"])


async def test_of_all_contradicting_endpoints_the_verified_one_is_believed() -> None:
    liars = [BAD[name] for name in list(BAD)[: ENDPOINTS_MAX - 1]]
    async with beacons_over(IN_TURN, *liars, honest) as (beacons, _):
        assert await beacons.fetch(ROUND) == RIGHT
    assert [h.bad_answers for h in beacons.health] == [1] * len(liars) + [0]


async def test_an_endpoint_that_is_down_is_passed_over() -> None:
    nobody = "http://127.0.0.1:1"
    async with served(honest) as [good], beacons_of([nobody, good.url], PATIENT) as beacons:
        assert await beacons.fetch(ROUND) == RIGHT
    assert beacons.health[0].failures == 1


async def test_an_endpoint_that_recovers_within_the_time_is_asked_again() -> None:
    answers = [DOWN["status 404"], DOWN["status 500"], DOWN["hanging up"]]

    async def recovering(path: str, stream: trio.SocketStream) -> None:
        await (answers.pop() if answers else honest)(path, stream)

    async with beacons_over(IN_TURN, recovering) as (beacons, [endpoint]):
        assert await beacons.fetch(ROUND) == RIGHT
    assert len(endpoint.asked) == 4
    assert beacons.health[0].failures_in_row == 0


async def test_a_late_answer_counts_if_nobody_else_is_sooner() -> None:
    async def late(path: str, stream: trio.SocketStream) -> None:
        await trio.sleep(0.2)
        await honest(path, stream)

    async with beacons_over(PATIENT, late, hanging) as (beacons, _):
        assert await beacons.fetch(ROUND) == RIGHT
    assert beacons.health[0].latency_ms is not None
    assert beacons.health[0].latency_ms >= 200


async def test_a_round_far_from_due_is_not_asked_for() -> None:
    async with beacons_over(QUICK, honest) as (beacons, [endpoint]):
        ahead = Round(QUICKNET.last_due(SystemClock().unix_ms()) + 3)
        with pytest.raises(BeaconUnavailable, match=rf"^round {ahead} is due in \d+ ms only$"):
            await beacons.fetch(ahead)
    assert endpoint.asked == []


async def test_a_chain_that_is_ours_passes_and_a_silent_endpoint_is_no_offence() -> None:
    async with beacons_over(QUICK, honest, *DOWN.values()) as (beacons, _):
        await beacons.check_info()


async def test_an_endpoint_of_another_chain_is_named_with_what_differs() -> None:
    other = {**QUICKNET_INFO, "period": 30, "genesis_time": 1, "schemeID": "pedersen-bls-chained"}
    elsewhere = answering(json.dumps(other).encode())
    async with beacons_over(PATIENT, honest, elsewhere) as (beacons, [_, foreign]):
        with pytest.raises(ForeignBeacon) as refused:
            await beacons.check_info()
    assert str(refused.value) == (
        f"{foreign.url} serves another beacon: period is 30000, not 3000,"
        " genesis_time is 1000, not 1692803367000,"
        " schemeID is pedersen-bls-chained, not bls-unchained-g1-rfc9380"
    )


@pytest.mark.parametrize(
    "url", ["ftp://a", "api.drand.sh", "http://", "https://a/?b", "http://a:b"]
)
async def test_an_endpoint_that_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|beacon endpoint is"):
        async with beacons_of([url], QUICK):
            pytest.fail("accepted")


@pytest.mark.parametrize("count", [0, ENDPOINTS_MAX + 1])
async def test_the_number_of_endpoints_is_bounded(count: int) -> None:
    with pytest.raises(
        ValueError, match=f"from 1 to {ENDPOINTS_MAX} beacon endpoints, got {count}"
    ):
        async with beacons_of(["http://a"] * count, QUICK):
            pytest.fail("accepted")


@pytest.mark.parametrize("params", [MINIMAL, MAINNET])
def test_an_answer_comes_before_the_next_round_or_not_at_all(params) -> None:
    beacon = Beacon(
        public_key=QUICKNET.public_key, genesis_ms=UnixMs(0), period_ms=params.period_ms
    )
    patience = patience_for(beacon)
    assert patience.hedge_ms < patience.answer_ms <= patience.total_ms <= params.period_ms


def is_a_source(beacons: DrandBeacons) -> Beacons:
    """Let the type checker see that the adapter fits its port."""
    return beacons
