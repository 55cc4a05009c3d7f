"""The network port on real loopback sockets."""

import subprocess
import sys

import pytest
import trio
import trio.testing
from edge_kit import Inbox, MachineClock, eventually, introduce, meshed, proxy_to, seed_of

from stkrp2p.adapters.libp2p import ListenError, open_networks
from stkrp2p.core.types import Judgement, ProtocolError
from stkrp2p.ports import Unreachable

ECHO = "/stkr/echo/1"
TOPIC = "/stkr/test/batch/1"


async def echo(node, question):
    return b"echo " + question


async def ask(asker, target, question=b"hello", *, timeout_ms=3_000, answer_bytes_max=4_096):
    return await asker.ask(
        target.node, ECHO, question, timeout_ms=timeout_ms, answer_bytes_max=answer_bytes_max
    )


async def test_two_nodes_answer_each_others_questions(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    for edge in (alice, bob):
        edge.serve(ECHO, echo, answer_bytes_max=4_096)
    await introduce(alice, bob)
    assert await ask(alice, bob) == b"echo hello"
    assert await ask(bob, alice, b"") == b"echo "


async def test_a_handler_knows_who_asks(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def who(node, question):
        return node

    bob.serve(ECHO, who, answer_bytes_max=32)
    await introduce(alice, bob)
    assert await ask(alice, bob) == alice.node


async def test_a_peer_whose_address_is_known_is_dialled_to_be_asked(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    alice.learn_addresses(bob.node, bob.addresses)
    assert await ask(alice, bob) == b"echo hello"


async def test_nobody_is_reached_without_an_address(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    with pytest.raises(Unreachable):
        await ask(alice, alice)


async def test_somebody_else_at_the_address_is_not_the_peer(lab):
    alice, bob, carol = [await lab.edge(name) for name in ("alice", "bob", "carol")]
    carol.serve(ECHO, echo, answer_bytes_max=4_096)
    alice.learn_addresses(bob.node, carol.addresses)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    assert alice.peers() == ()


async def test_questions_at_the_limit_pass_and_longer_ones_are_the_callers_mistake(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def measure(node, question):
        return str(len(question)).encode()

    bob.serve(ECHO, measure, answer_bytes_max=4_096)
    await introduce(alice, bob)
    assert await ask(alice, bob, b"q" * 65_536) == b"65536"
    with pytest.raises(ValueError, match="a question has at most 65536 bytes"):
        await ask(alice, bob, b"q" * 65_537)


async def test_a_question_longer_than_the_target_takes_is_refused(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob", question_bytes_max=100)
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    await introduce(alice, bob)
    with pytest.raises(Unreachable):
        await ask(alice, bob, b"q" * 101)
    assert bob.counters()["questions_malformed"] == 1
    assert await ask(alice, bob, b"q" * 100) == b"echo " + b"q" * 100


async def test_an_answer_longer_than_the_asker_takes_is_refused(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    await introduce(alice, bob)
    assert await ask(alice, bob, answer_bytes_max=10) == b"echo hello"
    with pytest.raises(Unreachable):
        await ask(alice, bob, answer_bytes_max=9)


async def test_an_answer_longer_than_the_protocol_allows_is_never_sent(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    bob.serve(ECHO, echo, answer_bytes_max=9)
    await introduce(alice, bob)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    assert bob.counters()["answers_refused_oversize"] == 1


async def test_a_megabyte_is_answered_whole(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def big(node, question):
        return b"a" * 1_048_576

    bob.serve(ECHO, big, answer_bytes_max=1_048_576)
    await introduce(alice, bob)
    answer = await ask(alice, bob, timeout_ms=10_000, answer_bytes_max=1_048_576)
    assert answer == b"a" * 1_048_576


async def test_an_exception_in_a_handler_closes_that_stream_only(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def fail(node, question):
        raise KeyError("no such thing")

    bob.serve(ECHO, fail, answer_bytes_max=4_096)
    bob.serve("/stkr/well/1", echo, answer_bytes_max=4_096)
    await introduce(alice, bob)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    well = await alice.ask(bob.node, "/stkr/well/1", b"", timeout_ms=2_000, answer_bytes_max=100)
    assert well == b"echo "
    assert bob.counters()["handlers_failed"] == 1


async def test_a_peers_mistakes_are_counted_and_do_not_fill_a_log(lab, caplog):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def refuse(node, question):
        raise ProtocolError("malformed")

    bob.serve(ECHO, refuse, answer_bytes_max=4_096)
    await introduce(alice, bob)
    for _ in range(3):
        with pytest.raises(Unreachable):
            await ask(alice, bob)
    assert bob.counters()["handlers_failed"] == 3
    assert not [r for r in caplog.records if r.name == "stkrp2p.edge" and r.levelname != "DEBUG"]


async def test_a_protocol_nobody_serves_is_unreachable(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    await introduce(alice, bob)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    assert len(alice.peers()) == 1


async def test_an_answer_that_comes_too_late_is_no_answer_and_leaks_nothing(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    async def dawdle(node, question):
        if question == b"slow":
            await trio.sleep(0.4)
        return question

    bob.serve(ECHO, dawdle, answer_bytes_max=100)
    await introduce(alice, bob)
    begun_s = trio.current_time()
    for _ in range(3):
        with pytest.raises(Unreachable):
            await ask(alice, bob, b"slow", timeout_ms=100)
    assert trio.current_time() - begun_s < 2
    assert await ask(alice, bob, b"quick") == b"quick"
    assert alice.counters()["asks_timed_out"] == 3
    muxed = alice._stack.swarm.get_connections()[0].muxed_conn
    await eventually(lambda: muxed.stream_backlog_semaphore.value >= 255)


async def test_questions_under_way_are_bounded(lab):
    alice, bob = await lab.edge("alice", asks_per_peer_max=4), await lab.edge("bob")

    async def wait(node, question):
        await trio.sleep(0.3)
        return b"done"

    bob.serve(ECHO, wait, answer_bytes_max=100)
    await introduce(alice, bob)
    answers = []

    async def one():
        try:
            answers.append(await ask(alice, bob))
        except Unreachable:
            answers.append(None)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(one)
    assert sorted(answers, key=str) == [None, None, b"done", b"done", b"done", b"done"]
    assert alice.counters()["asks_refused_per_peer"] == 2


async def test_gossip_reaches_those_not_connected_with_its_author(lab):
    alice, bob, carol = [await lab.edge(name) for name in ("alice", "bob", "carol")]
    inboxes = {edge.node: Inbox() for edge in (alice, bob, carol)}
    for edge in (alice, bob, carol):
        edge.join_topic(TOPIC, inboxes[edge.node])
    await introduce(alice, bob)
    await introduce(bob, carol)
    await meshed(TOPIC, alice, bob, carol)
    await alice.publish(TOPIC, b"news")
    await eventually(lambda: inboxes[carol.node].payloads == [b"news"])
    assert inboxes[bob.node].got == [(alice.node, b"news")]
    assert inboxes[carol.node].got == [(bob.node, b"news")]
    assert inboxes[alice.node].got == []


async def line(lab, *judgements, **limits):
    """Alice - Bob - Carol, each judging as told."""
    edges = [await lab.edge(name, **limits) for name in ("alice", "bob", "carol")]
    inboxes = [Inbox(judgement) for judgement in judgements]
    for edge, inbox in zip(edges, inboxes, strict=True):
        edge.join_topic(TOPIC, inbox)
    await introduce(*edges[:2])
    await introduce(*edges[1:])
    await meshed(TOPIC, *edges)
    return edges, inboxes


async def test_what_is_ignored_is_not_passed_on_and_blames_nobody(lab):
    (alice, bob, _), inboxes = await line(
        lab, Judgement.ACCEPT, Judgement.IGNORE, Judgement.ACCEPT, rejects_max=2
    )
    for i in range(5):
        await alice.publish(TOPIC, b"early %d" % i)
    await eventually(lambda: len(inboxes[1].got) == 5)
    inboxes[1].judgement = Judgement.ACCEPT
    await alice.publish(TOPIC, b"in time")
    await eventually(lambda: inboxes[2].payloads == [b"in time"])
    assert bob.counters()["gossip_ignored"] == 5
    assert "gossip_rejected" not in bob.counters()
    assert "gossip_dropped_muted" not in bob.counters()


async def test_what_was_ignored_is_judged_anew_when_it_comes_later(lab):
    (alice, bob, _), inboxes = await line(
        lab, Judgement.ACCEPT, Judgement.IGNORE, Judgement.ACCEPT, ignored_retry_s=0.2
    )
    await alice.publish(TOPIC, b"early")
    await eventually(lambda: bob.counters().get("gossip_ignored") == 1)
    inboxes[1].judgement = Judgement.ACCEPT
    await trio.sleep(0.25)
    await alice.publish(TOPIC, b"early")
    await eventually(lambda: inboxes[2].payloads == [b"early"])


async def test_who_forwards_what_is_rejected_is_muted_but_can_still_be_asked(lab):
    (alice, bob, _), inboxes = await line(
        lab, Judgement.ACCEPT, Judgement.REJECT, Judgement.ACCEPT, rejects_max=3
    )
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    for i in range(4):  # the count decays, so that three count for a little less
        await alice.publish(TOPIC, b"bad %d" % i)
    await eventually(lambda: bob.counters().get("gossip_rejected") == 4)
    inboxes[1].judgement = Judgement.ACCEPT
    await alice.publish(TOPIC, b"good")
    await eventually(lambda: bob.counters().get("gossip_dropped_muted", 0) >= 1)
    assert inboxes[2].got == []
    assert await ask(alice, bob) == b"echo hello"


async def test_a_copy_of_a_known_payload_is_dropped_before_any_work(lab):
    (alice, bob, carol), inboxes = await line(
        lab, Judgement.ACCEPT, Judgement.ACCEPT, Judgement.ACCEPT
    )
    await alice.publish(TOPIC, b"batch")
    await eventually(lambda: inboxes[2].payloads == [b"batch"])
    await carol.publish(TOPIC, b"batch")  # another author, another id, the same payload
    await eventually(lambda: bob.counters().get("gossip_duplicates", 0) >= 1)
    assert inboxes[1].payloads == [b"batch"]
    assert inboxes[0].payloads == []


async def test_messages_at_the_cap_travel_and_longer_ones_are_the_callers_mistake(lab):
    (alice, _, _), inboxes = await line(lab, Judgement.ACCEPT, Judgement.ACCEPT, Judgement.ACCEPT)
    await alice.publish(TOPIC, b"m" * 65_536)
    await eventually(lambda: inboxes[2].payloads == [b"m" * 65_536])
    with pytest.raises(ValueError, match="a message has at most 65536 bytes"):
        await alice.publish(TOPIC, b"m" * 65_537)


async def test_a_ban_drops_the_peer_and_keeps_it_out(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    for edge in (alice, bob):
        edge.serve(ECHO, echo, answer_bytes_max=4_096)
    await introduce(alice, bob)
    alice.ban(bob.node)
    await eventually(lambda: alice.peers() == ())
    await eventually(lambda: bob.peers() == ())
    with pytest.raises(Unreachable):
        await ask(bob, alice, timeout_ms=1_500)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    await eventually(lambda: alice.counters().get("connections_refused_banned", 0) >= 1)
    assert alice.peers() == ()


async def test_what_a_banned_author_wrote_is_not_passed_on_for_others(lab):
    (alice, _, carol), inboxes = await line(
        lab, Judgement.ACCEPT, Judgement.ACCEPT, Judgement.ACCEPT
    )
    carol.ban(alice.node)
    await alice.publish(TOPIC, b"through bob")
    await eventually(lambda: carol.counters().get("gossip_dropped_banned", 0) >= 1)
    assert inboxes[2].got == []


async def test_nodes_meet_over_ipv6(lab):
    alice = await lab.edge("alice", "/ip6/::1/tcp/0")
    bob = await lab.edge("bob", "/ip6/::1/tcp/0", "/ip4/127.0.0.1/tcp/0")
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    alice.set_addresses({bob.node: bob.addresses[:1]})
    assert await ask(alice, bob) == b"echo hello"
    (status,) = alice.peers()
    assert (status.node, status.address) == (bob.node, bob.addresses[0])
    (status,) = bob.peers()
    assert status.is_inbound
    assert status.address.startswith("/ip6/::1/tcp/")
    assert len(bob.addresses) == 2


async def test_all_interfaces_are_listened_on_in_both_families_on_one_port(lab):
    alice = await lab.edge("alice", "/ip4/0.0.0.0/tcp/0")
    port = alice.addresses[0].rsplit("/", 1)[1]
    bob = await lab.edge("bob", f"/ip6/::/tcp/{port}")
    bob.serve(ECHO, echo, answer_bytes_max=4_096)
    alice.set_addresses({bob.node: [f"/ip6/::1/tcp/{port}"]})
    assert await ask(alice, bob) == b"echo hello"


async def test_a_taken_port_is_refused_by_name(lab):
    alice = await lab.edge("alice")
    with pytest.raises(ListenError) as caught:
        await lab.edge("bob", alice.addresses[0])
    assert str(caught.value) == f"cannot listen on {alice.addresses[0]}: address already in use"


async def test_a_port_taken_while_we_start_is_refused_as_well(lab):
    port = (await lab.edge("alice")).addresses[0].rsplit("/", 1)[1]
    everywhere = f"/ip6/::/tcp/{port}", f"/ip6/::1/tcp/{port}"  # the first takes the second
    with pytest.raises(ListenError, match=f"/tcp/{port}: address already in use"):
        await lab.edge("bob", *everywhere)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/ip4/127.0.0.1/udp/1", "not a /ip4 or /ip6 TCP multiaddr: /ip4/127.0.0.1/udp/1"),
        ("/ip4/192.0.2.1/tcp/0", "cannot assign requested address"),
        ("/ip4/127.0.0.1/tcp/99999", "not a TCP port: 99999"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_is_refused_with_its_reason(
    lab, address, reason
):
    with pytest.raises(ListenError) as caught:
        await lab.edge("alice", address)
    assert str(caught.value) == f"cannot listen on {address}: {reason}"


async def test_peers_are_listed_in_order_with_their_latency(lab):
    alice, bob, carol = [
        await lab.edge(name, ping_interval_s=0.05) for name in ("alice", "bob", "carol")
    ]
    await introduce(alice, bob, carol)
    await eventually(lambda: all(s.latency_ms is not None for s in alice.peers()))
    statuses = alice.peers()
    assert [s.node for s in statuses] == sorted([bob.node, carol.node])
    assert all(0 <= s.latency_ms < 1_000 and s.connected_s >= 0 for s in statuses)


async def test_a_peer_that_comes_back_on_its_address_is_found_again(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    await introduce(alice, bob)
    address = bob.addresses[0]
    await lab.stop(bob)
    await eventually(lambda: alice.peers() == ())
    await trio.sleep(1)
    again = await lab.edge("bob", address)
    await eventually(lambda: len(alice.peers()) == 1, within_s=10)
    assert again.node == bob.node


async def test_who_dialled_each_other_at_once_keep_one_connection(lab):
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    alice.learn_addresses(bob.node, bob.addresses)
    bob.learn_addresses(alice.node, alice.addresses)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.connect, bob.node)
        nursery.start_soon(bob.connect, alice.node)

    def connections(edge):
        return edge._stack.swarm.get_connections()

    if len(connections(alice)) > 1:
        await eventually(lambda: len(connections(alice)) == len(connections(bob)) == 1, within_s=15)
    assert len(connections(alice)) == len(connections(bob)) == 1


async def test_a_crash_of_the_stack_keeps_identity_ports_topics_handlers_and_bans(lab):
    alice, bob, carol = [await lab.edge(name) for name in ("alice", "bob", "carol")]
    inbox = Inbox()
    alice.join_topic(TOPIC, inbox)
    bob.join_topic(TOPIC, Inbox())
    alice.serve(ECHO, echo, answer_bytes_max=4_096)
    alice.ban(carol.node)
    await introduce(alice, bob)
    carol.learn_addresses(alice.node, alice.addresses)
    before = alice.node, alice.addresses

    async def crash():
        raise RuntimeError("the library fails")

    alice._stack.pubsub.manager.run_task(crash)
    await eventually(lambda: alice.counters().get("stack_failures") == 1)
    await alice.publish(TOPIC, b"said while down")
    await eventually(lambda: len(alice.peers()) == 1, within_s=10)
    assert (alice.node, alice.addresses) == before
    assert await ask(bob, alice) == b"echo hello"
    await meshed(TOPIC, alice, bob)
    await bob.publish(TOPIC, b"after the crash")
    await eventually(lambda: b"after the crash" in inbox.payloads)
    with pytest.raises(Unreachable):
        await ask(carol, alice, timeout_ms=1_500)


async def test_messages_said_while_the_stack_is_down_are_sent_later_and_bounded(lab):
    alice = await lab.edge("alice", restart_first_s=0.5, outbox_max=2)
    bob = await lab.edge("bob")
    inbox = Inbox()
    alice.join_topic(TOPIC, Inbox())
    bob.join_topic(TOPIC, inbox)
    await introduce(alice, bob)

    async def crash():
        raise RuntimeError("the library fails")

    alice._stack.gossip.manager.run_task(crash)
    await eventually(lambda: alice._stack is None)
    with pytest.raises(Unreachable):
        await ask(alice, bob)
    for i in range(3):
        await alice.publish(TOPIC, b"%d" % i)
    await eventually(lambda: inbox.payloads == [b"1", b"2"], within_s=10)
    assert alice.counters()["gossip_dropped_outbox_full"] == 1


def test_importing_the_adapter_does_not_import_the_library():
    code = "import sys, stkrp2p.adapters.libp2p; sys.exit('libp2p' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_many_nodes_run_in_one_process(lab):
    seeds = [seed_of(f"node {i}") for i in range(8)]
    async with open_networks(seeds, host="127.0.0.1", clock=MachineClock()) as edges:
        inboxes = [Inbox() for _ in edges]
        for edge, inbox in zip(edges, inboxes, strict=True):
            edge.join_topic(TOPIC, inbox)
        await introduce(*edges, within_s=20)
        await meshed(TOPIC, *edges)
        await edges[0].publish(TOPIC, b"to all")
        await eventually(lambda: all(i.payloads == [b"to all"] for i in inboxes[1:]))


async def test_at_most_so_many_topics_are_joined(lab):
    alice = await lab.edge("alice", topics_max=2, topic_bytes_max=3)
    with pytest.raises(ValueError, match="a topic's name has at most 3 bytes"):
        alice.join_topic("aaaa", Inbox())
    for topic in ("a", "b", "a"):
        alice.join_topic(topic, Inbox())
    with pytest.raises(ValueError, match="at most 2 topics"):
        alice.join_topic("c", Inbox())
    with pytest.raises(ValueError, match="topic not joined: c"):
        await alice.publish("c", b"")


async def test_questions_under_way_are_bounded_in_all(lab):
    alice, bob, carol = [await lab.edge(name, asks_max=1) for name in ("alice", "bob", "carol")]

    async def wait(node, question):
        await trio.sleep(0.3)
        return b"done"

    for edge in (bob, carol):
        edge.serve(ECHO, wait, answer_bytes_max=100)
        alice.learn_addresses(edge.node, edge.addresses)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, alice, bob)
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(Unreachable):
            await ask(alice, carol)
    assert alice.counters()["asks_refused"] == 1
    assert await ask(alice, carol) == b"done"


async def test_dials_beyond_the_limit_wait_their_turn(lab):
    alice = await lab.edge("alice", dials_max=1)
    others = [await lab.edge(f"other {i}") for i in range(5)]
    async with trio.open_nursery() as nursery:
        for other in others:
            other.serve(ECHO, echo, answer_bytes_max=100)
            alice.learn_addresses(other.node, other.addresses)
            nursery.start_soon(ask, alice, other)
    assert len(alice.peers()) == 5


async def test_connections_nobody_uses_are_closed_beyond_those_kept_up(lab):
    alice = await lab.edge("alice", peers_kept_max=2, idle_s=0.5)
    others = [await lab.edge(f"other {i}") for i in range(4)]
    for other in others:
        other.serve(ECHO, echo, answer_bytes_max=100)
        alice.learn_addresses(other.node, other.addresses)
        assert await ask(alice, other) == b"echo hello"
    assert len(alice.peers()) == 4
    await eventually(lambda: len(alice.peers()) == 2)
    assert {status.node for status in alice.peers()} == {others[2].node, others[3].node}
    assert alice.counters()["connections_closed_idle"] == 2


async def test_only_so_many_peers_are_connected_without_being_asked(lab):
    alice = await lab.edge("alice", peers_kept_max=2)
    others = [await lab.edge(f"other {i}") for i in range(4)]
    alice.set_addresses({other.node: other.addresses for other in others})
    await eventually(lambda: len(alice.peers()) == 2)
    await trio.sleep(0.5)
    assert len(alice.peers()) == 2


@pytest.mark.slow
async def test_after_a_partition_of_thirty_seconds_peers_are_back_within_twenty(lab):
    near, far = await lab.edge("near"), await lab.edge("far")
    async with proxy_to(far) as proxy:
        near.set_addresses({far.node: [proxy.address]})
        await eventually(lambda: len(near.peers()) == 1)
        await trio.sleep(3)
        proxy.freeze()
        found_s = await eventually(lambda: near.peers() == (), within_s=10)
        await trio.sleep(30 - found_s)
        proxy.thaw()
        await eventually(lambda: len(near.peers()) == 1, within_s=20)
