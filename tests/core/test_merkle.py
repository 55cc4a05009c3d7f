"""The trees are those of `@openzeppelin/merkle-tree`, written here a second time to compare."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.merkle import EMPTY_ROOT, Tree, is_proved, keccak256, leaf_hash, words

leaf_sets = st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=33)


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root from the tree's definition: node i has children 2i + 1 and 2i + 2."""
    hashes = sorted((keccak256(keccak256(leaf)) for leaf in leaves), reverse=True)
    inner = len(hashes) - 1

    def node(i: int) -> bytes:
        if i >= inner:
            return hashes[i - inner]
        return keccak256(b"".join(sorted([node(2 * i + 1), node(2 * i + 2)])))

    return node(0)


def test_keccak_is_ethereums_and_not_sha3() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"").hex() == empty


def test_the_root_is_that_of_openzeppelins_own_example() -> None:
    leaves = [
        words(int("11" * 20, 16), 5_000_000_000_000_000_000),
        words(int("22" * 20, 16), 2_500_000_000_000_000_000),
    ]
    root = "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"
    assert Tree(leaves).root.hex() == root


@given(leaf_sets)
def test_the_root_follows_openzeppelins_definition(leaves: list[bytes]) -> None:
    assert Tree(leaves).root == naive_root(leaves)


@given(leaf_sets, st.data())
def test_the_order_of_leaves_does_not_matter(leaves: list[bytes], data: st.DataObject) -> None:
    assert Tree(data.draw(st.permutations(leaves))).root == Tree(leaves).root


@given(leaf_sets)
def test_every_leaf_is_proved_by_its_siblings(leaves: list[bytes]) -> None:
    tree = Tree(leaves)
    for leaf in leaves:
        proof = tree.proof(leaf)
        assert is_proved(tree.root, leaf, proof)
        assert len(proof) <= len(leaves).bit_length()


@given(leaf_sets, st.binary(min_size=1, max_size=64))
def test_a_leaf_outside_the_tree_has_no_proof(leaves: list[bytes], other: bytes) -> None:
    tree = Tree(leaves)
    if other not in leaves:
        assert not any(is_proved(tree.root, other, tree.proof(leaf)) for leaf in leaves)
        with pytest.raises(KeyError):
            tree.proof(other)


@given(leaf_sets)
def test_an_inner_node_is_no_leaf(leaves: list[bytes]) -> None:
    tree = Tree(leaves)
    assert not is_proved(tree.root, tree.root, ())
    assert all(leaf_hash(leaf) != keccak256(leaf) for leaf in leaves)


def test_a_tree_without_leaves_has_the_zero_root_and_proves_nothing() -> None:
    tree = Tree([])
    assert tree.root == EMPTY_ROOT == bytes(32)
    with pytest.raises(KeyError):
        tree.proof(b"")


@given(st.lists(st.one_of(st.integers(0, 2**256 - 1), st.binary(min_size=32, max_size=32))))
def test_words_are_32_bytes_each(values: list[int | bytes]) -> None:
    encoded = words(*values)
    assert len(encoded) == 32 * len(values)
    for i, value in enumerate(values):
        word = encoded[32 * i : 32 * i + 32]
        assert word == value if isinstance(value, bytes) else int.from_bytes(word, "big") == value


def test_a_word_has_exactly_32_bytes() -> None:
    with pytest.raises(ValueError, match=r"^a word has 32 bytes, got 31$"):
        words(bytes(31))


@pytest.mark.parametrize("value", [-1, 2**256])
def test_an_integer_that_fits_no_word_is_a_callers_mistake(value: int) -> None:
    with pytest.raises(OverflowError):
        words(value)
