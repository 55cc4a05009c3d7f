"""web3.py's HTTP provider, with a limit on everything.

The stock provider waits anew for each piece of an answer and reads all of it into memory, so an
endpoint that drips or floods holds a thread, or the process, for as long as it likes. This one gives
up at a deadline and at a size. Importing this module loads web3.py, which takes a second or two.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import httpx
import msgspec
from web3.providers import HTTPProvider

if TYPE_CHECKING:
    from web3.types import RPCEndpoint, RPCResponse


class TooLarge(Exception):
    """The answer is larger than we read."""


class BoundedProvider(HTTPProvider):
    """JSON-RPC over HTTP in the calling thread; may be shared by threads."""

    def __init__(self, url: str, *, request_s_max: float, answer_bytes_max: int) -> None:
        """Set the provider up; nothing is sent yet.

        Args:
            url: `http://` or `https://`, may carry a user name and password.
            request_s_max: From the first byte sent to the last byte read.
            answer_bytes_max: Most bytes of an answer.
        """
        super().__init__(url, exception_retry_configuration=None)
        self._url = url
        self._request_s_max = request_s_max
        self._answer_bytes_max = answer_bytes_max
        # No proxy from the environment: where our money's messages go is said in one place only.
        self._client = httpx.Client(timeout=request_s_max, trust_env=False)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Read an answer, with a bound on its depth; the stock one has none (`libraries.py`).

        Raises:
            msgspec.MsgspecError: It is no JSON object.
            RecursionError: It nests too deep.
        """
        answer = msgspec.json.decode(raw_response, type=dict[str, object])
        return cast("RPCResponse", answer)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        """Post one request.

        Raises:
            httpx.HTTPError: No answer in time, or not with status 200.
            TooLarge: The answer has more than `answer_bytes_max` bytes.
        """
        deadline = time.monotonic() + self._request_s_max
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        body = bytearray()
        with self._client.stream(
            "POST", self._url, content=request_data, headers=headers
        ) as response:
            response.raise_for_status()
            for piece in response.iter_raw():
                body += piece
                if len(body) > self._answer_bytes_max:
                    raise TooLarge(f"{method}: more than {self._answer_bytes_max} bytes")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"{method}: not whole in {self._request_s_max} s")
        return bytes(body)
