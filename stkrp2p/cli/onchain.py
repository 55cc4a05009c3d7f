"""Talking to Ethereum from a command; importing web3 takes over a second, so only where needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from stkrp2p.cli.errors import Exit, Failure, key_failures
from stkrp2p.ports import ChainUnavailable

if TYPE_CHECKING:
    from stkrp2p.adapters.chain import Web3Chain
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.config import NetworkFile, NodeConfig
    from stkrp2p.core.network import MarketAddresses

T = TypeVar("T")
C = TypeVar("C", "Web3Chain", "RuleChain")

_RULES = {
    "DepositMissing": "the account has less ANKR than a challenge's deposit",
    "EpochFinal": "the time in which this epoch could be challenged is over",
    "HeaderNotAnchored": "this epoch does not stand as it was: it was voided, or anchored anew",
    "AlreadyRegistered": "the node is registered already; it is seen once its block is final",
}
"""What refusals mean that say too little by themselves."""

_NO_ETHER = "insufficient funds"
"""What endpoints say of a call that the account cannot pay."""


def need_rpc(config: NodeConfig) -> None:
    """Refuse to go on without an Ethereum endpoint.

    Raises:
        Failure: None is configured.
    """
    if not config.rpc:
        raise Failure(
            "no Ethereum endpoint is set",
            why='the setting "rpc" is empty',
            hint="set rpc in the configuration file, or STKRP2P_RPC=URL",
            code=Exit.USAGE,
        )


def account_secret(config: NodeConfig, *, pays_for: str) -> bytes:
    """Return the secret of the account that pays.

    Args:
        config: Names the account's file.
        pays_for: For what, for people.

    Raises:
        Failure: None is set, or its file cannot be used.
    """
    from stkrp2p.adapters.keys import load_account_key  # noqa: PLC0415

    if config.account_key is None:
        raise Failure(
            f"no account pays for {pays_for}",
            why='the setting "account_key" is empty',
            hint="stkrp2p keys new account PATH, then set account_key",
            code=Exit.USAGE,
        )
    with key_failures():
        held = load_account_key(config.account_key, password_path=config.account_password)
    return held.secret.reveal()


def ask_chain(
    config: NodeConfig,
    network: NetworkFile,
    work: Callable[[Web3Chain], Awaitable[T]],
    *,
    account_key: bytes | None = None,
) -> T:
    """Return what `work` learns or does through the configured endpoints.

    Raises:
        Failure: None is configured, none works, or the contract refuses what was sent.
    """
    from stkrp2p.adapters.chain import Web3Chain  # noqa: PLC0415

    need_rpc(config)

    def open_chain() -> Web3Chain:
        return Web3Chain(
            network.genesis,
            config.rpc,
            account_key=account_key,
            deploy_block=network.deploy_block,
        )

    return _ask(open_chain, work)


def market_of(network: NetworkFile) -> MarketAddresses:
    """Return where a network's rule and market are.

    Raises:
        Failure: It has none.
    """
    if network.market is None:
        raise Failure(
            f"the network {network.genesis.name} has no market",
            why="its file names no contracts of rule and market",
            hint="add the table [market] to the network file",
            code=Exit.USAGE,
        )
    return network.market


def ask_rule(
    config: NodeConfig,
    network: NetworkFile,
    work: Callable[[RuleChain], Awaitable[T]],
    *,
    account_key: bytes | None = None,
) -> T:
    """Return what `work` learns or does with rule and market, through the configured endpoints.

    Raises:
        Failure: No endpoint is configured, none works, the network has no market, or a contract
            refuses.
    """
    from stkrp2p.adapters.chain.rule import RuleChain  # noqa: PLC0415

    need_rpc(config)
    market = market_of(network)

    def open_chain() -> RuleChain:
        return RuleChain(
            network.genesis,
            market,
            config.rpc,
            account_key=account_key,
            deploy_block=network.deploy_block,
        )

    return _ask(open_chain, work)


def _ask(open_chain: Callable[[], C], work: Callable[[C], Awaitable[T]]) -> T:
    """Return what `work` learns or does with a chain that is open for its time."""

    async def run() -> T:
        with closing(open_chain()) as chain:
            return await work(chain)

    with _chain_failures():
        return trio.run(run)


@contextmanager
def _chain_failures() -> Iterator[None]:
    """Turn what contracts refuse and what cannot be asked into failures."""
    from stkrp2p.adapters.chain import Rejected  # noqa: PLC0415
    from stkrp2p.adapters.chain.rule import advice_of  # noqa: PLC0415

    try:
        yield
    except Rejected as error:
        if _NO_ETHER in str(error):
            raise Failure(
                "the account has too little ether",
                why="it cannot pay what the call takes, and its gas",
                hint="send ether to the account, then run the command again",
            ) from error
        why, hint = advice_of(error)
        undone = error.transaction
        what = f"{undone} was reverted" if undone else "the contract refuses"
        raise Failure(what, why=_RULES.get(error.rule) or why, hint=hint) from error
    except ChainUnavailable as error:
        raise Failure(
            "Ethereum cannot be asked",
            why=str(error),
            hint="stkrp2p doctor",
            code=Exit.NOT_RUNNING,
        ) from error
