"""What the chain adapter makes of endpoints that fail: it says so in time, and loses nothing."""

import json
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from stkrp2p.adapters.chain import Web3Chain, endpoint as endpoint_module, provider
from stkrp2p.adapters.chain.endpoint import ENDPOINTS_MAX, REST_S_MAX, THREADS_MAX, Endpoint
from stkrp2p.adapters.chain.wallet import BUMP_BLOCKS
from stkrp2p.adapters.deploy import Deployed
from stkrp2p.core.types import Epoch
from stkrp2p.ports import ChainState, ChainUnavailable
from testnet import anvil
from tests.adapters.chain_kit import (
    Net,
    Toxic,
    Toxin,
    block,
    deaf_to,
    down,
    drip,
    edits,
    flood,
    fund,
    hang,
    make_final,
    mine,
    network,
    no_http,
    node,
    register,
    reset,
    rested,
    rpc,
    says,
)

pytestmark = pytest.mark.chain

REQUEST_S_MAX = 0.5
"""Short, so that the tests of hanging endpoints are."""

IN_TIME_S = REQUEST_S_MAX + endpoint_module.GRACE_S + 1

OUTAGES: dict[str, Toxin] = {
    "closes": down,
    "resets in an answer": reset,
    "hangs": hang,
    "drips": drip,
    "floods": flood,
    "speaks another protocol": no_http,
    "is a web page": says(b"<html>sign in</html>"),
    "is out of order": says(b"upstream", 502),
    "limits our rate": says(b"{}", 429),
    "redirects": says(b"", 302),
    "answers nothing": says(b""),
    "answers a number": says(b"7"),
    "answers null": says(b'{"jsonrpc":"2.0","id":1,"result":null}'),
    "answers another type": says(b'{"jsonrpc":"2.0","id":1,"result":{"a":[]}}'),
    "answers no hex": says(b'{"jsonrpc":"2.0","id":1,"result":"0xzz"}'),
    "nests without end": says(b"[" * 200_000),
    "knows no method": says(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}'),
    "errs without an error": says(b'{"jsonrpc":"2.0","id":1,"error":7}'),
}


@pytest.fixture
async def toxic(net: Net, nursery: trio.Nursery) -> Toxic:
    proxy = Toxic(net.url)
    await nursery.start(proxy.run)
    return proxy


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_an_endpoint_that_fails_is_down_in_time_and_used_again_when_it_works(
    net: Net, toxic: Toxic, outage: Toxin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "ANSWER_BYTES_MAX", 1024 * 1024)
    chain = net.chain(toxic.url, request_s_max=REQUEST_S_MAX)
    assert chain.state is ChainState.CONNECTING
    header = await net.anchor(chain, 0)
    before = await chain.registry()

    toxic.toxin = outage
    with pytest.raises(ChainUnavailable), trio.fail_after(IN_TIME_S):
        await chain.anchors(Epoch(0))
    assert chain.state is ChainState.DOWN
    assert toxic.url.removeprefix("http://") in chain.detail
    for call in (chain.registry, lambda: net.submit(chain, 1)):
        with pytest.raises(ChainUnavailable), trio.fail_after(IN_TIME_S):
            await call()

    toxic.toxin = None
    await rested(chain)
    assert (await chain.registry()).registrations == before.registrations
    assert chain.state is ChainState.OK
    second = await net.anchor(chain, 1)
    assert [r.header for r in await chain.anchors(Epoch(0))] == [header, second]
    assert len(net.anchored_logs()) == 2


async def test_other_tasks_go_on_while_an_endpoint_hangs(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url, request_s_max=REQUEST_S_MAX)
    await chain.registry()
    toxic.toxin = hang
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            before_s = trio.current_time()
            await trio.sleep(0.01)
            longest_s = max(longest_s, trio.current_time() - before_s)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        with pytest.raises(ChainUnavailable):
            await chain.registry()
        nursery.cancel_scope.cancel()
    assert longest_s < REQUEST_S_MAX


async def test_who_no_longer_wants_an_answer_need_not_wait_for_it(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url, request_s_max=REQUEST_S_MAX)
    await chain.registry()
    toxic.toxin = hang
    start_s = trio.current_time()
    with trio.move_on_after(0.05):
        await chain.registry()
    assert trio.current_time() - start_s < REQUEST_S_MAX / 2
    assert chain.state is ChainState.OK  # nothing is known against the endpoint


