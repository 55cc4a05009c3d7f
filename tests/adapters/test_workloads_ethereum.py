"""The Ethereum workload: reports of a real anvil, and everything that is not one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import rlp as oracle
import trio
from hypothesis import given, strategies as st

from stkrp2p.adapters.workloads import EthereumWorkload, WorkloadExaminer
from stkrp2p.adapters.workloads.ethereum import (
    HEAD_AGE_MS_MAX,
    HEAD_AHEAD_MS_MAX,
    EthereumReport,
    address_of,
    fault,
    header_of,
    read_head,
)
from stkrp2p.adapters.workloads.examiner import KNOWN_BLOCKS_MAX, OWN_HEAD_AGE_MS_MAX
from stkrp2p.adapters.workloads.rlp import NotRlp, encode_list, encode_uint, read_list
from stkrp2p.adapters.workloads.trie import NODE_BYTES_MAX, NODES_MAX, is_proved
from stkrp2p.config import load_config, read_network
from stkrp2p.core.challenge import REPORT_BYTES_MAX
from stkrp2p.core.crypto import sha256
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.types import UnixMs
from stkrp2p.core.wire import decode, encode
from stkrp2p.node import load_identity, open_ports
from stkrp2p.ports import WorkloadError
from testnet import anvil
from testnet.cluster import free_port
from tests.adapters.chain_kit import Toxic, block, down, edits, hang, mine, no_http, rpc, says
from tests.cli.world import World, make_node

chain = pytest.mark.chain

CHAIN_ID = 31337
CHALLENGE = sha256(b"challenge")
ACCOUNTS = 400
"""More than 16: the state's trie has three levels."""


@dataclass
class Fake:
    url: str

    @property
    def now_ms(self) -> UnixMs:
        return UnixMs(int(block(self.url)["timestamp"], 16) * 1000)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with anvil.running(anvil.Options(), log_path=log_path) as running:
        for i in range(ACCOUNTS):
            rpc(
                running.url,
                "anvil_setBalance",
                f"0x{sha256(bytes([i % 256, i >> 8])).hex()[:40]}",
                "0x1",
            )
        mine(running.url, 3)
        yield Fake(running.url)


@pytest.fixture
async def workload(node: Fake) -> AsyncIterator[EthereumWorkload]:
    async with aclosing(EthereumWorkload(node.url, CHAIN_ID)) as workload:
        yield workload


@pytest.fixture
async def examiner(node: Fake) -> AsyncIterator[WorkloadExaminer]:
    async with aclosing(WorkloadExaminer({CHAIN_ID: node.url})) as examiner:
        yield examiner


async def examine(
    examiner: WorkloadExaminer, report: bytes, now_ms: UnixMs, challenge: bytes = CHALLENGE
) -> str:
    return await examiner.fault(
        descriptor=f"ethereum:{CHAIN_ID}",
        host="127.0.0.1",
        challenge=challenge,
        report=report,
        now_ms=now_ms,
    )


def altered(report: bytes, **changes: Any) -> bytes:
    return encode(msgspec.structs.replace(decode(report, EthereumReport), **changes))


@chain
async def test_a_nodes_report_is_right_for_every_challenge(
    node: Fake, workload: EthereumWorkload, examiner: WorkloadExaminer
) -> None:
    for i in range(40):
        challenge = sha256(bytes([i]))
        report = await workload.answer(challenge)
        assert len(report) <= REPORT_BYTES_MAX
        word, head = fault(challenge, report, node.now_ms)
        assert word == ""
        assert head is not None
        newest = block(node.url)
        assert f"0x{head.hash.hex()}" == newest["parentHash"]
        assert await examine(examiner, report, node.now_ms, challenge) == ""


@chain
async def test_a_report_is_right_for_no_other_challenge(
    node: Fake, workload: EthereumWorkload
) -> None:
    report, now_ms = await workload.answer(CHALLENGE), node.now_ms
    # Addresses that share the proof's nodes are settled by it too: one in a few hundred here, and
    # one in as many as there are accounts on a real chain.
    words = [fault(sha256(bytes([i])), report, now_ms)[0] for i in range(200)]
    assert set(words) <= {"", "bad-proof"}
    assert words.count("bad-proof") > 190


