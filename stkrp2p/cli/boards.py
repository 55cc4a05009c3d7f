"""Talking to the council's bulletin board from a command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import need_rpc
from stkrp2p.cli.run import first_of
from stkrp2p.config import NodeConfig
from stkrp2p.ports import ChainUnavailable

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.board import Web3Board
    from stkrp2p.adapters.chain.endpoint import Endpoint

T = TypeVar("T")


def board_of_network(config: NodeConfig) -> bytes:
    """Return the address of the bulletin board that the network file names.

    Raises:
        Failure: It names none, or cannot be read.
    """
    genesis = network_of(config).genesis
    if not any(genesis.council):
        raise Failure(
            f"network {genesis.name} has no bulletin board",
            why='"council" in its file is the zero address',
            hint="name the address of CouncilKeys there",
        )
    return genesis.council


def ask_board(
    config: NodeConfig,
    contract: bytes,
    work: Callable[[Web3Board, int], Awaitable[T]],
    *,
    account_key: bytes | None = None,
) -> T:
    """Return what `work`, given the board and its chain's id, learns or does.

    Raises:
        Failure: No endpoint is configured or works, the board refuses, or `work` fails.
    """
    from stkrp2p.adapters.chain import Rejected  # noqa: PLC0415  - over a second
    from stkrp2p.adapters.chain.board import Web3Board  # noqa: PLC0415

    need_rpc(config)

    async def run() -> T:
        chain_id = await _chain_id(config)
        board = Web3Board(config.rpc, chain_id=chain_id, contract=contract, account_key=account_key)
        try:
            return await work(board, chain_id)
        finally:
            board.close()

    error: BaseException | None = None
    try:
        return trio.run(run)
    except* (Failure, ChainUnavailable) as errors:
        error = first_of(errors)
    match error:
        case Failure():
            raise error
        case Rejected():
            raise Failure("the bulletin board refuses", why=str(error)) from error
        case _:
            raise Failure(
                "the bulletin board cannot be asked",
                why=str(error),
                hint="check rpc, and the board's address",
                code=Exit.NOT_RUNNING,
            ) from error


async def _chain_id(config: NodeConfig) -> int:
    """Return the id of the chain that the first endpoint that works is on.

    Raises:
        ChainUnavailable: None works.
    """
    from stkrp2p.adapters.chain.endpoint import Endpoint, Endpoints  # noqa: PLC0415
    from stkrp2p.adapters.chain.wallet import read_int  # noqa: PLC0415

    async def any_chain(_endpoint: Endpoint) -> None:
        """Take whatever chain it is on."""

    endpoints = Endpoints([Endpoint(url) for url in config.rpc], any_chain)
    try:
        return await endpoints.use(lambda e: e.ask("eth_chainId", parse=read_int))
    finally:
        endpoints.close()