async def test_an_endpoint_never_holds_more_than_its_threads(net: Net, toxic: Toxic) -> None:
    one = Endpoint(toxic.url, request_s_max=REQUEST_S_MAX)
    await one.ask("eth_chainId", parse=str)
    toxic.toxin = hang
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(endpoint_module.EndpointFailed):
                await one.ask("eth_chainId", parse=str)

        for _ in range(3 * THREADS_MAX):
            nursery.start_soon(ask)
        await trio.sleep(REQUEST_S_MAX / 2)
        assert one._limiter.borrowed_tokens == THREADS_MAX
    one.close()


async def test_threads_that_ask_at_once_share_one_set_of_connections(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second set would stay open when the endpoint is closed.
    made = []

    class Counted(provider.BoundedProvider):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **more)

    monkeypatch.setattr(provider, "BoundedProvider", Counted)
    endpoint = Endpoint(net.url)
    async with trio.open_nursery() as nursery:
        for _ in range(THREADS_MAX):
            nursery.start_soon(partial(endpoint.ask, "eth_chainId", parse=str))
    endpoint.close()
    assert len(made) == 1


async def test_a_failed_endpoint_rests_longer_each_time_up_to_a_limit(net: Net) -> None:
    one = Endpoint("http://127.0.0.1:1")
    rests_s = []
    for _ in range(12):
        one.failed(endpoint_module.EndpointFailed("x"))
        rests_s.append(one.rest_s)
    assert rests_s[0] <= endpoint_module.REST_S_MIN
    assert rests_s == sorted(rests_s) or max(rests_s) > REST_S_MAX / 2
    assert max(rests_s) <= REST_S_MAX


