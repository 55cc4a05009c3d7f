"""`stkrp2p watch`: challenge by itself what the node beside it finds forged."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import trio

from stkrp2p.cli.challenge import stakes_of, word_name
from stkrp2p.cli.history import as_failures
from stkrp2p.cli.logs import set_up_logging
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.nodes import short
from stkrp2p.cli.onchain import account_secret, ask_chain, need_rpc
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import tokens
from stkrp2p.cli.stored import store_failures
from stkrp2p.core.network import Genesis
from stkrp2p.core.types import NodeId
from stkrp2p.ports import ChainUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from stkrp2p.adapters.chain import Web3Chain
    from stkrp2p.config import Loaded

LOOK_S_MAX = 12.0
"""Longest time between two looks: one slot of Ethereum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is watched, and who is told."""

    genesis: Genesis
    data_dir: Path
    chain: Web3Chain
    say: Callable[[str, dict[str, object]], None]
    """Told a line for people, and the same for scripts."""

    async def look(self) -> bool:
        """Challenge one forged score if there is one; tell whether there was.

        Raises:
            ChainUnavailable: The chain cannot be asked, or does not take the challenge.
            StoreError: The node's store cannot be read.
        """
        from stkrp2p.adapters.store import SqliteStore  # noqa: PLC0415
        from stkrp2p.services.challenger import challenge_oldest  # noqa: PLC0415

        stakes = await stakes_of(self.chain)
        async with SqliteStore.open_reader(self.data_dir) as store:
            found = await challenge_oldest(self.genesis, store, self.chain)
        if found is None:
            return False
        epoch, node = found.challenge.header.epoch, NodeId(found.score.node)
        self.say(
            f"epoch {epoch}: the score of {short(node)} is forged ({word_name(found.word)}); "
            f"challenged, reward {tokens(stakes.reward)} ANKR",
            {
                "event": "challenged",
                "epoch": epoch,
                "node": node.hex(),
                "wrong": word_name(found.word),
                "reward_wei": str(stakes.reward),
            },
        )
        return True


@click.command("watch", cls=ReadingCommand)
@click.option("--once", is_flag=True, help="Look once, challenge what there is, and end.")
def command(*, loaded: Loaded, once: bool, as_json: bool) -> None:
    """Challenge forged scores by itself, until stopped.

    Runs beside a node, on its data directory: the node recomputes every anchored epoch and keeps the
    false ones; this shows Ethereum one forged score of each, from the account that is set. With
    --json each event is a line of JSON.
    """
    config = loaded.config
    network = network_of(config)
    need_rpc(config)
    account = account_secret(config, pays_for="the challenge")
    set_up_logging("error", config.log_format)

    def say(line: str, event: dict[str, object]) -> None:
        click.echo(json.dumps(event) if as_json else line)

    async def run(chain: Web3Chain) -> None:
        watch = Watch(genesis=network.genesis, data_dir=config.data_dir, chain=chain, say=say)
        await (watch_once(watch) if once else watch_forever(watch))

    with as_failures(), store_failures():
        ask_chain(config, network, run, account_key=account)


async def watch_once(watch: Watch) -> None:
    """Challenge all that can be challenged now.

    Raises:
        ChainUnavailable: The chain cannot be asked.
        StoreError: The node's store cannot be read.
        NotReplayable: The evidence against a forged epoch is not stored.
    """
    count = 0
    while await watch.look():
        count += 1
    if not count:
        watch.say("nothing is forged", {"event": "nothing"})


async def watch_forever(watch: Watch) -> None:
    """Look again and again until SIGINT or SIGTERM; what fails is said once, and tried again."""
    from stkrp2p.adapters.store import StoreError  # noqa: PLC0415
    from stkrp2p.services.history import NotReplayable  # noqa: PLC0415

    trouble = ""
    epoch_s = watch.genesis.params.epoch_ms / 1000
    watch.say("watching; Ctrl-C ends it", {"event": "watching"})
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_with, signals, nursery.cancel_scope)
            while True:
                try:
                    await watch.look()
                    trouble = ""
                except (ChainUnavailable, StoreError, NotReplayable) as error:
                    if str(error) != trouble:
                        trouble = str(error)
                        watch.say(f"waiting: {trouble}", {"event": "waiting", "why": trouble})
                await trio.sleep(min(LOOK_S_MAX, epoch_s / 2))


async def _end_with(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
