"""Parties of a market that use the command line, each with a node's directory of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import trio

from stkrp2p.adapters.chain.rule import RuleChain
from stkrp2p.adapters.keys import write_secret_file
from stkrp2p.cli.output import WIDTH_MAX
from stkrp2p.config import dump_config, dump_network
from tests.adapters.chain_kit import rpc, secret
from tests.adapters.market_kit import MarketNet, address_of
from tests.cli.conftest import Ran

T = TypeVar("T")


@dataclass
class Stage:
    """A network with rule and market, on which people run commands."""

    net: MarketNet
    folder: Path
    run: Callable[..., Ran]
    configs: dict[bytes, Path] = field(default_factory=dict)

    def config(self, key: bytes, name: str = "") -> Path:
        """Return the configuration of who has this key; `name` is its node's."""
        if key not in self.configs:
            home = self.folder / address_of(key).hex()
            home.mkdir(mode=0o700)
            write_secret_file(home / "account.key", key.hex().encode())
            write_secret_file(home / "node.key", secret(name).hex().encode())
            network = dump_network(self.net.genesis, market=self.net.market)
            (home / "network.toml").write_text(network)
            values = {"data_dir": ".", "network": "./network.toml", "rpc": (self.net.url,)}
            path = home / "config.toml"
            path.write_text(dump_config(values | {"account_key": "account.key"}))
            self.configs[key] = path
        return self.configs[key]

    def tells(self, key: bytes, *arguments: object) -> Ran:
        """Run a command as somebody, whatever comes of it; why it failed fits the width."""
        ran = self.run(*arguments, "--config", self.config(key))
        reasons = self._without_config(key, ran.err).splitlines()
        assert [r for r in reasons if r.startswith("  ") and len(r) > WIDTH_MAX] == []
        return ran

    def does(self, key: bytes, *arguments: object) -> str:
        """Run a command as somebody; it succeeds. Return what it prints, without the folder."""
        ran = self.tells(key, *arguments)
        assert ran.code == 0, ran.err
        said = self._without_config(key, ran.out)
        assert [line for line in said.splitlines() if len(line) > WIDTH_MAX] == []
        return said

    def shows(self, key: bytes, *arguments: object) -> dict:
        """Run a command with `--json` as somebody; it succeeds."""
        ran = self.tells(key, *arguments, "--json")
        assert ran.code == 0
        return ran.json()

    def ask(self, work: Callable[[RuleChain], Awaitable[T]]) -> T:
        """Return what `work` learns of the chain, as nobody in particular."""

        async def read() -> T:
            assert self.net.market is not None
            chain = RuleChain(self.net.genesis, self.net.market, [self.net.url])
            try:
                return await work(chain)
            finally:
                chain.close()

        return trio.run(read)

    def _without_config(self, key: bytes, text: str) -> str:
        return text.replace(f" --config {self.config(key)}", "")

    def height(self) -> str:
        return str(rpc(self.net.url, "eth_blockNumber"))


def next_of(out: str) -> str:
    """Return the command that a command says to run next."""
    return out.splitlines()[-1].removeprefix("next: ")