async def test_a_resting_endpoint_is_not_asked(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    toxic.toxin = down
    with pytest.raises(ChainUnavailable):
        await chain.registry()
    asked = len(toxic.asked)
    with pytest.raises(ChainUnavailable):
        await chain.registry()
    assert len(toxic.asked) == asked


async def test_an_answer_that_is_lost_does_not_anchor_twice(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    toxic.toxin = deaf_to("eth_sendRawTransaction")
    header = net.header(0)
    with pytest.raises(ChainUnavailable):
        await chain.submit_anchor(header, net.seal(header))
    await net.mined()
    toxic.toxin = None
    for _ in range(3):
        await rested(chain)
        await chain.submit_anchor(header, net.seal(header))
    assert len(net.anchored_logs()) == 1
    assert len([m for m in toxic.asked if m == "eth_sendRawTransaction"]) == 1


async def test_a_question_that_is_lost_is_asked_again(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await chain.registry()

    async def loses_sending(proxy: Toxic, stream: trio.SocketStream, body: bytes) -> None:
        if json.loads(body)["method"] == "eth_sendRawTransaction":
            await stream.aclose()
        else:
            await proxy.reply(stream, await proxy.forward(body))

    toxic.toxin = loses_sending
    header = net.header(0)
    with pytest.raises(ChainUnavailable):
        await chain.submit_anchor(header, net.seal(header))
    assert net.anchored_logs() == []
    toxic.toxin = None
    await rested(chain)
    await chain.submit_anchor(header, net.seal(header))
    await net.mined()
    assert len(net.anchored_logs()) == 1


async def nonces_used(net: Net, chain: Web3Chain) -> int:
    operator = f"0x{(await chain.operator()).hex()}"
    return int(rpc(net.url, "eth_getTransactionCount", operator, "latest"), 16)


async def test_who_is_cancelled_while_sending_does_not_anchor_twice(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await chain.registry()
    before = await nonces_used(net, chain)
    header = net.header(0)
    for delay_ms in range(0, 60, 3):
        with trio.move_on_after(delay_ms / 1000):
            await chain.submit_anchor(header, net.seal(header))
    await chain.submit_anchor(header, net.seal(header))
    await net.mined()
    assert len(net.anchored_logs()) == 1
    assert await nonces_used(net, chain) == before + 1


async def test_a_transaction_of_an_earlier_run_is_waited_for_then_replaced(
    net: Net, toxic: Toxic
) -> None:
    def one_waits(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if question["method"] == "eth_getTransactionCount" and question["params"][1] == "pending":
            return {**answer, "result": hex(int(answer["result"], 16) + 1)}
        return answer

    toxic.toxin = edits(one_waits)
    chain = net.chain(toxic.url)
    for _ in range(BUMP_BLOCKS):
        await net.anchor(chain, 0)
        assert "eth_sendRawTransaction" not in toxic.asked
        mine(net.url)
    await net.anchor(chain, 0)
    assert len(net.anchored_logs()) == 1
    await net.anchor(chain, 1)  # another nonce, so it gets its time again
    assert len(net.anchored_logs()) == 1


async def test_another_endpoint_takes_over(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url, net.url)
    await net.anchor(chain, 0)
    asked = len(toxic.asked)
    assert asked > 0
    toxic.toxin = down
    await net.anchor(chain, 1)
    assert chain.state is ChainState.OK
    assert chain.detail.startswith(net.url.removeprefix("http://"))
    assert toxic.url.removeprefix("http://") in chain.detail  # what is wrong with the other
    assert len(await chain.anchors(Epoch(0))) == 2
    assert len(net.anchored_logs()) == 2


async def test_an_anchor_sent_through_a_dying_endpoint_is_not_sent_anew_by_the_next(
    net: Net, toxic: Toxic
) -> None:
    chain = net.chain(toxic.url, net.url)
    before = await nonces_used(net, chain)
    toxic.toxin = deaf_to("eth_sendRawTransaction")
    await net.anchor(chain, 0)
    assert len(net.anchored_logs()) == 1
    assert await nonces_used(net, chain) == before + 1


async def test_a_wrong_chain_is_neither_read_nor_written(net: Net, tmp_path: Path) -> None:
    with anvil.running(anvil.Options(), log_path=tmp_path / "anvil.log") as other:
        empty = net.chain(other.url)
        with pytest.raises(ChainUnavailable, match="no contract at 0x"):
            await empty.registry()
        assert empty.state is ChainState.WRONG_CHAIN

        rpc(other.url, "anvil_setChainId", 4242)
        foreign = net.chain(other.url)
        with pytest.raises(ChainUnavailable, match="chain 4242, we are on 31337"):
            await foreign.registry()
        with pytest.raises(ChainUnavailable):
            await net.submit(foreign, 0)
        assert foreign.state is ChainState.WRONG_CHAIN
        assert int(rpc(other.url, "eth_blockNumber"), 16) == 0


async def test_another_networks_contracts_are_a_wrong_chain(net: Net) -> None:
    async with network(net.url, started_s_ago=700) as other:
        crossed = Net(net.url, Deployed(**{**_fields(net.deployed), "genesis": other.genesis}))
        right = net.chain()
        await right.registry()
        wrong = crossed.chain()
        wrong._genesis = _with(other.genesis, registry=net.genesis.registry)
        with pytest.raises(ChainUnavailable, match="another network's"):
            await wrong.registry()
        assert wrong.state is ChainState.WRONG_CHAIN
        crossed.close()


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _with(value: Any, **changes: Any) -> Any:
    return type(value)(**{**_fields(value), **changes})


async def test_a_chain_that_changes_behind_an_endpoint_is_noticed(
    net: Net, toxic: Toxic, tmp_path: Path
) -> None:
    chain = net.chain(toxic.url)
    await chain.registry()
    with anvil.running(anvil.Options(), log_path=tmp_path / "anvil.log") as other:
        toxic.toxin = down
        with pytest.raises(ChainUnavailable):
            await chain.registry()
        toxic.toxin, toxic.upstream = None, other.url
        await rested(chain)
        with pytest.raises(ChainUnavailable):
            await chain.registry()
        assert chain.state is ChainState.WRONG_CHAIN
        toxic.upstream = net.url
        await rested(chain)
        await chain.registry()
    assert chain.state is ChainState.OK


async def test_a_wrong_chain_shows_even_while_another_endpoint_is_down(
    net: Net, tmp_path: Path
) -> None:
    with anvil.running(anvil.Options(), log_path=tmp_path / "anvil.log") as other:
        chain = net.chain(other.url, "http://127.0.0.1:1")
        with pytest.raises(ChainUnavailable, match=r"no contract at 0x\w+; 127.0.0.1:1: "):
            await chain.registry()
        assert chain.state is ChainState.WRONG_CHAIN


async def test_logs_that_were_left_out_are_noticed(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await fund(chain)
    await register(net, chain, "alice")
    await register(net, chain, "bob")
    make_final(net.url)

    def without_first(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if question["method"] == "eth_getLogs":
            answer["result"] = answer["result"][1:]
        return answer

    toxic.toxin = edits(without_first)
    with pytest.raises(ChainUnavailable, match="left out logs"):
        await chain.registry()
    toxic.toxin = None
    await rested(chain)
    assert len((await chain.registry()).registrations) == 2


async def test_more_registrations_than_we_keep_are_refused(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.ledger.REGISTRATIONS_MAX", 2)
    chain = net.chain()
    await fund(chain)
    for name in ("alice", "bob"):
        await register(net, chain, name)
    make_final(net.url)
    assert len((await chain.registry()).registrations) == 2
    await register(net, chain, "carol")
    make_final(net.url)
    with pytest.raises(ChainUnavailable, match="more than 2 registrations"):
        await chain.registry()


async def test_an_operators_transaction_outlives_an_endpoint_that_dies_meanwhile(
    net: Net, toxic: Toxic
) -> None:
    chain = net.chain(toxic.url)
    preview = await chain.mint(1)
    toxic.toxin = deaf_to("eth_sendRawTransaction")

    async def revive() -> None:
        await trio.sleep(0.5)
        toxic.toxin = None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(revive)
        receipt = await chain.send(preview)
    assert receipt.is_success
    assert await chain.token_balance(await chain.operator()) == 1


async def test_anchors_that_logs_leave_out_are_noticed(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await net.anchor(chain, 0)

    def without(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "result": []} if question["method"] == "eth_getLogs" else answer

    toxic.toxin = edits(without)
    with pytest.raises(ChainUnavailable, match="its logs and its state disagree"):
        await chain.anchors(Epoch(0))


async def test_a_range_that_an_endpoint_refuses_is_asked_in_pieces(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await fund(chain)
    await register(net, chain, "alice")
    mine(net.url, 300)

    def limited(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        wanted = question["params"][0] if question["method"] == "eth_getLogs" else {}
        if wanted and int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) >= 100:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "too many"}}
        return answer

    toxic.toxin = edits(limited)
    assert [r.node for r in (await chain.registry()).registrations] == [node("alice")]
    assert chain.state is ChainState.OK


async def test_without_a_finalized_tag_depth_decides(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url, confirmations=10)
    await fund(chain)
    await register(net, chain, "alice")

    def untagged(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if question["params"][:1] == ["finalized"]:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "what?"}}
        return answer

    toxic.toxin = edits(untagged)
    mine(net.url, 9)
    assert (await chain.registry()).registrations == ()
    mine(net.url)
    snapshot = await chain.registry()
    assert len(snapshot.registrations) == 1
    assert snapshot.block == int(block(net.url)["number"], 16) - 10


async def test_an_endpoint_that_lags_takes_nothing_back(net: Net, toxic: Toxic) -> None:
    chain = net.chain(toxic.url)
    await fund(chain)
    await register(net, chain, "alice")
    make_final(net.url)
    before = await chain.registry()

    def lagging(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if question["params"][:1] == ["finalized"]:
            return {**answer, "result": block(net.url, "0x1")}
        return answer

    toxic.toxin = edits(lagging)
    assert await chain.registry() == before


def spoil(value: Any, randomness: Random) -> Any:
    """Return a JSON value with one place changed."""
    if isinstance(value, dict) and value and randomness.random() < 0.7:
        key = randomness.choice(sorted(value))
        return {**value, key: spoil(value[key], randomness)}
    if isinstance(value, list) and value and randomness.random() < 0.7:
        return [*value[:-1], spoil(value[-1], randomness)]
    if isinstance(value, str) and len(value) > 2 and randomness.random() < 0.7:
        at = randomness.randrange(2, len(value))
        return value[:at] + randomness.choice("0fz-") + value[at + randomness.randrange(2) :]
    return randomness.choice([None, True, -1, 2**300, "", "0x", "0x-1", [], {}, [[]], "é"])


async def test_random_answers_end_in_chain_unavailable_and_nothing_else(
    net: Net, toxic: Toxic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer of the real endpoint is spoilt somewhere, in 150 ways."""
    monkeypatch.setattr(endpoint_module, "REST_S_MIN", 0.0)
    randomness = Random(7)
    chain = net.chain(toxic.url, request_s_max=REQUEST_S_MAX)
    await fund(chain)
    await register(net, chain, "alice")
    await net.anchor(chain, 0)
    make_final(net.url)

    def spoilt(_question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        is_kept = randomness.random() < 0.8
        return answer if is_kept else {**answer, "result": spoil(answer.get("result"), randomness)}

    toxic.toxin = edits(spoilt)
    refused = 0
    for _ in range(50):
        fresh = net.chain(toxic.url, request_s_max=REQUEST_S_MAX)
        calls = (fresh.registry, partial(fresh.anchors, Epoch(0)), partial(net.submit, fresh, 1))
        for call in calls:
            with suppress(ChainUnavailable):
                refused += 1
                await call()
                refused -= 1
    assert 30 < refused < 140
    assert len(net.anchored_logs()) in {1, 2}


def test_too_many_endpoints_and_other_schemes_are_refused(net: Net) -> None:
    with pytest.raises(ValueError, match=f"at most {ENDPOINTS_MAX} endpoints, got 9"):
        net.chain(*["http://127.0.0.1:1"] * (ENDPOINTS_MAX + 1))
    for url in ("ws://127.0.0.1", "file:///etc/passwd", "127.0.0.1:8545", ""):
        with pytest.raises(ValueError, match="an endpoint is an http:// or https:// address"):
            net.chain(url)


async def test_an_endpoints_secret_path_is_never_shown(net: Net) -> None:
    chain = net.chain("http://user:hunter2@127.0.0.1:1/v3/secretkey")
    with pytest.raises(ChainUnavailable) as caught:
        await chain.registry()
    shown = chain.detail + str(caught.value)
    assert "127.0.0.1:1" in shown
    assert "secretkey" not in shown
    assert "hunter2" not in shown


async def test_a_node_that_is_killed_and_restarted_loses_nothing(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    options = anvil.Options(state_path=tmp_path / "state.json")
    first = anvil.start(options, log_path=tmp_path / "first.log")
    async with network(first.url) as net:
        proxy = Toxic(net.url)
        await nursery.start(proxy.run)
        chain = net.chain(proxy.url, request_s_max=REQUEST_S_MAX)
        await fund(chain)
        await register(net, chain, "alice")
        headers = [await net.anchor(chain, epoch) for epoch in range(2)]
        make_final(net.url)
        before = await chain.registry()
        assert len(before.registrations) == 1

        first.stop()
        with pytest.raises(ChainUnavailable):
            await net.submit(chain, 2)
        assert chain.state is ChainState.DOWN
        with anvil.running(options, log_path=tmp_path / "second.log") as second:
            proxy.upstream = net.url = second.url
            await rested(chain)
            assert (await chain.registry()).registrations == before.registrations
            headers.append(await net.anchor(chain, 2))
            assert [r.header for r in await chain.anchors(Epoch(0))] == headers
            # A node that starts now reads the same.
            fresh = net.chain()
            make_final(net.url)
            assert await fresh.registry() == await chain.registry()
            assert len(net.anchored_logs()) == 3


async def test_one_thread_at_a_time_reads_answers(net: Net) -> None:
    # Two that meet a type for the first time together end the process.
    reading, most = 0, 0

    def read(result: object) -> object:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        time.sleep(0.01)
        reading -= 1
        return result

    endpoints = [Endpoint(net.url) for _ in range(2)]
    for endpoint in endpoints:
        await endpoint.ask("eth_chainId", parse=bool)
    async with trio.open_nursery() as nursery:
        for endpoint in endpoints:
            for _ in range(THREADS_MAX):
                nursery.start_soon(partial(endpoint.ask, "eth_chainId", parse=read))
    for endpoint in endpoints:
        endpoint.close()
    assert most == 1