@chain
async def test_a_head_may_have_its_age_and_no_more(node: Fake, workload: EthereumWorkload) -> None:
    report = await workload.answer(CHALLENGE)
    time_ms = read_head(decode(report, EthereumReport).header).time_s * 1000
    for now_ms, word in (
        (time_ms + HEAD_AGE_MS_MAX, ""),
        (time_ms + HEAD_AGE_MS_MAX + 1, "stale-head"),
        (time_ms - HEAD_AHEAD_MS_MAX, ""),
        (time_ms - HEAD_AHEAD_MS_MAX - 1, "future-head"),
    ):
        assert fault(CHALLENGE, report, UnixMs(now_ms))[0] == word


@chain
async def test_a_proof_with_any_byte_altered_is_refused(
    node: Fake, workload: EthereumWorkload
) -> None:
    report, now_ms = await workload.answer(CHALLENGE), node.now_ms
    proof = decode(report, EthereumReport).proof
    for i, entry in enumerate(proof):
        for at in range(len(entry)):
            spoilt = entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :]
            wrong = altered(report, proof=(*proof[:i], spoilt, *proof[i + 1 :]))
            assert fault(CHALLENGE, wrong, now_ms)[0] == "bad-proof"


@chain
async def test_a_proof_needs_each_of_its_nodes_and_no_more(
    node: Fake, workload: EthereumWorkload
) -> None:
    report, now_ms = await workload.answer(CHALLENGE), node.now_ms
    proof = decode(report, EthereumReport).proof
    assert len(proof) >= 2
    wrongs = [proof[:i] + proof[i + 1 :] for i in range(len(proof))]
    wrongs += [(), proof[::-1], (*proof, proof[-1]), (*proof, b""), (b"", *proof)]
    wrongs += [(*proof[:-1], proof[-1][:-1]), (proof[0],) * NODES_MAX]
    for wrong in wrongs:
        assert fault(CHALLENGE, altered(report, proof=wrong), now_ms)[0] == "bad-proof"


@chain
async def test_a_header_with_any_byte_altered_is_refused_by_who_has_a_node_of_that_chain(
    node: Fake, workload: EthereumWorkload, examiner: WorkloadExaminer
) -> None:
    report, now_ms = await workload.answer(CHALLENGE), node.now_ms
    header = decode(report, EthereumReport).header
    words = set()
    for at in range(0, len(header), 3):
        spoilt = header[:at] + bytes([header[at] ^ 1]) + header[at + 1 :]
        words.add(await examine(examiner, altered(report, header=spoilt), now_ms))
    assert {"bad-header", "bad-proof", "unknown-block"} <= words
    assert "" not in words


