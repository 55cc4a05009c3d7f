"""`stkrp2p challenge`: show Ethereum that an anchored score is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.history import as_failures
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.nodes import find_node, short
from stkrp2p.cli.onchain import account_secret, ask_chain, need_rpc
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import facts, print_json, print_lines, tokens
from stkrp2p.cli.stored import read_store
from stkrp2p.core.fraud import MATRIX, OLD_SCORE, STRANGER, Challenge, first_wrong_word
from stkrp2p.core.network import Genesis
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, ProtocolError
from stkrp2p.ports import History
from stkrp2p.services.contest import Contest, open_contest

if TYPE_CHECKING:
    from stkrp2p.adapters.chain import Web3Chain
    from stkrp2p.config import Loaded

BPS = 10_000
"""Shares of the policy are in so many parts."""

_FAULTS = {
    OLD_SCORE: "the score before it",
    MATRIX: "what its auditors are said to have seen",
    STRANGER: "nobody: it was no member",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A score that may be challenged."""

    epoch: Epoch
    score: Score
    challenge: Challenge
    word: int | None
    """What is wrong with it, `None` if it is right; as in `core.fraud`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What a challenge may cost and bring, in ANKR wei."""

    deposit: int
    slashed: int
    """From the governors' bonds."""

    reward: int


def word_name(word: int) -> str:
    """Return what is wrong, for people."""
    return _FAULTS.get(word) or Score.__struct_fields__[word]


@click.command("challenge", cls=ReadingCommand)
@click.argument("node")
@click.argument("epoch", type=click.IntRange(min=0))
@click.option("--dry-run", is_flag=True, help="Say what it would cost and bring; send nothing.")
@click.option("--anyway", is_flag=True, help="Challenge a right score too: that loses the deposit.")
def command(
    *, loaded: Loaded, node: str, epoch: int, dry_run: bool, anyway: bool, as_json: bool
) -> None:
    """Show Ethereum that NODE's score of EPOCH is wrong.

    The contract computes the score anew from the one before and from what the auditors saw. If they
    differ it voids the epoch and all later ones, slashes the governors' bonds, and pays a reward; the
    deposit comes back. If the score is right the deposit is lost.
    """
    config = loaded.config
    network = network_of(config)
    need_rpc(config)
    genesis = network.genesis
    case = read_store(config, lambda store: find_case(genesis, store, node, Epoch(epoch)))
    if case.word is None and not (anyway or dry_run):
        raise Failure(
            f"the score of {short(NodeId(case.score.node))} in epoch {epoch} is right",
            why="the contract would find so too, and keep the deposit",
            hint=f"stkrp2p explain {short(NodeId(case.score.node))}",
        )
    work = _asking(case) if dry_run else _sending(case)
    account = None if dry_run else account_secret(config, pays_for="the challenge")
    stakes, sent = ask_chain(config, network, work, account_key=account)
    if as_json:
        print_json("challenge/1", _document(case, stakes, sent))
    else:
        print_lines(_lines(case, stakes, sent))


async def find_case(genesis: Genesis, store: History, reference: str, epoch: Epoch) -> Case:
    """Return a member's score of an epoch, with what shows whether it is right.

    Raises:
        Failure: The epoch cannot be computed anew, nobody of that name has a score in it, or what
            the score follows from is not what was anchored.
    """
    with as_failures():
        contest = await open_contest(genesis, store, epoch)
    scores = contest.anchored.scores
    node = find_node(reference, [NodeId(s.node) for s in scores])
    found = [s for s in scores if s.node == node]
    if not found:
        raise Failure(
            f"{short(node)} has no score in epoch {epoch}", hint=f"stkrp2p roster {epoch}"
        )
    forged = [s for s in contest.forged if s.node == node]
    score = (forged or found)[0]
    return _case(genesis, contest, score)


def _case(genesis: Genesis, contest: Contest, score: Score) -> Case:
    try:
        challenge = contest.challenge(score)
        word = first_wrong_word(challenge, genesis.params)
    except ProtocolError as error:
        raise Failure(
            f"the score of {short(NodeId(score.node))} cannot be shown to be right or wrong",
            why=f"{error}: what it follows from is not what was anchored",
            hint="stkrp2p replay " + str(contest.past.epoch),
        ) from error
    return Case(epoch=contest.past.epoch, score=score, challenge=challenge, word=word)


async def stakes_of(chain: Web3Chain) -> Stakes:
    """Return what a challenge may cost and bring as the bonds are now.

    Raises:
        ChainUnavailable: No endpoint could tell.
    """
    policy = await chain.policy()
    slashed = await chain.pool() * policy.slash_bps // BPS
    return Stakes(
        deposit=policy.deposit, slashed=slashed, reward=slashed * policy.reward_bps // BPS
    )


Work = Callable[["Web3Chain"], Awaitable[tuple[Stakes, str]]]


def _asking(case: Case) -> Work:
    async def ask(chain: Web3Chain) -> tuple[Stakes, str]:
        await chain.fault_of(case.challenge)  # refuses what the contract would refuse
        return await stakes_of(chain), ""

    return ask


def _sending(case: Case) -> Work:
    async def send(chain: Web3Chain) -> tuple[Stakes, str]:
        stakes = await stakes_of(chain)
        return stakes, await chain.challenge(case.challenge)

    return send


def _document(case: Case, stakes: Stakes, sent: str) -> dict[str, object]:
    return {
        "epoch": case.epoch,
        "node": case.score.node.hex(),
        "peer_id": peer_id_text(NodeId(case.score.node)),
        "is_wrong": case.word is not None,
        "wrong": None if case.word is None else word_name(case.word),
        "deposit_wei": str(stakes.deposit),
        "slashed_wei": str(stakes.slashed),
        "reward_wei": str(stakes.reward),
        "transaction": sent or None,
    }


def _lines(case: Case, stakes: Stakes, sent: str) -> list[str]:
    is_wrong = case.word is not None
    said = "right" if case.word is None else f"WRONG: {word_name(case.word)}"
    lines = facts(
        [
            ("node", peer_id_text(NodeId(case.score.node))),
            ("epoch", case.epoch),
            ("score", said),
            ("deposit", f"{tokens(stakes.deposit)} ANKR, {'comes back' if is_wrong else 'LOST'}"),
        ]
    )
    if is_wrong:
        lines += facts(
            [
                ("slashed", f"{tokens(stakes.slashed)} ANKR of the governors' bonds"),
                ("reward", f"{tokens(stakes.reward)} ANKR"),
            ]
        )
    if not sent:
        return [*lines, "nothing was sent"]
    end = f"epoch {case.epoch} and all later ones are void; they are anchored anew"
    return [*lines, f"sent     {sent}", end if is_wrong else "the deposit is lost"]
