"""drand's HTTP API over a book of rounds: pure answers, real sockets, and drand's own clients."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from hypothesis import given, strategies as st

from stkrp2p.adapters import drand_server
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import DrandBeacons, Patience
from stkrp2p.adapters.drand_server import (
    ChainApi,
    Hold,
    Lookup,
    Reply,
    RoundBook,
    Version,
    chain_hash_of,
    genesis_seed_of,
    serve_rounds,
)
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, round_message, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.ports import WallClock
from tests.adapters.drand_kit import (
    FrozenClock,
    clock_at,
    connected,
    end_of,
    judged,
    needs_drands_clients,
    serving,
)

SECRET = bls.secret_of(b"council of the tests".ljust(48, b"."))
PUBLIC_KEY = bls.public_key_of(SECRET)
GENESIS_MS = UnixMs(1_767_225_600_000)
FOREVER = "public, max-age=31536000, immutable"


def beacon_of(*, genesis_ms: int = GENESIS_MS, period_ms: int = 1_000) -> Beacon:
    return Beacon(public_key=PUBLIC_KEY, genesis_ms=UnixMs(genesis_ms), period_ms=period_ms)


BEACON = beacon_of()
API = ChainApi(BEACON, "council")
CHAIN = API.chain_hash.hex()

SLOW = beacon_of(period_ms=60_000)
"""No round of it falls due while a test runs."""


def due_ms(number: int) -> int:
    return BEACON.due_ms(Round(number))


def signature_of(number: int) -> bytes:
    return bls.sign(SECRET, round_message(Round(number)), bls.ROUND_DST)


class Book:
    """Rounds in memory; a test writes them when it likes."""

    def __init__(self, *numbers: int) -> None:
        self._rounds = {number: signature_of(number) for number in numbers}
        self._written = trio.Event()
        self.waiting = 0

    def write(self, number: int) -> None:
        self._rounds[number] = signature_of(number)
        self._written.set()
        self._written = trio.Event()

    def latest(self) -> Round:
        return Round(max(self._rounds, default=0))

    async def get(self, number: Round) -> bytes | None:
        return self._rounds.get(number)

    async def wait(self, number: Round) -> None:
        self.waiting += 1
        try:
            while self.latest() < number:
                await self._written.wait()
        finally:
            self.waiting -= 1

    async def until_waiting(self, count: int) -> None:
        """Return once so many wait."""
        with trio.fail_after(10):
            while self.waiting != count:  # noqa: ASYNC110  # a hang-up gives no event
                await trio.sleep(0.005)


def is_a_book(book: Book) -> RoundBook:
    """Let the type checker see that the book fits."""
    return book


def serving_book(book: Book, clock: WallClock, beacon: Beacon = BEACON):
    return serving(serve_rounds, book, beacon, "council", "127.0.0.1", 0, clock)


def answer(path: str, *, due: int, latest: int) -> Reply | Lookup | Hold:
    return API.answer(path, due=Round(due), latest=Round(latest))


def told(reply: Reply | Lookup | Hold) -> tuple[int, object, str]:
    assert isinstance(reply, Reply)
    return reply.status, json.loads(reply.body), reply.cache


# ---------------------------------------------------------------------------- without a socket


def test_the_chain_hash_is_drands() -> None:
    quicknet = Beacon(
        public_key=bytes.fromhex(
            "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
            "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
        ),
        genesis_ms=UnixMs(1_692_803_367_000),
        period_ms=3_000,
    )
    seed = bytes.fromhex("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e")
    expected = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
    assert chain_hash_of(quicknet, "quicknet", seed).hex() == expected


def test_chains_of_one_key_and_two_names_have_two_hashes() -> None:
    assert ChainApi(BEACON, "solo").chain_hash != API.chain_hash
    assert genesis_seed_of(PUBLIC_KEY, "council") == sha256(b"stkr/council/1", PUBLIC_KEY)


rounds = st.integers(0, 1000)
round_paths = st.sampled_from(
    [
        "/public/{}",
        "/public/{}?1767225600",
        f"/{CHAIN}/public/{{}}",
        f"/v2/chains/{CHAIN}/rounds/{{}}",
        "/v2/beacons/council/rounds/{}",
    ]
)


@given(round_paths, st.integers(1, 1002), rounds, rounds)
def test_a_round_is_looked_up_once_known_held_while_owed_and_refused_beyond(
    path: str, number: int, due: int, latest: int
) -> None:
    asked = answer(path.format(number), due=due, latest=latest)
    if number <= latest:
        version = Version.V2 if path.startswith("/v2") else Version.V1
        assert asked == Lookup(number=Round(number), version=version, cache=FOREVER)
    elif number <= due + 1:
        assert asked == Hold(Round(number))
    else:
        assert told(asked) == (404, {"error": "round not due"}, "no-store")


@given(st.sampled_from(["/public/latest", "/v2/beacons/council/rounds/latest"]), rounds, rounds)
def test_latest_is_the_last_round_known_and_the_first_is_held_for(
    path: str, due: int, latest: int
) -> None:
    asked = answer(path, due=due, latest=latest)
    if latest:
        assert isinstance(asked, Lookup)
        assert (asked.number, asked.cache) == (latest, "no-store")
    else:
        assert asked == Hold(Round(1))


@given(rounds, rounds)
def test_health_forgives_the_round_on_its_way_and_no_other(due: int, latest: int) -> None:
    status, body, cache = told(answer("/health", due=due, latest=latest))
    assert body == {"current": latest, "expected": due}
    assert status == (200 if latest >= due - 1 else 503)
    assert cache == "no-store"


def test_a_round_the_book_lacks_is_an_answer_no_cache_keeps() -> None:
    lookup = Lookup(number=Round(7), version=Version.V1, cache=FOREVER)
    expected = (404, {"error": "round 7 is not kept here"}, "no-store")
    assert told(API.found(lookup, None)) == expected


paths = st.text(max_size=30) | st.from_regex(
    rf"(/{CHAIN}|/v2/(chains/{CHAIN}|beacons/council))?/?[a-z]{{0,7}}/?[0-9+\-a-f.]{{0,20}}",
    fullmatch=True,
)


@given(paths)
def test_any_path_has_an_answer(path: str) -> None:
    assert isinstance(answer(path, due=6, latest=6), Reply | Lookup | Hold)


@pytest.mark.parametrize("which", ["0", "-1", "+1", "01", "1.0", "0x1", "", "٣", "9" * 400])
def test_a_round_that_is_no_number_from_one_is_refused(which: str) -> None:
    for path in (f"/public/{which}", f"/v2/chains/{CHAIN}/rounds/{which}"):
        status, _, cache = told(answer(path, due=10**6, latest=10**6))
        assert status in {400, 404}
        assert cache == "no-store"


def test_a_beacon_that_drands_api_cannot_describe_is_refused() -> None:
    for beacon in (beacon_of(period_ms=500), beacon_of(genesis_ms=GENESIS_MS + 1)):
        with pytest.raises(ValueError, match="must be whole seconds"):
            ChainApi(beacon, "council")
    for name in ("", "Council", "a/b", "-a", "a" * 33):
        with pytest.raises(
            ValueError, match=r"^a beacon's name is like quicknet or evm-test, got "
        ):
            ChainApi(BEACON, name)


# ---------------------------------------------------------------------------- over sockets


async def test_the_first_version_of_the_api_is_drands() -> None:
    async with serving_book(Book(1, 8), FrozenClock(due_ms(8))) as client:
        info = (await client.get("/info")).json()
        seed = genesis_seed_of(PUBLIC_KEY, "council").hex()
        assert info == {
            "public_key": PUBLIC_KEY.hex(),
            "period": 1,
            "genesis_time": GENESIS_MS // 1000,
            "genesis_seed": seed,
            "hash": CHAIN,
            "groupHash": seed,
            "schemeID": "bls-unchained-g1-rfc9380",
            "metadata": {"beaconID": "council"},
        }
        assert (await client.get("/chains")).json() == [CHAIN]
        assert (await client.get(f"/{CHAIN}/info")).json() == info
        first = await client.get("/public/1")
        assert first.json() == {
            "round": 1,
            "signature": signature_of(1).hex(),
            "randomness": sha256(signature_of(1)).hex(),
        }
        assert (await client.get(f"/{CHAIN}/public/1")).json() == first.json()
        assert first.headers["cache-control"] == FOREVER
        assert first.headers["content-type"] == "application/json"
        assert first.headers["access-control-allow-origin"] == "*"
        for path in ("/health", f"/{CHAIN}/health"):
            assert (await client.get(path)).json() == {"current": 8, "expected": 8}
        latest = await client.get("/public/latest")
        assert latest.json()["round"] == 8
        assert latest.headers["cache-control"] == "no-store"
        for path in ("/", "/nothing", f"/{'0' * 64}/info", f"/{CHAIN}", "/public", "/public/1/2"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/info")).status_code == 405


async def test_the_second_version_of_the_api_is_drands() -> None:
    async with serving_book(Book(1, 8), FrozenClock(due_ms(8))) as client:
        assert (await client.get("/v2/chains")).json() == [CHAIN]
        assert (await client.get("/v2/beacons")).json() == ["council"]
        for chain in (f"/v2/chains/{CHAIN}", "/v2/beacons/council"):
            assert (await client.get(f"{chain}/info")).json() == {
                "public_key": PUBLIC_KEY.hex(),
                "period": 1,
                "genesis_time": GENESIS_MS // 1000,
                "genesis_seed": genesis_seed_of(PUBLIC_KEY, "council").hex(),
                "chain_hash": CHAIN,
                "scheme": "bls-unchained-g1-rfc9380",
                "beacon_id": "council",
            }
            first = await client.get(f"{chain}/rounds/1")
            assert first.json() == {"round": 1, "signature": signature_of(1).hex()}
            assert first.headers["cache-control"] == FOREVER
            assert (await client.get(f"{chain}/rounds/latest")).json()["round"] == 8
            assert (await client.get(f"{chain}/health")).json() == {"current": 8, "expected": 8}
        for path in ("/v2", f"/v2/chains/{'0' * 64}/info", "/v2/beacons/quicknet/info"):
            assert (await client.get(path)).status_code == 404, path
        for path in (f"/v2/chains/{CHAIN}/public/1", f"/{CHAIN}/rounds/1", "/rounds/latest"):
            assert (await client.get(path)).status_code == 404, path


@asynccontextmanager
async def held(book: Book, clock: WallClock, path: str):
    """Ask for a round to come; yields a client, and the list the answer will be in."""
    answers: list[httpx.Response] = []

    async def ask(client: httpx.AsyncClient) -> None:
        answers.append(await client.get(path))

    async with serving_book(book, clock, SLOW) as client, trio.open_nursery() as nursery:
        nursery.start_soon(ask, client)
        await book.until_waiting(1)
        yield client, answers


async def test_the_next_round_is_held_until_it_is_known_and_later_ones_are_refused() -> None:
    clock = FrozenClock(SLOW.due_ms(Round(8)) - 200)
    book = Book(7)
    async with held(book, clock, "/public/8") as (client, answers):
        assert (await client.get("/public/9")).status_code == 404
        clock.now_ms = SLOW.due_ms(Round(8))
        assert (await client.get("/health")).json() == {"current": 7, "expected": 8}
        assert answers == []  # due, but the council has not made it yet
        book.write(8)
    [given_] = answers
    assert given_.json()["signature"] == signature_of(8).hex()
    assert given_.headers["cache-control"] == FOREVER


@pytest.mark.parametrize("path", ["/public/1", "/public/latest", f"/v2/chains/{CHAIN}/rounds/1"])
async def test_the_first_round_is_held_for_before_genesis(path: str) -> None:
    chain = path.replace(CHAIN, ChainApi(SLOW, "council").chain_hash.hex())
    clock = FrozenClock(GENESIS_MS - 1_000)
    book = Book()
    async with held(book, clock, chain) as (client, answers):
        assert (await client.get("/health")).json() == {"current": 0, "expected": 0}
        clock.now_ms = GENESIS_MS
        book.write(1)
    assert [a.json()["round"] for a in answers] == [1]


async def test_a_beacon_that_stalls_serves_what_it_has_and_says_what_it_owes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drand_server, "LATE_S", 0.1)
    book = Book(1, 2, 3, 5)
    async with serving_book(book, FrozenClock(SLOW.due_ms(Round(9))), SLOW) as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (503, {"current": 5, "expected": 9})
        latest = await client.get("/public/latest")
        assert (latest.status_code, latest.json()["round"]) == (200, 5)
        gap = await client.get("/public/4")
        assert (gap.status_code, gap.json()) == (404, {"error": "round 4 is not kept here"})
        late = await client.get("/public/9")
        assert (late.status_code, late.json()) == (503, {"error": "round 9 is late"})
        for refused in (health, latest, gap, late):
            assert refused.headers["cache-control"] == "no-store"


async def test_a_held_request_is_answered_when_a_stalled_beacon_recovers() -> None:
    book = Book(1)
    async with held(book, FrozenClock(SLOW.due_ms(Round(5))), "/public/4") as (client, answers):
        for number in (2, 3):
            book.write(number)
            await client.get("/health")
            assert answers == []
        book.write(4)
    assert [a.json()["round"] for a in answers] == [4]


async def test_a_held_request_ends_when_the_round_is_passed_over() -> None:
    book = Book(1)
    async with held(book, FrozenClock(SLOW.due_ms(Round(5))), "/public/4") as (_, answers):
        book.write(5)
    [given_] = answers
    assert (given_.status_code, given_.headers["cache-control"]) == (404, "no-store")


async def test_a_node_whose_clock_is_behind_serves_what_the_council_has_made() -> None:
    async with serving_book(Book(7, 8), FrozenClock(due_ms(5))) as client:
        assert (await client.get("/public/8")).json()["round"] == 8
        assert (await client.get("/public/latest")).json()["round"] == 8
        assert (await client.get("/health")).json() == {"current": 8, "expected": 5}


async def test_waiters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drand_server, "WAITERS_MAX", 3)
    book = Book(7)
    statuses: list[int] = []

    async def ask(client: httpx.AsyncClient) -> None:
        statuses.append((await client.get("/public/8")).status_code)
        if statuses == [503, 503]:
            book.write(8)

    clock = FrozenClock(SLOW.due_ms(Round(8)) - 1)
    async with serving_book(book, clock, SLOW) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, client)
    assert statuses == [503, 503, 200, 200, 200]


REQUEST = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_who_hangs_up_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drand_server, "WAITERS_MAX", 1)
    book = Book(7)
    async with serving_book(book, FrozenClock(SLOW.due_ms(Round(8))), SLOW) as client:
        for _ in range(3):
            async with await connected(client) as impatient:
                await impatient.send_all(REQUEST % b"/public/8")
                await book.until_waiting(1)
            await book.until_waiting(0)
        book.write(8)
        assert (await client.get("/public/8")).json()["round"] == 8


async def test_a_request_sent_while_another_is_held_is_answered_after_it() -> None:
    book = Book(7)
    clock = FrozenClock(SLOW.due_ms(Round(8)))
    async with serving_book(book, clock, SLOW) as client, await connected(client) as stream:
        await stream.send_all(REQUEST % b"/public/8")
        await book.until_waiting(1)
        await stream.send_all(REQUEST % b"/v2/beacons")
        await client.get("/health")
        book.write(8)
        said = b""
        with trio.fail_after(10):
            while not said.endswith(b'["council"]'):
                said += await stream.receive_some()
    assert said.count(b"HTTP/1.1 200") == 2
    assert said.index(signature_of(8).hex().encode()) < said.index(b'["council"]')


async def test_connections_are_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drand_server, "CONNECTIONS_MAX", 2)
    async with serving_book(Book(8), clock_at(due_ms(8))) as client:
        held_open = [await connected(client) for _ in range(2)]
        for stream in held_open:  # both are served, not only accepted
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        assert await end_of(await connected(client)) == b""
        for stream in held_open:
            await stream.aclose()
        with trio.fail_after(10):
            while not await is_served(client):  # noqa: ASYNC110  # the server has no event for us
                await trio.sleep(0.01)  # the places are not free yet


async def is_served(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/chains")).status_code == 200
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return False


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff garbage\r\n\r\n", b"400"),
        (b"GET /health\r\n\r\n", b"400"),
        (b"POST /info HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"405"),
        (
            b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
            b"400",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: "
            + b"x" * 2 * drand_server.HEAD_BYTES_MAX
            + b"\r\n\r\n",
            b"431",
        ),
    ],
    ids=["garbage", "no version", "other method", "garbage after HEAD", "too large"],
)
async def test_what_is_no_request_is_refused_and_the_server_lives(
    sent: bytes, status: bytes
) -> None:
    async with serving_book(Book(8), FrozenClock(due_ms(8))) as client:
        stream = await connected(client)
        await stream.send_all(sent)
        said = await end_of(stream)
        assert said.startswith(b"HTTP/1.1 " + status) or said == b""
        assert (await client.get("/health")).status_code == 200


async def test_who_asks_for_the_head_of_an_answer_gets_that_and_the_server_lives() -> None:
    async with serving_book(Book(8), FrozenClock(due_ms(8))) as client:
        whole = await client.get("/public/8")
        head = await client.head("/public/8")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == whole.headers["Content-Length"]
        assert (await client.get("/health")).status_code == 200


async def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drand_server, "IDLE_S", 0.2)
    async with serving_book(Book(8), FrozenClock(due_ms(8))) as client:
        stream = await connected(client)
        await stream.send_all(b"GET /health HTTP/1.1\r\n")
        with trio.fail_after(10):
            assert await end_of(stream) == b""


# ---------------------------------------------------------------------------- drand's own clients

MAKING_S = 0.1
"""How long after it is due a round is made: a council has to exchange partials first."""


PATIENT = Patience(answer_ms=20_000, total_ms=30_000, ahead_ms=1_000)
"""A busy machine must not fail the tests."""


async def make_rounds(book: Book, beacon: Beacon, clock: WallClock) -> None:
    """Write each round a little after it is due, as a council does."""
    while True:
        number = book.latest() + 1
        wait_ms = beacon.due_ms(Round(number)) - clock.unix_ms()
        if wait_ms > -1000 * MAKING_S:
            await trio.sleep(wait_ms / 1000 + MAKING_S)
        book.write(number)


@asynccontextmanager
async def council_of_now():
    """Serve a chain that began a little ago and makes its rounds live."""
    clock = SystemClock()
    beacon = beacon_of(genesis_ms=clock.unix_ms() // 1000 * 1000 - 8_000)
    book = Book(*range(1, beacon.last_due(clock.unix_ms())))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_rounds, book, beacon, clock)
        async with serving_book(book, clock, beacon) as client:
            yield client, beacon
        nursery.cancel_scope.cancel()


async def test_a_nodes_client_follows_a_council() -> None:
    async with council_of_now() as (client, beacon):
        url = str(client.base_url).rstrip("/")
        chain = ChainApi(beacon, "council").chain_hash.hex()
        following = beacon.last_due(SystemClock().unix_ms()) + 1
        for endpoint in (url, f"{url}/{chain}"):
            beacons = DrandBeacons(
                beacon, [endpoint], client=client, clock=SystemClock(), patience=PATIENT
            )
            await beacons.check_info()
            for number in (1, 7, following):
                signature = await beacons.fetch(Round(number))
                assert verified(beacon, Round(number), signature)


@needs_drands_clients
async def test_drands_own_clients_verify_and_unseal_what_a_council_makes() -> None:
    async with council_of_now() as (client, beacon):
        url = str(client.base_url).rstrip("/")
        chain = ChainApi(beacon, "council").chain_hash.hex()
        said = await judged(url, chain, PUBLIC_KEY.hex())
    assert [r["round"] for r in said["rounds"][:2]] == [1, 2]
    for seen in [*said["rounds"], *said["live"]]:
        assert seen["randomness"] == sha256(signature_of(seen["round"])).hex()
    unlike, forged = "did not match the verification params!", "The beacon retrieved was not valid!"
    refusals = said["refusals"]
    assert refusals["anotherChain"].endswith(unlike)
    assert refusals["anotherKey"].endswith(unlike)
    for name in ("swappedRound", "anotherRound", "forgedRandomness"):
        assert refusals[name] == forged
    assert refusals["futureRound"].endswith("got 404")
    assert "too early to decrypt" in said["lock"]["refusesFarOff"]
