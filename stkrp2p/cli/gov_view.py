"""`stkrp2p gov status` and `list`: what the council decides, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.gov_reading import Council, Motion, next_step, read_council, read_motions
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import account_secret, ask_rule, market_of
from stkrp2p.cli.options import ReadingCommand, for_node
from stkrp2p.cli.output import WIDTH_MAX, columns, facts, print_json, print_lines, tokens, when
from stkrp2p.cli.parties import hexed

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.config import Loaded, NodeConfig


@click.command("status", cls=ReadingCommand)
def status(*, loaded: Loaded, as_json: bool) -> None:
    """Show seats, dates, open decisions, and what to do next."""
    config = loaded.config
    network = network_of(config)
    market, secret = market_of(network), _secret(config)
    shown = ask_rule(
        config,
        network,
        lambda chain: read_council(chain, market, has_account=secret is not None),
        account_key=secret,
    )
    hint = for_node(loaded, next_step(shown))
    if as_json:
        print_json("gov-status/1", {**_document(shown), "next": hint})
    else:
        print_lines([*_lines(shown), f"next: {hint}"])


@click.command("list", cls=ReadingCommand)
def proposal_list(*, loaded: Loaded, as_json: bool) -> None:
    """List the latest proposals and what became of them."""
    network = network_of(loaded.config)
    market = market_of(network)

    async def read(chain: RuleChain) -> tuple[int, tuple[Motion, ...]]:
        return await chain.now_s(), await read_motions(chain, market)

    now_s, motions = ask_rule(loaded.config, network, read)
    if as_json:
        print_json("gov-list/1", {"proposals": [motion_document(m, now_s) for m in motions]})
    else:
        print_lines(motion_lines(motions, now_s) or ["nothing was proposed yet"])


def _secret(config: NodeConfig) -> bytes | None:
    return None if config.account_key is None else account_secret(config, pays_for="transactions")


# ------------------------------------------------------------------------------- for people


def _lines(shown: Council) -> list[str]:
    term = shown.term
    lines = facts(
        [
            ("phase", f"{shown.phase} of 3"),
            ("council", f"{len(shown.seats)} of {2 * term.n + 1} seats, term {term.number}"),
            ("election", _election(shown)),
            *([("keys", shown.elected.text())] if shown.elected.is_due else []),
            *_ours(shown),
        ]
    )
    rows = [
        (hexed(seat.account), tokens(stake), missed, "yes" if stake >= seat.stake_min else "NO")
        for seat, stake, missed in shown.seats
    ]
    lines += ["", *columns(("governor", ">stake in ANKR", ">missed", "may vote"), rows)]
    motions = motion_lines(shown.motions, shown.now_s)
    return [*lines, "", *(motions or ["nothing is up for decision"]), ""]


def _election(shown: Council) -> str:
    if shown.election is None:
        return f"the next one is due {when(shown.due_at, shown.now_s)}"
    number, election = shown.election
    return (
        f"{number} is open for {election.seats_max} seats, {election.candidates} stand, "
        f"ends {when(election.closes_at, shown.now_s)}"
    )


def _ours(shown: Council) -> list[tuple[str, str]]:
    ours = shown.ours
    if ours is None:
        return [("account", "none is set")]
    what = "a governor" if ours.is_governor else "invited" if ours.is_invited else "no governor"
    lines = [("account", hexed(ours.account)), ("", f"{what}, {tokens(ours.stake)} ANKR staked")]
    if ours.leaving.amount:
        free = when(ours.leaving.ready_at, shown.now_s)
        lines.append(("", f"{tokens(ours.leaving.amount)} ANKR are leaving, free {free}"))
    return lines


def motion_lines(motions: Sequence[Motion], now_s: int) -> list[str]:
    """Return proposals for people: summary, votes, and what each would do."""
    lines = []
    for motion in motions:
        lines += [f"proposal {motion.number}: {motion.summary}"]
        for text in (_standing(motion, now_s), *(f"calls {each}" for each in motion.words)):
            lines += wrap(text, WIDTH_MAX, initial_indent="  ", subsequent_indent="    ")
    return lines


def about_lines(motion: Motion) -> list[str]:
    """Return what a proposal says and calls, for who is about to sign for it."""
    told = [("says ", motion.summary), *(("calls", each) for each in motion.words)]
    lines = []
    for name, text in told:
        lines += wrap(text, WIDTH_MAX, initial_indent=f"  {name}  ", subsequent_indent=" " * 9)
    return lines


def _standing(motion: Motion, now_s: int) -> str:
    record, state = motion.record, motion.state(now_s)
    votes = f"{record.yes} yes, {record.no} no, {record.abstain} abstain"
    voted = record.yes + record.no + record.abstain
    needed = f" ({record.votes_min - voted} more needed)" if voted < record.votes_min else ""
    dates = {
        "open": f", until {when(record.closes_at, now_s)}",
        "queued": f", executable {when(motion.ready_at, now_s)}",
    }
    stakers = ""
    if motion.tally is not None:
        stakers = f"; stakers {tokens(motion.tally.yes)} yes, {tokens(motion.tally.no)} no"
    return f"{state}{dates.get(state, '')}: {votes}{needed if state == 'open' else ''}{stakers}"


# ------------------------------------------------------------------------------- for scripts


def _document(shown: Council) -> dict[str, object]:
    ours, term = shown.ours, shown.term
    return {
        "now_s": shown.now_s,
        "phase": shown.phase,
        "term": {"number": term.number, "n": term.n, "stake_min_wei": str(term.stake_min)},
        "seats": [
            {
                "account": hexed(seat.account),
                "node": seat.node_id.hex(),
                "stake_wei": str(stake),
                "stake_min_wei": str(seat.stake_min),
                "missed": missed,
            }
            for seat, stake, missed in shown.seats
        ],
        "election_due_at_s": shown.due_at,
        "election": _election_document(shown),
        "elected": shown.elected.document(),
        "proposals": [motion_document(each, shown.now_s) for each in shown.motions],
        "account": None
        if ours is None
        else {
            "account": hexed(ours.account),
            "is_governor": ours.is_governor,
            "is_invited": ours.is_invited,
            "stake_wei": str(ours.stake),
            "leaving_wei": str(ours.leaving.amount),
            "leaving_ready_at_s": ours.leaving.ready_at,
        },
    }


def _election_document(shown: Council) -> dict[str, object] | None:
    if shown.election is None:
        return None
    number, election = shown.election
    return {
        "election": number,
        "ballot": election.ballot,
        "opened_at_s": election.opened_at,
        "closes_at_s": election.closes_at,
        "seats_max": election.seats_max,
        "winners_min": election.winners_min,
        "candidates": election.candidates,
        "is_renewal": election.is_renewal,
    }


def motion_document(motion: Motion, now_s: int) -> dict[str, object]:
    """Return a proposal for scripts."""
    record, tally = motion.record, motion.tally
    return {
        "proposal": motion.number,
        "proposer": hexed(record.proposer),
        "summary": motion.summary,
        "calls": list(motion.calls),
        "state": motion.state(now_s),
        "opened_at_s": record.opened_at,
        "closes_at_s": record.closes_at,
        "ready_at_s": motion.ready_at,
        "votes": {"yes": record.yes, "no": record.no, "abstain": record.abstain},
        "votes_min": record.votes_min,
        "ballot": record.ballot or None,
        "stakers_wei": None if tally is None else {"yes": str(tally.yes), "no": str(tally.no)},
    }
