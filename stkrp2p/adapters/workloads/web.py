"""HTTP with a limit on everything, on trio: what the workloads ask their services with.

No redirects, no proxies, no cookies, one deadline for the whole exchange, a cap on the body, and no
compression, so that a small body is a small body.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import httpx
import msgspec
import trio

T = TypeVar("T")

ERROR_CHARS_MAX = 200
"""Most characters shown of a node's error message."""

CONNECTIONS_MAX = 32

RPC_BYTES_MAX = 1024 * 1024
"""Largest JSON-RPC answer read: a block with its transactions' hashes has some 100 KiB."""


class NoAnswer(Exception):
    """No whole answer in time, or one that is too large or no HTTP."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a web server answered."""

    status: int
    body: bytes


class _Whole(httpx.AsyncByteStream):
    """A request's body in one piece; httpx's own leaves an async generator behind when cancelled."""

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class Web:
    """Connections to web servers."""

    def __init__(self, *, keepalive_max: int) -> None:
        """Set up; nothing is sent yet.

        Args:
            keepalive_max: Connections kept open for the next request.
        """
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX, max_keepalive_connections=keepalive_max
        )
        # httpx's transport without its client: no redirects, and no cookies to pile up.
        self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def send(self, request: httpx.Request, *, timeout_s: float, body_bytes_max: int) -> Page:
        """Send a request and return the whole answer, whatever its status.

        Raises:
            NoAnswer: Not whole in time, too large, or no HTTP.
        """
        with trio.move_on_after(timeout_s) as exchange:
            async with self._response(request) as response:
                body = await _read(response, exchange, body_bytes_max)
                if not exchange.cancel_called:
                    return Page(response.status_code, body)
        raise NoAnswer(f"not within {timeout_s:g} s and {body_bytes_max} bytes")

    @asynccontextmanager
    async def _response(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        request.headers["Accept-Encoding"] = "identity"
        request.stream = _Whole(request.content)
        try:
            response = await self._transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from None


async def _read(response: httpx.Response, exchange: trio.CancelScope, bytes_max: int) -> bytes:
    """Return the body; cancels the exchange if it is too large."""
    body = bytearray()
    async for piece in response.aiter_raw():
        if len(body) + len(piece) <= bytes_max:
            body += piece
        else:
            # Cancelled from inside, httpx's nested generators end; left, they would linger.
            exchange.cancel()
    return bytes(body)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class Rpc:
    """The JSON-RPC of an Ethereum node."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Set up; nothing is sent yet.

        Args:
            url: http or https.
            timeout_s: How long one request may take.

        Raises:
            ValueError: `url` is no http or https address.
        """
        self._url = httpx.URL(url)
        if self._url.scheme not in {"http", "https"} or not self._url.host:
            raise ValueError("the JSON-RPC of a node is an http:// or https:// address")
        self._headers = {"Content-Type": "application/json"}
        if self._url.userinfo:
            secret = base64.b64encode(unquote_to_bytes(self._url.userinfo)).decode()
            self._headers["Authorization"] = f"Basic {secret}"
        self._timeout_s = timeout_s
        self._web = Web(keepalive_max=CONNECTIONS_MAX)
        self._ids = itertools.count(1)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._web.aclose()

    async def ask(self, method: str, *params: object, shape: type[T]) -> T:
        """Send one request and return its result.

        Raises:
            NoAnswer: No answer in time, an error, or not of that shape.
        """
        question = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": list(params),
        }
        content = msgspec.json.encode(question)
        page = await self._web.send(
            httpx.Request("POST", self._url, content=content, headers=self._headers),
            timeout_s=self._timeout_s,
            body_bytes_max=RPC_BYTES_MAX,
        )
        try:
            answer = msgspec.json.decode(page.body, type=dict[str, msgspec.Raw])
            if "error" in answer:
                error = msgspec.json.decode(answer["error"], type=_Error)
                raise NoAnswer(f"{method}: {error.message[:ERROR_CHARS_MAX]} ({error.code})")
            return msgspec.json.decode(answer["result"], type=shape)
        except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeDecodeError):
            raise NoAnswer(f"{method}: HTTP {page.status}, answered nonsense") from None
