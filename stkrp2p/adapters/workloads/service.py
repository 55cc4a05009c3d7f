"""Plain services: web servers, anything that takes connections, and nothing at all.

The sidecar asks its service on this machine with the challenge, the auditor asks the same service from
outside, and both must get the same: `?challenge=<64 hex digits>` and a body that depends on nothing
else. An auditor asks only the IP address the target is connected from, follows no redirect and shows
nobody what it got, so a registration cannot send it anywhere else.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

import httpx
import msgspec
import trio

from stkrp2p.adapters.workloads.web import NoAnswer, Web
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import Bytes32, Message, decode, encode
from stkrp2p.ports import WorkloadError, WorkloadHealth

PROBE_S_MAX = 2.0
"""How long a service may take."""

BODY_BYTES_MAX = 64 * 1024
"""Largest body of a service's answer."""

REPORT_BYTES_MAX = 64

_LOOPBACK = "127.0.0.1"
_OK = range(200, 300)


class HttpReport(Message, frozen=True):
    """What the target's sidecar got from its service."""

    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    body_hash: Bytes32
    """SHA-256 of the body as it was sent."""


def page_url(host: str, port: int, path: str, challenge: bytes) -> httpx.URL:
    """Return the address of a service's page for a challenge.

    Raises:
        ValueError: `host` is no IP address.
    """
    address = str(ipaddress.ip_address(host))
    query = f"challenge={challenge.hex()}".encode()
    return httpx.URL(scheme="http", host=address, port=port, path=path, query=query)


async def page_report(web: Web, url: httpx.URL, *, probe_s_max: float) -> HttpReport:
    """Get a page and return what is to be compared of it.

    Raises:
        NoAnswer: Not whole in time, too large, or no HTTP.
    """
    request = httpx.Request("GET", url)
    page = await web.send(request, timeout_s=probe_s_max, body_bytes_max=BODY_BYTES_MAX)
    return HttpReport(status=page.status, body_hash=sha256(page.body))


async def http_fault(web: Web, url: httpx.URL, report: bytes, *, probe_s_max: float) -> str:
    """Return one word that says what is wrong with a report, "" if nothing is.

    Words: `oversized`, `malformed`, `not-canonical` (not a report), `bad-status` (not 200 to 299),
    `no-answer` (we got none), `other-answer` (we got another).
    """
    try:
        theirs = decode(report, HttpReport, bytes_max=REPORT_BYTES_MAX)
    except ProtocolError as error:
        return error.reason
    if theirs.status not in _OK:
        return "bad-status"
    try:
        ours = await page_report(web, url, probe_s_max=probe_s_max)
    except NoAnswer:
        return "no-answer"
    return "" if ours == theirs else "other-answer"


async def is_open(host: str, port: int, *, probe_s_max: float) -> bool:
    """Tell whether something takes connections there.

    Raises:
        ValueError: `host` is no IP address.
    """
    address = str(ipaddress.ip_address(host))
    with trio.move_on_after(probe_s_max):
        try:
            stream = await trio.open_tcp_stream(address, port)
        except OSError:
            return False
        await trio.aclose_forcefully(stream)
        return True
    return False


class HttpWorkload:
    """A web service on this machine."""

    def __init__(
        self, port: int, path: str, *, host: str = _LOOPBACK, probe_s_max: float = PROBE_S_MAX
    ) -> None:
        """Set up; nothing is sent yet.

        Args:
            port: Where it listens, for us and for auditors.
            path: The page it answers challenges at; starts with `/`.
            host: IP address it is asked at from here.
            probe_s_max: How long it may take.

        Raises:
            ValueError: `host` is no IP address.
        """
        page_url(host, port, path, b"")
        self._port, self._path, self._host = port, path, host
        self._probe_s_max = probe_s_max
        self._web = Web(keepalive_max=1)

    @property
    def descriptor(self) -> str:
        """`http:<port>/<path>`."""
        return f"http:{self._port}{self._path}"

    async def aclose(self) -> None:
        """Close its connections."""
        await self._web.aclose()

    async def health(self) -> WorkloadHealth:
        """Return whether it answers a challenge of zeros with a status of 200 to 299."""
        try:
            report = await self._report(bytes(32))
        except NoAnswer as error:
            return WorkloadHealth(is_ready=False, detail=f"{self.descriptor}: {error}")
        detail = f"{self.descriptor}: HTTP {report.status}"
        return WorkloadHealth(is_ready=report.status in _OK, detail=detail)

    async def answer(self, challenge: bytes) -> bytes:
        """Return the report for a challenge.

        Raises:
            WorkloadError: The service does not answer.
        """
        try:
            return encode(await self._report(challenge))
        except NoAnswer as error:
            raise WorkloadError(str(error)) from None

    async def _report(self, challenge: bytes) -> HttpReport:
        url = page_url(self._host, self._port, self._path, challenge)
        return await page_report(self._web, url, probe_s_max=self._probe_s_max)


class TcpWorkload:
    """A service on this machine that takes connections; its report is empty."""

    def __init__(
        self, port: int, *, host: str = _LOOPBACK, probe_s_max: float = PROBE_S_MAX
    ) -> None:
        """Set up; nothing is sent yet.

        Args:
            port: Where it listens, for us and for auditors.
            host: IP address it is asked at from here.
            probe_s_max: How long it may take.

        Raises:
            ValueError: `host` is no IP address.
        """
        self._host = str(ipaddress.ip_address(host))
        self._port, self._probe_s_max = port, probe_s_max

    @property
    def descriptor(self) -> str:
        """`tcp:<port>`."""
        return f"tcp:{self._port}"

    async def aclose(self) -> None:
        """There is nothing to close."""

    async def health(self) -> WorkloadHealth:
        """Return whether it takes connections."""
        is_ready = await is_open(self._host, self._port, probe_s_max=self._probe_s_max)
        state = "takes connections" if is_ready else "takes no connections"
        return WorkloadHealth(is_ready=is_ready, detail=f"{self.descriptor}: {state}")

    async def answer(self, challenge: bytes) -> bytes:  # noqa: ARG002  # nothing to ask with it
        """Return the empty report if the service takes connections.

        Raises:
            WorkloadError: It does not.
        """
        if not await is_open(self._host, self._port, probe_s_max=self._probe_s_max):
            raise WorkloadError(f"port {self._port} takes no connections")
        return b""


class NoWorkload:
    """A sidecar alone; its report is empty."""

    @property
    def descriptor(self) -> str:
        """`none`."""
        return "none"

    async def aclose(self) -> None:
        """There is nothing to close."""

    async def health(self) -> WorkloadHealth:
        """Return that there is nothing that could fail."""
        return WorkloadHealth(is_ready=True, detail="no workload")

    async def answer(self, challenge: bytes) -> bytes:  # noqa: ARG002  # nobody to ask
        """Return the empty report."""
        return b""
