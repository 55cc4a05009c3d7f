"""Web services, open ports and nothing: what auditors ask, and what they never do."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st

from stkrp2p.adapters.workloads import (
    EthereumWorkload,
    HttpWorkload,
    NoWorkload,
    TcpWorkload,
    WorkloadExaminer,
    open_workload,
    read_descriptor,
)
from stkrp2p.adapters.workloads.descriptor import Ethereum, Http, Nothing, Tcp
from stkrp2p.adapters.workloads.service import BODY_BYTES_MAX, REPORT_BYTES_MAX, HttpReport
from stkrp2p.core.challenge import REPORT_BYTES_MAX as ANSWER_REPORT_BYTES_MAX
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import CANNOT_EXAMINE, WorkloadError

CHALLENGE = sha256(b"challenge")
PROBE_S_MAX = 0.5

Page = Callable[[str, trio.SocketStream], Awaitable[None]]


@dataclass
class Service:
    """A web server on loopback. `page` answers; the default page echoes what it was asked."""

    host: str = "127.0.0.1"
    port: int = 0
    page: Page | None = None
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host=self.host)
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                buffer = b""
                while True:
                    while b"\r\n\r\n" not in buffer:
                        data = await stream.receive_some()
                        if not data:
                            return
                        buffer += bytes(data)
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    self.heads.append(head.decode())
                    self.asked.append(head.decode().split(" ")[1])
                    await (self.page or echo)(self.asked[-1], stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


async def reply(stream: trio.SocketStream, body: bytes, status: int = 200, more: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    await stream.send_all(head.encode() + body)


async def echo(target: str, stream: trio.SocketStream) -> None:
    await reply(stream, target.encode())


def says(body: bytes, status: int = 200, more: str = "") -> Page:
    async def page(_target: str, stream: trio.SocketStream) -> None:
        await reply(stream, body, status, more)

    return page


async def hang(_target: str, _stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def drip(_target: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.02)


async def drip_head(_target: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 X\r\n")
    while True:
        await stream.send_all(b"a: b\r\n")
        await trio.sleep(0.02)


async def flood(_target: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send_all(b"10000\r\n" + bytes(65_536) + b"\r\n")


async def flood_head(_target: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 X\r\n")
    while True:
        await stream.send_all(b"a: " + b"b" * 65_536 + b"\r\n")


async def no_http(_target: str, stream: trio.SocketStream) -> None:
    await stream.send_all(b"220 mail.example ESMTP\r\n")
    await stream.aclose()


async def close(_target: str, stream: trio.SocketStream) -> None:
    await stream.aclose()


@pytest.fixture
async def service(nursery: trio.Nursery) -> Service:
    service = Service()
    await nursery.start(service.run)
    return service


@pytest.fixture
async def examiner() -> AsyncIterator[WorkloadExaminer]:
    async with aclosing(WorkloadExaminer(probe_s_max=PROBE_S_MAX)) as examiner:
        yield examiner


async def examine(
    examiner: WorkloadExaminer, descriptor: str, report: bytes, *, host: str = "127.0.0.1"
) -> str:
    return await examiner.fault(
        descriptor=descriptor, host=host, challenge=CHALLENGE, report=report, now_ms=UnixMs(0)
    )


def http_report(body: bytes, status: int = 200) -> bytes:
    return encode(HttpReport(status=status, body_hash=sha256(body)))


async def test_a_service_that_answers_both_alike_is_right(
    service: Service, examiner: WorkloadExaminer
) -> None:
    async with aclosing(HttpWorkload(service.port, "/health")) as workload:
        report = await workload.answer(CHALLENGE)
        assert await examine(examiner, workload.descriptor, report) == ""
        health = await workload.health()
        assert health.is_ready
        assert health.detail == f"http:{service.port}/health: HTTP 200"
    assert service.asked[:2] == [f"/health?challenge={CHALLENGE.hex()}"] * 2
    assert len(report) <= REPORT_BYTES_MAX <= ANSWER_REPORT_BYTES_MAX


async def test_a_service_is_asked_over_ipv6_too(
    nursery: trio.Nursery, examiner: WorkloadExaminer
) -> None:
    service = Service(host="::1")
    await nursery.start(service.run)
    async with aclosing(HttpWorkload(service.port, "/", host="::1")) as workload:
        report = await workload.answer(CHALLENGE)
        assert await examine(examiner, workload.descriptor, report, host="::1") == ""
    assert await examine(examiner, f"tcp:{service.port}", b"", host="::1") == ""


async def test_the_answer_to_another_challenge_is_another_answer(
    service: Service, examiner: WorkloadExaminer
) -> None:
    async with aclosing(HttpWorkload(service.port, "/")) as workload:
        report = await workload.answer(bytes(32))
    assert await examine(examiner, f"http:{service.port}/", report) == "other-answer"


@pytest.mark.parametrize("status", [100 + 99, 300, 404, 500, 599])
async def test_a_status_that_is_no_success_is_refused(
    service: Service, examiner: WorkloadExaminer, status: int
) -> None:
    service.page = says(b"x", status)
    report = http_report(b"x", status)
    assert await examine(examiner, f"http:{service.port}/", report) == "bad-status"
    assert service.asked == []  # nobody need be asked


async def test_a_success_to_the_sidecar_and_a_failure_to_the_auditor_differ(
    service: Service, examiner: WorkloadExaminer
) -> None:
    service.page = says(b"x", 503)
    assert await examine(examiner, f"http:{service.port}/", http_report(b"x")) == "other-answer"


async def test_a_redirect_to_another_host_is_not_followed(
    service: Service, examiner: WorkloadExaminer, nursery: trio.Nursery
) -> None:
    victim = Service(host="127.0.0.2")
    await nursery.start(victim.run)
    for status in (301, 302, 303, 307, 308):
        more = f"Location: http://127.0.0.2:{victim.port}/\r\n"
        service.page = says(b"", status, more)
        lie = http_report(b"/")
        assert await examine(examiner, f"http:{service.port}/", lie) == "other-answer"
        async with aclosing(HttpWorkload(service.port, "/")) as workload:
            report = await workload.answer(CHALLENGE)
            assert not (await workload.health()).is_ready
        assert await examine(examiner, f"http:{service.port}/", report) == "bad-status"
    assert victim.asked == []


@pytest.mark.parametrize("page", [hang, drip, drip_head, flood, flood_head, no_http, close])
async def test_a_service_that_gives_no_whole_answer_gives_none_in_time(
    service: Service, examiner: WorkloadExaminer, page: Page
) -> None:
    service.page = page
    with trio.fail_after(PROBE_S_MAX + 1):
        word = await examine(examiner, f"http:{service.port}/", http_report(b""))
    assert word == "no-answer"
    async with aclosing(HttpWorkload(service.port, "/", probe_s_max=PROBE_S_MAX)) as workload:
        with pytest.raises(WorkloadError), trio.fail_after(PROBE_S_MAX + 1):
            await workload.answer(CHALLENGE)
        assert not (await workload.health()).is_ready


async def test_a_service_that_is_not_there_gives_no_answer(examiner: WorkloadExaminer) -> None:
    assert await examine(examiner, "http:1/", http_report(b"")) == "no-answer"
    assert await examine(examiner, "tcp:1", b"") == "closed"


async def test_a_body_may_have_its_size_and_no_more(
    service: Service, examiner: WorkloadExaminer
) -> None:
    for size, word in ((BODY_BYTES_MAX, ""), (BODY_BYTES_MAX + 1, "no-answer")):
        body = bytes(size)
        service.page = says(body)
        assert await examine(examiner, f"http:{service.port}/", http_report(body)) == word


async def test_a_body_is_never_unpacked(service: Service, examiner: WorkloadExaminer) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    service.page = says(bomb, more="Content-Encoding: gzip\r\n")
    assert await examine(examiner, f"http:{service.port}/", http_report(bomb)) == ""


async def test_an_auditor_keeps_no_cookies_and_tells_nothing_of_itself(
    service: Service, examiner: WorkloadExaminer
) -> None:
    service.page = says(b"x", more="Set-Cookie: a=b\r\n")
    for _ in range(2):
        assert await examine(examiner, f"http:{service.port}/", http_report(b"x")) == ""
    for head in service.heads:
        assert "a=b" not in head
        names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:]}
        assert names <= {"host", "accept-encoding", "connection"}


async def test_a_hundred_cancelled_probes_leave_the_examiner_working(
    service: Service, examiner: WorkloadExaminer
) -> None:
    service.page = hang
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(examine, examiner, f"http:{service.port}/", http_report(b"x"))
        await trio.sleep(PROBE_S_MAX / 2)
        nursery.cancel_scope.cancel()
    service.page = says(b"x")
    assert await examine(examiner, f"http:{service.port}/", http_report(b"x")) == ""


@pytest.mark.parametrize(
    "host", ["", "localhost", "example.com", "127.0.0.1:80", "1@2", "[::1]", "127.1", "0x7f000001"]
)
async def test_only_an_ip_address_is_ever_asked(examiner: WorkloadExaminer, host: str) -> None:
    for descriptor, report in (("http:80/", http_report(b"")), ("tcp:80", b"")):
        assert await examine(examiner, descriptor, report, host=host) == "bad-host"
        with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
            open_workload(descriptor, host=host)


@pytest.mark.parametrize("report", [b"", b"\x92", b"x" * 30, encode([200, b""]), encode([200])])
async def test_bytes_that_are_no_report_are_malformed(
    examiner: WorkloadExaminer, report: bytes
) -> None:
    assert await examine(examiner, "http:80/", report) == "malformed"


async def test_a_report_in_another_encoding_or_too_large_is_refused(
    examiner: WorkloadExaminer,
) -> None:
    loose = b"\x92\xd1\x00\xc8" + http_report(b"")[3:]
    assert await examine(examiner, "http:80/", loose) in {"not-canonical", "malformed"}
    assert await examine(examiner, "http:80/", bytes(REPORT_BYTES_MAX + 1)) == "oversized"


async def test_an_open_port_is_right_and_a_closed_one_is_closed(
    service: Service, examiner: WorkloadExaminer
) -> None:
    workload = TcpWorkload(service.port)
    assert await workload.answer(CHALLENGE) == b""
    assert (await workload.health()).is_ready
    assert await examine(examiner, workload.descriptor, b"") == ""
    assert await examine(examiner, workload.descriptor, b"x") == "not-empty"
    closed = TcpWorkload(1)
    with pytest.raises(WorkloadError, match="port 1 takes no connections"):
        await closed.answer(CHALLENGE)
    assert not (await closed.health()).is_ready
    await closed.aclose()


async def test_no_workload_reports_nothing(examiner: WorkloadExaminer) -> None:
    workload = NoWorkload()
    assert await workload.answer(CHALLENGE) == b""
    assert (await workload.health()).is_ready
    await workload.aclose()
    assert await examine(examiner, workload.descriptor, b"") == ""
    assert await examine(examiner, workload.descriptor, b"x") == "not-empty"


GOOD: dict[str, Any] = {
    "none": Nothing(),
    "ethereum:1": Ethereum(1),
    "ethereum:9223372036854775807": Ethereum(2**63 - 1),
    "http:80": Http(80, "/"),
    "http:65535/": Http(65535, "/"),
    "http:8080/a/b.c_d~e-f/": Http(8080, "/a/b.c_d~e-f/"),
    "tcp:30303": Tcp(30303),
}

BAD = """ None|none |ethereum|ethereum:|ethereum:0|ethereum:01|ethereum:-1|ethereum:1.0|ethereum:٣
ethereum:9223372036854775808|http|http:|http:0|http:65536|http:99999/|http:80a|http:80?x=1|http:80/?x
http:80/#a|http:80/@evil|http:80@evil/|http://evil/|http:80/a b|http:80/%0d%0a|http:80/a\r\nb
http:80/\\evil|http:evil:80/|https:443/|tcp:0|tcp:65536|tcp:80/|tcp:evil:80|file:///etc|solana:1"""


