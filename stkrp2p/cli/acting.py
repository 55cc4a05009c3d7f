"""Commands that send: what they do and cost is shown first, then asked for, then sent.

A command of class `ActingCommand` has `--dry-run`, `--yes` and `--json`; its function gets them and
the settings as one value, `acting`, and hands it the work:

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.council.accept())
        return "stkrp2p gov status"  # what to do next

    acting.run(work)

What the chain shows already is not sent again, so every such command may be repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import click

from stkrp2p.cli.errors import Failure
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import account_secret, ask_rule, need_rpc
from stkrp2p.cli.options import ReadingCommand, for_node
from stkrp2p.cli.output import cut, print_json, tokens, visible

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import Action, Receipt, RuleChain
    from stkrp2p.config import Loaded, NetworkFile


class Do(Protocol):
    """Shows an action, asks, and sends it; does nothing more than show it in a dry run."""

    async def __call__(self, action: Action, *, about: Sequence[str] = ()) -> None:
        """Do one action.

        Args:
            action: What to show and send.
            about: Lines that tell people more of what they sign.

        Raises:
            Failure: Nobody confirmed, or there is too little ether.
            Rejected: A contract refuses.
            ChainUnavailable: No endpoint could tell, or it was not mined in time.
        """


Work = Callable[["RuleChain", Do], Awaitable[str]]
"""Prepares actions, hands each to `Do`, and returns what to do next."""


class ActingCommand(ReadingCommand):
    """A command on one node that sends to Ethereum: its function is called with `acting`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters with `--dry-run` and `--yes`."""
        is_dry = click.Option(
            ["--dry-run", "is_dry"],
            is_flag=True,
            help="Say what would be sent and cost; send nothing.",
        )
        is_sure = click.Option(
            ["--yes", "is_sure"], is_flag=True, help="Do not ask before sending."
        )
        *others, help_option = super().get_params(ctx)
        return [*others, is_dry, is_sure, help_option]

    def give(self, ctx: click.Context, loaded: Loaded) -> None:
        """Give the function one value for all that is shared."""
        ctx.params["acting"] = Acting(
            loaded=loaded,
            is_dry=ctx.params.pop("is_dry"),
            is_sure=ctx.params.pop("is_sure"),
            is_json=ctx.params.pop("as_json"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """A node's settings, and how a command that sends was called."""

    loaded: Loaded
    is_dry: bool
    is_sure: bool
    """Whether to send without asking."""

    is_json: bool

    def network(self) -> NetworkFile:
        """Return the network's file; raises `Failure` if it cannot be read."""
        return network_of(self.loaded.config)

    def run(self, work: Work) -> None:
        """Do the work as our account, and print what came of it.

        Raises:
            Failure: A setting is missing, nobody confirmed, there is too little ether, a contract
                refuses, or no endpoint works.
        """
        config, network = self.loaded.config, self.network()
        need_rpc(config)
        account = account_secret(config, pays_for="transactions")
        sending = _Sending(acting=self)
        try:
            hint = ask_rule(config, network, sending.working(work), account_key=account)
        except Failure as failure:
            sending.add_to(failure)
            raise
        sending.end(for_node(self.loaded, hint))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    action: Action
    receipts: tuple[Receipt, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Sending:
    """One run of a command that sends."""

    acting: Acting
    done: list[_Done] = field(default_factory=list)
    is_cut: bool = False
    """Whether a dry run ended early: what follows is known only once what came before is mined."""

    def working(self, work: Work) -> Callable[[RuleChain], Awaitable[str]]:
        from stkrp2p.adapters.chain.rule import Rejected  # noqa: PLC0415

        async def whole(chain: RuleChain) -> str:
            async def do(action: Action, *, about: Sequence[str] = ()) -> None:
                await self._do(chain, action, about)

            try:
                return await work(chain, do)
            except (Rejected, Failure):
                self.is_cut = self.acting.is_dry and any(not d.action.is_done for d in self.done)
                if not self.is_cut:
                    raise
                return ""

        return whole

    def add_to(self, failure: Failure) -> None:
        """Tell in a failure what was sent before it."""
        sent = ", ".join(r.transaction for d in self.done for r in d.receipts)
        if sent and self.acting.is_json:
            failure.why += f"; sent before: {sent}"

    def end(self, hint: str) -> None:
        """Print what comes at the end."""
        if self.acting.is_json:
            print_json("action/1", self._document(hint))
            return
        if not self.done:
            self._say("nothing is due")
        if self.is_cut:
            self._say("what follows, and its cost, is known once that is mined")
        if self.acting.is_dry:
            self._say("nothing was sent")
        else:
            click.echo(f"next: {hint or 'nothing is left to do'}")

    async def _do(self, chain: RuleChain, action: Action, about: Sequence[str]) -> None:
        self._show(action, about)
        if action.is_done or self.acting.is_dry:
            self.done.append(_Done(action=action))
            return
        _need_ether(action)
        if not self.acting.is_sure and is_terminal() and not click.confirm("send it?", err=True):
            raise Failure(
                "nothing was sent", why="it was not confirmed", hint="say y, or use --yes"
            )
        receipts = await chain.send(action)
        self.done.append(_Done(action=action, receipts=receipts))
        for step, receipt in zip(action.steps, receipts, strict=True):
            self._say(f"  sent   {receipt.transaction} {step.what}")

    def _show(self, action: Action, about: Sequence[str]) -> None:
        does, *costs = _lines(action)
        for line in (does, *(() if action.is_done else about), *costs):
            self._say(line)

    def _say(self, line: str) -> None:
        """Print for people; beside JSON only what they are asked to confirm."""
        is_asked = not (self.acting.is_sure or self.acting.is_dry) and is_terminal()
        if not self.acting.is_json or is_asked:
            click.echo(cut(visible(line)), err=self.acting.is_json)

    def _document(self, hint: str) -> dict[str, object]:
        return {
            "is_dry_run": self.acting.is_dry,
            "is_whole": not self.is_cut,
            "actions": [_document(each) for each in self.done],
            "next": "" if self.acting.is_dry else hint,
        }


def is_terminal() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin.isatty()


def _need_ether(action: Action) -> None:
    cost = action.eth_wei + (action.cost_wei_max or 0)
    if action.balance_wei < cost:
        raise Failure(
            "the account has too little ether",
            why=f"it may take {tokens(cost)} ETH with its gas, there is {tokens(action.balance_wei)}",
            hint="send ether to the account, then run the command again",
        )


def _lines(action: Action) -> list[str]:
    if action.is_done:
        return [f"{action.does}: not sent, {action.done}"]
    moves = (
        ("takes", action.ankr_wei, action.eth_wei),
        ("gets ", action.gets.ankr_wei, action.gets.eth_wei),
    )
    lines = [action.does]
    lines += [f"  {name}  {_money(ankr, eth)}" for name, ankr, eth in moves if ankr or eth]
    if action.gas_max is None or action.cost_wei_max is None:
        return [*lines, "  gas    not all known before its first transaction is mined"]
    sends = "" if len(action.steps) == 1 else f" in {len(action.steps)} transactions"
    cost = f"at most {action.gas_max:,}{sends}, {tokens(action.cost_wei_max)} ETH"
    return [*lines, f"  gas    {cost}"]


def _money(ankr_wei: int, eth_wei: int) -> str:
    kinds = ((ankr_wei, "ANKR"), (eth_wei, "ETH"))
    return " and ".join(f"{tokens(wei)} {kind}" for wei, kind in kinds if wei)


def _document(done: _Done) -> dict[str, object]:
    action = done.action
    sent: list[str | None] = [receipt.transaction for receipt in done.receipts]
    sent += [None] * (len(action.steps) - len(sent))
    return {
        "does": action.does,
        "done": action.done or None,
        "ankr_wei": str(action.ankr_wei),
        "eth_wei": str(action.eth_wei),
        "gets": {
            "ankr_wei": str(action.gets.ankr_wei),
            "eth_wei": str(action.gets.eth_wei),
        },
        "gas_max": action.gas_max,
        "cost_wei_max": None if action.cost_wei_max is None else str(action.cost_wei_max),
        "transactions": [
            {"what": step.what, "gas_max": step.gas_max, "transaction": transaction}
            for step, transaction in zip(action.steps, sent, strict=True)
        ],
    }
