"""`stkrp2p request settle` and `doubt`: what ends a deal and pays everybody (R41, R51, R55, R59)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.deal_steps import Course, next_step, read_course
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.onchain import market_of
from stkrp2p.cli.store_proofs import LOOKED_MAX, score_where
from stkrp2p.cli.stored import open_store
from stkrp2p.config.settings import STORE_FILE
from stkrp2p.core.policy import Parameter
from stkrp2p.core.score import State as Standing
from stkrp2p.core.types import Epoch, NodeId

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import Action, RuleChain
    from stkrp2p.adapters.chain.rule.liveness import LivenessChallenge
    from stkrp2p.adapters.chain.rule.proofs import ProvedScore
    from stkrp2p.cli.acting import Acting
    from stkrp2p.core.anchor import Header
    from stkrp2p.core.score import Score

PRICE_RULES = ("BadPrice", "StalePrice", "FuturePrice", "UnfinishedRound", "PriceMoved")
"""By what the contract refuses prices: a failure is paid for later then."""

_NUMBER = click.IntRange(min=1)
_MS_PER_S = 1000


@click.command("settle", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def settle(*, acting: Acting, deal: int) -> None:
    """Do whatever is due for a deal; anybody may.

    Ends it if a party is late, or if the provider failed, shown by its anchored score or its
    silence; else splits the money once run and review are over. Pays what was lost, out of the
    provider's ANKR and by the insurance. Hands the pots theirs, and collects what is owed to this
    account.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        settling = _Settling(acting, chain, do, deal)
        await settling.end()
        await settling.make_good()
        await settling.pay_out()
        return await settling.what_next()

    acting.run(work)