@pytest.mark.parametrize("text", GOOD)
def test_a_descriptor_reads_as_it_says(text: str) -> None:
    assert read_descriptor(text) == GOOD[text]


@pytest.mark.parametrize("text", ["", "none\n", "tcp:80\n", *BAD.replace("\n", "|").split("|")])
async def test_any_other_descriptor_is_an_unknown_workload(
    examiner: WorkloadExaminer, text: str
) -> None:
    with pytest.raises(ValueError, match="no workload: "):
        read_descriptor(text)
    assert await examine(examiner, text, b"") == "unknown-workload"


@given(st.text(max_size=128))
def test_random_text_is_no_descriptor_or_reads_back(text: str) -> None:
    try:
        read = read_descriptor(text)
    except ValueError:
        return
    assert text.split(":", maxsplit=1)[0] == type(read).__name__.lower().replace("nothing", "none")


def test_faults_of_the_examination_are_those_that_blame_nobody() -> None:
    assert {"unknown-workload", "bad-host"} == CANNOT_EXAMINE


async def test_every_descriptor_opens_its_workload() -> None:
    kinds = {
        "ethereum:5": EthereumWorkload,
        "http:8080/x": HttpWorkload,
        "tcp:99": TcpWorkload,
        "none": NoWorkload,
    }
    for descriptor, kind in kinds.items():
        async with aclosing(open_workload(descriptor)) as workload:
            assert isinstance(workload, kind)
            assert workload.descriptor == descriptor
    with pytest.raises(ValueError, match="no workload"):
        open_workload("solana:1")
    for url in ("ws://x", "http://", "x"):
        with pytest.raises(ValueError, match="JSON-RPC"):
            open_workload("ethereum:1", rpc_url=url)
