"""Names of nodes: both whole ids are read back, beginnings find one node or say why not."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.nodes import PEER_ID_START, find_node, node_from_text, short
from stkrp2p.core.types import NodeId

ids = st.binary(min_size=32, max_size=32).map(NodeId)


@given(ids)
def test_a_whole_id_needs_nobody_to_be_known(node):
    for text in (peer_id_text(node), node.hex(), node.hex().upper()):
        assert node_from_text(text) == node
        assert find_node(text, ()) == node


@given(ids)
def test_every_peer_id_begins_alike_so_the_rest_is_enough(node):
    assert peer_id_text(node).startswith(PEER_ID_START)
    assert find_node(peer_id_text(node)[8:20], [node]) == node
    assert find_node(short(node), [node, node]) == node


@given(st.sets(ids, min_size=1, max_size=8), st.data())
def test_a_beginning_finds_exactly_who_it_begins(nodes, data):
    wanted = data.draw(st.sampled_from(sorted(nodes)))
    source = data.draw(st.sampled_from([wanted.hex(), peer_id_text(wanted)]))
    text = source[: data.draw(st.integers(1, 30))]
    peer_ids = {n: (peer_id_text(n), peer_id_text(n)[8:]) for n in nodes}
    by_hex = {n for n in nodes if n.hex().startswith(text.lower())}
    meant = by_hex | {n for n in nodes if any(p.startswith(text) for p in peer_ids[n])}
    if len(meant) == 1:
        assert find_node(text, nodes) == wanted
        return
    with pytest.raises(Failure, match=rf'^"{text}" begins the ids of ') as caught:
        find_node(text, nodes)
    assert caught.value.exit_code == Exit.USAGE


@given(st.text(max_size=70) | st.text(alphabet="12D3KooWz", min_size=52, max_size=52))
def test_no_text_raises_anything_but_the_failure(text):
    assert node_from_text(text) is None or len(text) in {52, 64}
    with pytest.raises(Failure):
        find_node(text, ())


def test_a_peer_id_of_another_kind_of_key_names_no_node():
    assert node_from_text("Q" * 52) is None
    assert node_from_text("z" * 52) is None
    assert node_from_text("g" * 64) is None
