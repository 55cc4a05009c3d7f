"""A real anvil with one network's contracts, and a proxy that spoils what passes through it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import httpx
import trio

from stkrp2p.adapters.chain import Web3Chain
from stkrp2p.adapters.deploy import ANKR, Deployed, Plan, deploy, deploy_council
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.roster import sign_claim
from stkrp2p.core.types import Epoch, Kind, NodeId, Round, UnixMs

# anvil's first accounts: public knowledge, of the mnemonic "test test … junk"
ALICE = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
BOB = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")

GOVERNOR = bytes.fromhex("70997970c51812dc3a010c7d01b50e0d17dc79c8")
"""BOB's address: he is the whole council."""

COUNCIL = bls.secret_of(b"council" * 8)
COUNCIL_KEY = bls.public_key_of(COUNCIL)

STAKE = 100_000 * ANKR
PHASE_S = 60


def rpc(url: str, method: str, *params: object) -> Any:
    """Ask anvil directly."""
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=20)) as connection:
        connection.request("POST", "/", json.dumps(question), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    if "error" in answer:
        raise RuntimeError(str(answer["error"]))
    return answer["result"]


def block(url: str, place: str = "latest") -> Any:
    with_transactions = False
    return rpc(url, "eth_getBlockByNumber", place, with_transactions)


def hold_blocks(url: str) -> None:
    """Let transactions wait until somebody mines."""
    is_automatic = False
    rpc(url, "evm_setAutomine", is_automatic)


def mine(url: str, blocks: int = 1) -> None:
    rpc(url, "anvil_mine", hex(blocks), "0x0")


def make_final(url: str) -> None:
    """Mine until everything so far is final (anvil runs with one slot an epoch)."""
    mine(url, 3)


async def until_mined(url: str) -> None:
    """Return once no transaction waits any more."""
    with trio.fail_after(10):
        while int(rpc(url, "txpool_status")["pending"], 16):  # noqa: ASYNC110
            await trio.sleep(0.01)


@contextmanager
def restored(url: str) -> Iterator[None]:
    """Take back, in the end, what was done to the chain meanwhile."""
    snapshot = rpc(url, "evm_snapshot")
    yield
    rpc(url, "evm_revert", snapshot)


@dataclass
class Net:
    url: str
    deployed: Deployed
    chains: list[Web3Chain] = field(default_factory=list)

    def close(self) -> None:
        for chain in self.chains:
            chain.close()

    @property
    def genesis(self) -> Genesis:
        return self.deployed.genesis

    def chain(self, *urls: str, key: bytes | None = ALICE, **more: Any) -> Web3Chain:
        chain = Web3Chain(self.genesis, urls or (self.url,), account_key=key, **more)
        self.chains.append(chain)
        return chain

    def header(self, epoch: int, salt: str = "") -> Header:
        def root(what: str) -> bytes:
            return sha256(f"{what} {epoch} {salt}".encode())

        return Header(
            epoch=epoch,
            roster_root=root("roster"),
            proposal_hash=root("proposal"),
            evidence_root=root("evidence"),
            score_root=root("score"),
            median_ppm=epoch,
            is_void=False,
        )

    def seal(self, header: Header, voids: int = 0) -> bytes:
        return bls.sign(COUNCIL, anchor_message(self.genesis, header, voids), bls.ANCHOR_DST)

    async def submit(self, chain: Web3Chain, epoch: int) -> Header:
        header = self.header(epoch)
        await chain.submit_anchor(header, self.seal(header))
        return header

    async def anchor(self, chain: Web3Chain, epoch: int) -> Header:
        """Submit, and wait until anvil has mined it: it answers before."""
        header = await self.submit(chain, epoch)
        await self.mined()
        return header

    async def mined(self) -> None:
        await until_mined(self.url)

    def anchored_logs(self) -> list[Any]:
        address = f"0x{self.genesis.anchor.hex()}"
        return rpc(self.url, "eth_getLogs", {"address": address, "fromBlock": "0x0"})


@asynccontextmanager
async def network(url: str, *, started_s_ago: int = 600) -> AsyncIterator[Net]:
    """A network of its own; all its chains are closed at the end."""
    net = Net(url, await deploy_at(url, started_s_ago=started_s_ago))
    try:
        yield net
    finally:
        net.close()


async def deploy_at(url: str, *, started_s_ago: int = 600, params: Params = MINIMAL) -> Deployed:
    """Deploy a network whose epoch 0 started so long ago (or starts in the future)."""
    now_s = int(block(url)["timestamp"], 16)
    beacon = Beacon(
        public_key=COUNCIL_KEY, genesis_ms=UnixMs((now_s - started_s_ago) * 1000), period_ms=1000
    )
    seats = [(GOVERNOR, node("governor"))]
    council, _ = await deploy_council(url, ALICE, seats, phase_s=PHASE_S)
    plan = Plan(
        name="kit",
        params=params,
        beacon=beacon,
        first_round=Round(1),
        council_key=COUNCIL_KEY,
        council=council,
    )
    return await deploy(url, ALICE, plan)


def secret(name: str) -> bytes:
    return sha256(name.encode())


def node(name: str) -> NodeId:
    return node_id_of(secret(name))


async def fund(chain: Web3Chain, amount: int = 10 * STAKE) -> None:
    await chain.send(await chain.mint(amount))
    await chain.send(await chain.approve(amount))


async def register(
    net: Net, chain: Web3Chain, name: str, *, kind: Kind = Kind.FULL, profile: bytes = b""
) -> None:
    operator = await chain.operator()
    nonce = await chain.next_nonce(operator)
    claim = sign_claim(secret(name), net.genesis.network_id, operator, node(name), nonce)
    preview = await chain.register(
        node=node(name), kind=kind, stake=STAKE, claim=claim, profile=profile
    )
    await chain.send(preview)


def epoch_now(net: Net) -> Epoch:
    now_s = int(block(net.url)["timestamp"], 16)
    return Epoch(max(0, now_s * 1000 - net.genesis.start_ms(Epoch(0))) // MINIMAL.epoch_ms)


Toxin = Callable[["Toxic", trio.SocketStream, bytes], Any]


@dataclass
class Toxic:
    """An HTTP proxy in front of anvil. `toxin` decides on each request; `None` passes it on."""

    upstream: str
    url: str = ""
    toxin: Toxin | None = None
    asked: list[str] = field(default_factory=list)
    """Methods of all requests, in order."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as self.client:
            await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                buffer = b""
                while True:
                    while b"\r\n\r\n" not in buffer:
                        buffer += await self._some(stream)
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    while len(buffer) < length:
                        buffer += await self._some(stream)
                    body, buffer = buffer[:length], buffer[length:]
                    self.asked.append(json.loads(body)["method"])
                    if self.toxin is None:
                        await self.reply(stream, await self.forward(body))
                    else:
                        await self.toxin(self, stream, body)
        except (trio.BrokenResourceError, trio.ClosedResourceError, httpx.TransportError, EOFError):
            pass

    async def _some(self, stream: trio.SocketStream) -> bytes:
        data = await stream.receive_some()
        if not data:
            raise EOFError
        return bytes(data)

    async def forward(self, body: bytes) -> bytes:
        response = await self.client.post(
            self.upstream, content=body, headers={"Content-Type": "application/json"}
        )
        return response.content

    async def reply(self, stream: trio.SocketStream, body: bytes, status: int = 200) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        await stream.send_all(head + body)


async def down(_toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
    """Closes at once."""
    await stream.aclose()


async def reset(_toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
    """Resets the connection in the middle of an answer."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await stream.aclose()


async def hang(_toxic: Toxic, _stream: trio.SocketStream, _body: bytes) -> None:
    """Never answers."""
    await trio.sleep_forever()


async def drip(_toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
    """Answers a byte at a time, for ever."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.05)


async def flood(_toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
    """Answers without end."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"0" * 65_536 + b"\r\n"
    while True:
        await stream.send_all(chunk)


def says(body: bytes, status: int = 200) -> Toxin:
    """Always answers the same."""

    async def toxin(toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
        await toxic.reply(stream, body, status)

    return toxin


async def no_http(_toxic: Toxic, stream: trio.SocketStream, _body: bytes) -> None:
    """Speaks another protocol."""
    await stream.send_all(b"SSH-2.0-OpenSSH_9.2\r\n")
    await stream.aclose()


def deaf_to(method: str) -> Toxin:
    """Passes everything on, but loses the answers to one method."""

    async def toxin(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
        answer = await toxic.forward(body)
        if json.loads(body)["method"] == method:
            await stream.aclose()
        else:
            await toxic.reply(stream, answer)

    return toxin


def edits(change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]) -> Toxin:
    """Changes answers: `change(question, answer)` returns what is sent instead."""

    async def toxin(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
        answer = json.loads(await toxic.forward(body))
        await toxic.reply(stream, json.dumps(change(json.loads(body), answer)).encode())

    return toxin


async def rested(chain: Web3Chain, timeout_s: float = 5.0) -> None:
    """Wait until the endpoints' rest after a failure is over."""
    rest_s = max(e.rest_s for e in chain._endpoints._endpoints)
    assert rest_s < timeout_s
    await trio.sleep(max(0, rest_s))
