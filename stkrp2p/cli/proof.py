"""`stkrp2p proof`: a score's Merkle proof against the anchored root, and the chain's word on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.history import stored_epoch
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.nodes import find_node, short
from stkrp2p.cli.onchain import ask_chain
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import facts, percent, print_json, print_lines
from stkrp2p.cli.score import document, latest_table
from stkrp2p.cli.stored import read_store
from stkrp2p.config import NetworkFile, NodeConfig
from stkrp2p.core.anchor import Header
from stkrp2p.core.merkle import Tree, is_proved
from stkrp2p.core.network import Genesis
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, NodeId
from stkrp2p.services.history import is_signed

if TYPE_CHECKING:
    from stkrp2p.config import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A score with its way to the anchored root."""

    header: Header
    score: Score
    proof: tuple[Digest, ...]
    is_signed: bool
    """Whether the stored header carries the council's true signature."""


@dataclass(frozen=True, slots=True)
class ChainWord:
    """What the contract says; `accepts` is `None` if it could not be asked."""

    accepts: bool | None
    detail: str = ""


@click.command("proof", cls=ReadingCommand)
@click.argument("node")
@click.option("--epoch", type=click.IntRange(min=0), help="Which one's.  [default: the last]")
@click.option("--offline", is_flag=True, help="Do not ask the chain.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    loaded: Loaded,
    node: str,
    epoch: int | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Prove a score against the anchored root.

    Prints the proof that a contract can check, and asks the anchor contract whether it does. Exits
    with 1 if the contract refuses it, with 3 if it cannot be asked.
    """
    network = network_of(loaded.config)
    found = read_store(loaded.config, lambda s: find_proof(network.genesis, s, node, epoch))
    word = ChainWord(None, "not asked") if offline else _ask(loaded.config, network, found)
    if as_json:
        print_json("proof/1", _document(found, word))
    else:
        print_lines(_lines(found, word))
    if word.accepts is False:
        ctx.exit(Exit.FAILED)
    if word.accepts is None and not offline:
        ctx.exit(Exit.NOT_RUNNING)


async def find_proof(
    genesis: Genesis, store: StoreReader, reference: str, epoch: int | None
) -> Proved:
    """Return a member's score of an epoch (the last anchored one if `None`) with its proof.

    Raises:
        Failure: The epoch, its table or the member in it is not stored; or the table is not the
            anchored one.
    """
    if epoch is None:
        at, scores = await latest_table(store)
    else:
        at = Epoch(epoch)
        scores = await store.scores(at)
    stored = await stored_epoch(store, at)
    tree = Tree(s.leaf() for s in scores)
    if tree.root != stored.header.score_root:
        raise Failure(
            f"there is no proof from epoch {at}'s stored scores",
            why="this node does not hold the whole table; a light node keeps its own score only"
            if len(scores) <= 1
            else "they do not hash to the anchored root",
            hint="ask a full node" if len(scores) <= 1 else f"stkrp2p replay {at}",
        )
    node = find_node(reference, [NodeId(s.node) for s in scores])
    score = next((s for s in scores if s.node == node), None)
    if score is None:
        raise Failure(f"{short(node)} was no member of epoch {at}", hint=f"stkrp2p roster {at}")
    return Proved(
        header=stored.header,
        score=score,
        proof=tree.proof(score.leaf()),
        is_signed=is_signed(genesis, stored),
    )


def _ask(config: NodeConfig, network: NetworkFile, found: Proved) -> ChainWord:
    if not config.rpc:
        return ChainWord(None, "no Ethereum endpoint is set")
    try:
        accepts = ask_chain(
            config, network, lambda c: c.is_score_proved(found.header, found.score, found.proof)
        )
    except Failure as failure:
        return ChainWord(None, failure.why or failure.message)
    return ChainWord(accepts)


def _document(found: Proved, word: ChainWord) -> dict[str, object]:
    header = {name: getattr(found.header, name) for name in Header.__struct_fields__}
    return {
        "epoch": found.header.epoch,
        "score": document(found.score),
        "leaf": "0x" + found.score.leaf().hex(),
        "proof": ["0x" + p.hex() for p in found.proof],
        "header": {k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in header.items()},
        "is_proved": is_proved(Digest(found.header.score_root), found.score.leaf(), found.proof),
        "is_signed_by_council": found.is_signed,
        "chain": {"accepts": word.accepts, "detail": word.detail},
    }


def _lines(found: Proved, word: ChainWord) -> list[str]:
    chain = {
        True: "accepts the proof",
        False: "REFUSES the proof",
        None: f"unknown: {word.detail}",
    }[word.accepts]
    pairs: list[tuple[str, object]] = [
        ("PeerID", peer_id_text(NodeId(found.score.node))),
        ("epoch", found.header.epoch),
        ("reliability", percent(found.score.reliability_ppm)),
        ("score root", "0x" + found.header.score_root.hex()),
        ("council", "signed the root" if found.is_signed else "signature is NOT stored or FALSE"),
        ("chain", chain),
        ("proof", f"{len(found.proof)} siblings, leaf upwards; leaf and header: --json"),
    ]
    return [*facts(pairs), *(f"  0x{p.hex()}" for p in found.proof)]
