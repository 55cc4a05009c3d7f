"""`stkrp2p provider`: apply, stake, bid, serve, be paid, over Ethereum (R26-R29, R44-R46)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.provider_bid import bid, reclaim, reveal, start
from stkrp2p.cli.provider_node import node
from stkrp2p.cli.provider_view import status
from stkrp2p.cli.resources import (
    Given,
    bandwidth_option,
    cpu_option,
    over,
    ram_option,
    storage_option,
    whole,
)
from stkrp2p.cli.staking import add_staking
from stkrp2p.cli.store_proofs import score_where
from stkrp2p.core.types import Epoch, NodeId
from stkrp2p.core.verdict import Verdict

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.cli.acting import Acting
    from stkrp2p.core.score import Score

STATUS = "stkrp2p provider status"

_ANKR = amount_of("ANKR")
_NUMBER = click.IntRange(min=1)
_MS_PER_S = 1000

price_option = click.option(
    "--price", "price_wei", type=_ANKR, metavar="ANKR", help="What it asks for a node, to compare."
)
details_option = click.option("--details", help="Where more stands: a URI, or a hash.")


@click.group("provider")
def command() -> None:
    """Provide: apply, stake, bid, serve, be paid."""


for each in (bid, node, reclaim, reveal, start, status):
    command.add_command(each)


# ------------------------------------------------------------------------------- the record


@command.command("apply", cls=ActingCommand)
@click.argument("name")
@cpu_option
@ram_option
@storage_option
@bandwidth_option
@price_option
@details_option
def apply(
    *, acting: Acting, name: str, price_wei: int | None, details: str | None, **capacity: Given
) -> None:
    """Apply as a provider under a brand NAME (R44).

    A second application replaces the first. The governors vote on it; under another's name nobody
    is approved.
    """
    has = whole(capacity)
    if price_wei is None:
        raise click.UsageError("missing --price")
    asked = price_wei

    async def work(chain: RuleChain, do: Do) -> str:
        from stkrp2p.adapters.chain.rule.providers import Application  # noqa: PLC0415

        said = Application(name=name, capacity=has, price_wei=asked, details=details or "")
        await do(await chain.providers.apply(said))
        return STATUS

    acting.run(work)


@command.command("update", cls=ActingCommand)
@cpu_option
@ram_option
@storage_option
@bandwidth_option
@price_option
@details_option
def update(
    *, acting: Acting, price_wei: int | None, details: str | None, **capacity: Given
) -> None:
    """Say anew what this provider has and asks.

    What is not given stays.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        known = await chain.providers.provider(await chain.account())
        await do(
            await chain.providers.update(
                capacity=over(known.capacity, capacity),
                price_wei=known.price_wei if price_wei is None else price_wei,
                details=known.details if details is None else details,
            )
        )
        return STATUS

    acting.run(work)


# ------------------------------------------------------------------------------- the stake


add_staking(
    command,
    lambda chain: chain.providers,
    stake_help="Stake up to ANKR in all (R45, R46).",
)


@command.command("leave", cls=ActingCommand)
def leave(*, acting: Acting) -> None:
    """Stop being a provider and ask the whole stake back."""

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.providers.resign())
        return "stkrp2p provider withdraw"

    acting.run(work)


# ------------------------------------------------------------------------------- money, challenges


@command.command("collect", cls=ActingCommand)
def collect(*, acting: Acting) -> None:
    """Collect all that is owed to this account.

    By deals, by the market, and by challenges that were answered.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        for source in (chain.deals, chain.market, chain.liveness):
            action = await source.collect()
            if not action.is_done:
                await do(action)
        return STATUS

    acting.run(work)


@command.command("answer", cls=ActingCommand)
@click.argument("challenge", type=_NUMBER)
def answer(*, acting: Acting, challenge: int) -> None:
    """Answer a challenge of a node's liveness (R41).

    The answer is its anchored score, from this node's store: of an epoch that began after the
    challenge, at whose end the node was up.
    """
    config, genesis = acting.loaded.config, acting.network().genesis

    async def work(chain: RuleChain, do: Do) -> str:
        record = await chain.liveness.record(challenge)
        sidecar = await chain.providers.sidecar(record.registration)

        def wanted(epoch: Epoch, score: Score) -> bool:
            is_after = genesis.start_ms(epoch) >= record.challenged_at * _MS_PER_S
            return is_after and score.last_verdict == Verdict.UP

        proved = await score_where(config, genesis, NodeId(sidecar.node_id), wanted)
        if proved is None:
            raise Failure(
                f"there is no answer to challenge {challenge} yet",
                why="no anchored epoch that began after it, with the node up, is in the store",
                hint="wait for the next epoch, then run the command again",
            )
        await do(await chain.liveness.answer(challenge, proved))
        return "stkrp2p provider collect"

    acting.run(work)