def made_up_report(now_ms: UnixMs) -> bytes:
    """A chain with one account, made up in a millisecond: what a header cannot exclude by itself."""
    account = encode_list([b"", b"\1", keccak256(b"\x80"), keccak256(b"")])
    leaf = encode_list([bytes.fromhex("20" + "ab" * 32), account])
    time_s = encode_uint(now_ms // 1000)
    fields = [bytes(32), bytes(32), bytes(20), keccak256(leaf), bytes(32), bytes(32), bytes(256)]
    fields += [b"", b"\7", b"\1", b"", time_s, b"", bytes(32), bytes(8)]
    report = EthereumReport(version=1, header=encode_list(fields), proof=(leaf,), client="")
    return encode(report)


@chain
async def test_a_made_up_chain_is_seen_by_who_has_a_node_of_the_real_one(
    node: Fake, examiner: WorkloadExaminer
) -> None:
    report = made_up_report(node.now_ms)
    assert fault(CHALLENGE, report, node.now_ms)[0] == ""
    async with aclosing(WorkloadExaminer()) as blind:
        assert await examine(blind, report, node.now_ms) == ""
    assert await examine(examiner, report, node.now_ms) == "unknown-block"


@chain
def test_a_node_sees_what_is_made_up_of_the_chain_that_its_own_workload_is_on(
    node: Fake, tmp_path: Path
) -> None:
    workload = {"workload": f"ethereum:{CHAIN_ID}", "workload_url": node.url}
    listen = (f"/ip4/127.0.0.1/tcp/{free_port('127.0.0.1')}",)
    path = make_node(World(), tmp_path / "node", epochs=0, listen=listen, **workload)
    config = load_config(environ={}, path=path).config
    assert config.rpc == ()

    async def look() -> str:
        async with open_ports(config, read_network(config.network), load_identity(config)) as ports:
            return await examine(ports.examiner, made_up_report(node.now_ms), node.now_ms)

    assert trio.run(look) == "unknown-block"


@chain
async def test_a_view_that_is_down_or_behind_blames_nobody(node: Fake, nursery: Any) -> None:
    proxy = Toxic(node.url)
    await nursery.start(proxy.run)
    report = made_up_report(node.now_ms)
    async with aclosing(WorkloadExaminer({CHAIN_ID: proxy.url}, probe_s_max=0.3)) as examiner:
        assert await examine(examiner, report, node.now_ms) == "unknown-block"
        for toxin in (
            down,
            hang,
            no_http,
            says(b"[]"),
            says(b'{"result":{}}'),
            says(b"[" * 99_999),
        ):
            proxy.toxin = toxin
            with trio.fail_after(3):
                assert await examine(examiner, report, node.now_ms) == ""
        proxy.toxin = None
        later_ms = UnixMs(node.now_ms + OWN_HEAD_AGE_MS_MAX + 1)
        assert await examine(examiner, report, later_ms) == ""


@chain
async def test_a_block_that_comes_while_we_ask_is_known(
    node: Fake, workload: EthereumWorkload, nursery: Any
) -> None:
    proxy = Toxic(node.url)
    await nursery.start(proxy.run)
    report = await workload.answer(CHALLENGE)
    seen = 0

    def late(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        nonlocal seen
        if question["method"] == "eth_getBlockByHash":
            seen += 1
            return answer if seen > 1 else {**answer, "result": None}
        return answer

    proxy.toxin = edits(late)
    async with aclosing(WorkloadExaminer({CHAIN_ID: proxy.url})) as examiner:
        assert await examine(examiner, report, node.now_ms) == ""
        assert seen == 2


@chain
async def test_a_view_is_asked_once_for_a_block_and_remembers_few(
    node: Fake, workload: EthereumWorkload, nursery: Any
) -> None:
    proxy = Toxic(node.url)
    await nursery.start(proxy.run)
    async with aclosing(WorkloadExaminer({CHAIN_ID: proxy.url})) as examiner:
        for i in range(5):
            challenge = sha256(bytes([i]))
            report = await workload.answer(challenge)
            assert await examine(examiner, report, node.now_ms, challenge) == ""
        assert proxy.asked == ["eth_getBlockByHash"]
        for _ in range(KNOWN_BLOCKS_MAX + 3):
            mine(node.url)
            report = await workload.answer(CHALLENGE)
            assert await examine(examiner, report, node.now_ms) == ""
        assert len(examiner._views[CHAIN_ID]._known) == KNOWN_BLOCKS_MAX


@chain
async def test_accounts_and_their_absence_are_proved_alike(node: Fake) -> None:
    root = bytes.fromhex(block(node.url)["stateRoot"][2:])
    held = [sha256(bytes([i % 256, i >> 8]))[:20] for i in range(0, ACCOUNTS, 7)]
    absent = [address_of(bytes([i])) for i in range(60)]
    for address in held + absent:
        answer = rpc(node.url, "eth_getProof", f"0x{address.hex()}", [], "latest")
        proof = [bytes.fromhex(n[2:]) for n in answer["accountProof"]]
        assert is_proved(root, address, proof)
        assert not is_proved(bytes(32), address, proof)
        assert not is_proved(root, address, proof[:-1])
        assert (address in held) == (answer["balance"] == "0x1")


@chain
async def test_a_node_on_another_chain_is_not_asked(node: Fake) -> None:
    async with aclosing(EthereumWorkload(node.url, 1)) as workload:
        with pytest.raises(WorkloadError, match="the node is on chain 31337, not 1"):
            await workload.answer(CHALLENGE)
        health = await workload.health()
        assert not health.is_ready
        assert health.detail == "the node is on chain 31337, not 1"


@chain
async def test_a_node_that_fails_is_said_to_in_time_and_asked_again(
    node: Fake, nursery: Any
) -> None:
    proxy = Toxic(node.url)
    await nursery.start(proxy.run)
    nonsense = [says(b"[]"), says(b'{"result":null}'), says(b"{", 502), says(b"0" * 2_000_000)]
    async with aclosing(EthereumWorkload(proxy.url, CHAIN_ID, answer_s_max=0.3)) as workload:
        for toxin in (down, hang, no_http, *nonsense):
            proxy.toxin = toxin
            with pytest.raises(WorkloadError), trio.fail_after(3):
                await workload.answer(CHALLENGE)
            health = await workload.health()
            assert not health.is_ready
            proxy.toxin = None
            assert fault(CHALLENGE, await workload.answer(CHALLENGE), node.now_ms)[0] == ""
        health = await workload.health()
        assert health.is_ready
        assert health.detail.startswith("anvil/v")


@chain
async def test_a_syncing_node_is_not_ready(node: Fake, nursery: Any) -> None:
    def syncing(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        is_asked = question["method"] == "eth_syncing"
        return {**answer, "result": {"currentBlock": "0x1"}} if is_asked else answer

    proxy = Toxic(node.url, toxin=edits(syncing))
    await nursery.start(proxy.run)
    async with aclosing(EthereumWorkload(proxy.url, CHAIN_ID)) as workload:
        health = await workload.health()
        assert not health.is_ready
        assert health.detail.endswith(", syncing")


@chain
async def test_a_node_whose_proof_contradicts_its_block_is_not_vouched_for(
    node: Fake, nursery: Any
) -> None:
    def contradicts(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if question["method"] == "eth_getProof":
            answer["result"]["accountProof"] = answer["result"]["accountProof"][:-1]
        return answer

    proxy = Toxic(node.url, toxin=edits(contradicts))
    await nursery.start(proxy.run)
    async with aclosing(EthereumWorkload(proxy.url, CHAIN_ID)) as workload:
        with pytest.raises(WorkloadError, match="proof does not fit its block"):
            await workload.answer(CHALLENGE)


@chain
async def test_a_hundred_cancelled_answers_leave_the_node_answering(
    node: Fake, nursery: Any
) -> None:
    proxy = Toxic(node.url)
    await nursery.start(proxy.run)
    async with aclosing(EthereumWorkload(proxy.url, CHAIN_ID)) as workload:
        for i in range(100):
            with trio.move_on_after(i % 20 / 1000):
                await workload.answer(CHALLENGE)
        assert fault(CHALLENGE, await workload.answer(CHALLENGE), node.now_ms)[0] == ""


MAINNET_GENESIS = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
}


def test_ethereums_first_header_has_its_well_known_hash() -> None:
    head = read_head(header_of(dict(MAINNET_GENESIS)))
    assert head.hash.hex() == MAINNET_GENESIS["hash"][2:]
    assert (head.number, head.time_s) == (0, 0)
    assert head.state_root.hex() == MAINNET_GENESIS["stateRoot"][2:]


@pytest.mark.parametrize("name", MAINNET_GENESIS)
def test_a_header_of_a_fork_we_do_not_know_is_not_reported(name: str) -> None:
    for value in (None, 7, "zz", "0x12"):
        with pytest.raises(ValueError, match=r"header|block|hex"):
            header_of({**MAINNET_GENESIS, name: value})


@given(st.binary(max_size=300))
def test_random_bytes_are_no_report(report: bytes) -> None:
    word, head = fault(CHALLENGE, report, UnixMs(0))
    assert word in {"malformed", "not-canonical"}
    assert head is None


def test_a_report_is_refused_above_its_size_and_version() -> None:
    assert fault(CHALLENGE, bytes(REPORT_BYTES_MAX + 1), UnixMs(0))[0] == "oversized"
    later = altered(made_up_report(UnixMs(0)), version=2)
    assert fault(CHALLENGE, later, UnixMs(0))[0] == "unknown-version"


@given(st.binary(max_size=200))
def test_random_bytes_are_no_header(header: bytes) -> None:
    report = altered(made_up_report(UnixMs(0)), header=header)
    assert fault(CHALLENGE, report, UnixMs(0))[0] == "bad-header"


@given(st.lists(st.binary(max_size=NODE_BYTES_MAX), max_size=NODES_MAX))
def test_random_nodes_prove_nothing(proof: list[bytes]) -> None:
    assert not is_proved(bytes(32), bytes(20), proof)


# Trees made by hand, so that each way a path can end or turn away is seen.

PATH = keccak256(address_of(CHALLENGE)).hex()
ACCOUNT = encode_list([b"", b"", bytes(32), bytes(32)])


def leaf(path: str, value: bytes = ACCOUNT) -> bytes:
    return encode_list([key(path, flag=2), value])


def extension(path: str, child: bytes) -> bytes:
    return encode_list([key(path, flag=0), keccak256(child)])


def key(path: str, *, flag: int) -> bytes:
    return bytes.fromhex(f"{flag + 1}{path}" if len(path) % 2 else f"{flag}0{path}")


def branch(**children: bytes) -> bytes:
    slots = [b""] * 17
    for digit, child in children.items():
        slots[int(digit[-1], 16)] = keccak256(child)
    return encode_list(slots)


def other(digit: str) -> str:
    return "0" if digit != "0" else "1"


TURN = other(PATH[0]) + PATH[1:]
"""A path that turns away at the first nibble."""

RIGHT: dict[str, list[bytes]] = {
    "the account's leaf": [leaf(PATH)],
    "another's leaf": [leaf(TURN)],
    "an empty place in a branch": [branch(**{f"c{other(PATH[0])}": leaf(TURN[1:])})],
    "a leaf below a branch": [branch(**{f"c{PATH[0]}": leaf(PATH[1:])}), leaf(PATH[1:])],
    "an extension that turns away": [extension(TURN[:9], leaf(TURN[9:]))],
    "an extension that leads on": [extension(PATH[:9], leaf(PATH[9:])), leaf(PATH[9:])],
}

WRONG: dict[str, list[bytes]] = {
    "nothing": [],
    "an empty trie": [b"\x80"],
    "a leaf of no account": [leaf(PATH, b"\1")],
    "a leaf whose path is too short": [leaf(PATH[:-2])],
    "a leaf whose path is too long": [leaf(PATH + "00")],
    "a branch where the path has ended": [extension(PATH, branch()), branch()],
    "a branch that leads on": [branch(**{f"c{PATH[0]}": leaf(PATH[1:])})],
    "an extension that leads on to nothing": [extension(PATH[:9], leaf(PATH[9:]))],
    "an extension of no nibbles": [encode_list([b"\0", bytes(32)])],
    "a key of no kind": [encode_list([b"\x40", bytes(32)])],
    "a key with a stray nibble": [encode_list([b"\x2f" + bytes.fromhex(PATH), ACCOUNT])],
    "an empty key": [encode_list([b"", bytes(32)])],
    "a node of three items": [encode_list([b"", b"", b""])],
    "a node that goes on behind a leaf": [leaf(TURN), leaf(PATH)],
    "a list in a list": [b"\xc2\xc1\x80"],
}


@pytest.mark.parametrize("proof", RIGHT.values(), ids=RIGHT)
def test_a_path_is_settled_by(proof: list[bytes]) -> None:
    assert is_proved(keccak256(proof[0]), address_of(CHALLENGE), proof)


@pytest.mark.parametrize("proof", WRONG.values(), ids=WRONG)
def test_a_path_is_not_settled_by(proof: list[bytes]) -> None:
    root = keccak256(proof[0]) if proof else keccak256(b"\x80")
    assert not is_proved(root, address_of(CHALLENGE), proof)


def test_a_proof_is_refused_above_its_limits() -> None:
    node = leaf(PATH)
    assert not is_proved(keccak256(node), address_of(CHALLENGE), [node] * (NODES_MAX + 1))
    large = leaf(PATH, bytes(NODE_BYTES_MAX))
    assert not is_proved(keccak256(large), address_of(CHALLENGE), [large])


# RLP, against the reference implementation.


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_a_list_reads_back_as_the_reference_writes_it(items: list[bytes]) -> None:
    assert encode_list(items) == oracle.encode(items)
    assert read_list(encode_list(items)) == items


@pytest.mark.parametrize("length", [0, 1, 55, 56, 255, 256, 65_536])
def test_lengths_at_the_edges_read_back(length: int) -> None:
    items = [b"\xff" * length, b"\x7f", b"\x80"]
    assert encode_list(items) == oracle.encode(items)
    assert read_list(encode_list(items)) == items


@given(st.binary(max_size=60) | st.lists(st.binary(max_size=9)).map(oracle.encode))
def test_what_is_read_has_no_other_encoding(data: bytes) -> None:
    try:
        items = read_list(data)
    except NotRlp:
        try:
            value = oracle.decode(data)
        except oracle.DecodingError:
            return
        assert not isinstance(value, list) or any(isinstance(v, list) for v in value)
        return
    assert encode_list(items) == data


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_integers_are_written_as_the_reference_does(value: int) -> None:
    assert encode_uint(value) == oracle.sedes.big_endian_int.serialize(value)


def test_ten_thousand_mutations_of_a_report_raise_nothing() -> None:
    randomness = Random(3)
    report = made_up_report(UnixMs(0))
    words = set()
    for _ in range(10_000):
        spoilt = bytearray(report)
        for _ in range(randomness.randrange(1, 4)):
            spoilt[randomness.randrange(len(spoilt))] = randomness.randrange(256)
        words.add(
            fault(CHALLENGE, bytes(spoilt[: randomness.randrange(len(spoilt) + 1)]), UnixMs(0))[0]
        )
    assert {"malformed", "bad-header", "bad-proof"} <= words
    assert json.dumps(sorted(words))