@click.command("doubt", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def doubt(*, acting: Acting, deal: int) -> None:
    """Challenge the liveness of a deal's node (R41).

    It takes the policy's bond. The node answers by its score of an epoch begun after that; if it
    does not, `request settle` shows that it was silent, and the bond comes back.
    """
    genesis = acting.network().genesis

    async def work(chain: RuleChain, do: Do) -> str:
        course = await read_course(chain, genesis, deal)
        if course.record.state.name != "RUNNING":
            raise Failure(
                f"deal {deal} does not run",
                why="only of a running deal does the provider's silence end anything",
                hint=f"stkrp2p request status {deal}",
            )
        bond = await chain.policy.get(Parameter.CHALLENGE_BOND)
        await do(await chain.liveness.challenge(course.record.registration, bond_wei=bond))
        return f"stkrp2p request settle {deal}"

    acting.run(work)


class _Settling:
    """One deal that is brought to its end."""

    def __init__(self, acting: Acting, chain: RuleChain, do: Do, deal: int) -> None:
        self._config = acting.loaded.config
        self._genesis = acting.network().genesis
        self._market = market_of(acting.network())
        self._chain, self._do, self._deal = chain, do, deal

    async def course(self) -> Course:
        return await read_course(self._chain, self._genesis, self._deal)

    async def end(self) -> None:
        """End a deal that has not ended; raises `Failure` if it is not time yet."""
        course = await self.course()
        if course.auction.stage.name == "OPEN":
            raise self._too_early(course, "its auction is not over")
        deals, state = self._chain.deals, course.record.state.name
        if state in {"ASSIGNED", "FUNDED"}:
            if course.now_s <= course.record.due_at:
                raise self._too_early(course, "it has not started, and nobody is late")
            await self._do(await deals.abandon(self._deal))
        if state == "RUNNING":
            await self._end_running(course)

    async def _end_running(self, course: Course) -> None:
        deals, until_s = self._chain.deals, course.record.ends_at
        failed = await self._failure(course)
        if failed is not None:
            until_s = self._genesis.start_ms(Epoch(failed.header.epoch)) // _MS_PER_S
        # The earlier the failure that is shown, the more of the loss is paid.
        if (silent := await self._silence(course, until_s=until_s)) is not None:
            await self._do(silent)
        elif failed is not None:
            await self._do(await deals.fail(self._deal, failed))
        elif course.now_s >= course.completable_at:
            await self._do(await deals.complete(self._deal))
        else:
            raise self._too_early(course, "it runs or is in review, and no failure is known here")

    async def _failure(self, course: Course) -> ProvedScore | None:
        """Return the first anchored score of the run that shows a failure, if the store has one."""
        record = course.record
        is_frozen = record.frozen_until > course.now_s
        if is_frozen or not (self._config.data_dir / STORE_FILE).exists():
            return None
        last = await self._chain.epochs.latest_final()

        def wanted(epoch: Epoch, score: Score) -> bool:
            starts_ms, ends_ms = (self._genesis.start_ms(Epoch(e)) for e in (epoch, epoch + 1))
            is_inside = (
                starts_ms >= record.started_at * _MS_PER_S
                and ends_ms <= min(course.now_s, record.ends_at) * _MS_PER_S
            )
            is_low = score.uptime_ppm < record.terms.fail_below_ppm
            is_bad = score.n > 0 and (is_low or score.state == Standing.SUSPENDED)
            return last is not None and epoch <= last and is_inside and is_bad

        sidecar = await self._chain.providers.sidecar(record.registration)
        return await score_where(self._config, self._genesis, NodeId(sidecar.node_id), wanted)

    async def _silence(self, course: Course, *, until_s: int) -> Action | None:
        """Return what shows that the node was silent in the run before a time, if a challenge does."""
        record = course.record
        if record.frozen_until > course.now_s:
            return None
        challenges = await self._chain.liveness.of_node(record.registration)
        for number, challenge in challenges.items():
            if record.started_at <= challenge.challenged_at < until_s:
                shown = await self._silent(number, challenge)
                if shown is not None:
                    return shown
        return None

    async def _silent(self, number: int, challenge: LivenessChallenge) -> Action | None:
        """Return what shows by one challenge that the deal's node was silent, if that does."""
        state = challenge.state
        if state.name == "OPEN":
            await self._time_out(number, challenge)
            state = (await self._chain.liveness.record(number)).state
        if state.name != "SILENT":
            return None
        return await self._unless(self._chain.deals.fail_silent(self._deal, number), "NotSilent")

    async def _time_out(self, number: int, challenge: LivenessChallenge) -> None:
        """Show that an open challenge went unanswered, if it is time to."""
        header = await self._header_after(challenge.challenged_at)
        if header is None:
            return
        over = await self._unless(self._chain.liveness.time_out(number, header), "TooEarly")
        if over is not None:
            await self._do(over)

    async def _header_after(self, challenged_at: int) -> Header | None:
        """Return a final epoch's header that a challenge could have been answered with, if any."""
        last = await self._chain.epochs.latest_final()
        if last is None or not (self._config.data_dir / STORE_FILE).exists():
            return None
        async with open_store(self._config) as store:
            for epoch in await store.epochs(epochs_max=LOOKED_MAX):
                is_after = self._genesis.start_ms(epoch) >= challenged_at * _MS_PER_S
                stored = await store.epoch(epoch) if is_after and epoch <= last else None
                if stored and not stored.header.is_void:
                    return stored.header
        return None

    async def make_good(self) -> None:
        """Pay what a failure lost, as far as there is somebody who pays."""
        deals, record = self._chain.deals, (await self.course()).record
        if record.state.name != "FAILED":
            return
        if not record.is_compensated:
            paid = await self._unless(deals.compensate(self._deal), *PRICE_RULES)
            if paid is None:
                return
            await self._do(paid)
        if (await deals.deal(self._deal)).owed_wei:
            covered = await self._unless(deals.insure(self._deal), "InsuranceEmpty")
            if covered is not None:
                await self._do(covered)

    async def pay_out(self) -> None:
        """Hand the pots theirs, and collect what is owed to the account."""
        chain, account = self._chain, await self._chain.account()
        flushed = await self._unless(chain.market.flush(self._deal), "NothingToFlush", "NotOver")
        actions = [flushed] if flushed is not None else []
        actions += [
            await chain.deals.flush(pot) for pot in (self._market.insurance, self._market.rewards)
        ]
        if (await chain.market.bid(self._deal, account)).state.name == "REVEALED":
            actions.append(await chain.market.reclaim(self._deal))
        actions += [await chain.deals.collect(), await chain.market.collect()]
        for action in actions:
            if not action.is_done:
                await self._do(action)

    async def what_next(self) -> str:
        """Return what is left to do, if anything."""
        course = await self.course()
        record = course.record
        if record.state.name == "FAILED" and not record.is_compensated:
            return f"wait: until the prices can be used, stkrp2p request settle {self._deal}"
        if record.state.name == "FAILED" and record.owed_wei:
            return f"wait: until the insurance has something, stkrp2p request settle {self._deal}"
        return next_step(course, None)

    def _too_early(self, course: Course, why: str) -> Failure:
        hint = next_step(course, None)
        return Failure(f"nothing is due for deal {self._deal} yet", why=why, hint=hint)

    @staticmethod
    async def _unless(preparing: Awaitable[Action], *rules: str) -> Action | None:
        """Return what is prepared; `None` if the contract refuses it by one of these rules."""
        from stkrp2p.adapters.chain.rule import Rejected  # noqa: PLC0415

        try:
            return await preparing
        except Rejected as refused:
            if refused.rule in rules:
                return None
            raise
