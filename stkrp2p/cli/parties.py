"""How people name an account: by its address, or an approved provider by its brand name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain

_ADDRESS = re.compile(r"0x([0-9a-fA-F]{40})")
_DATA = re.compile(r"0x((?:[0-9a-fA-F]{2})*)")


def address(text: str) -> Operator:
    """Return an account's address, as an argument's type; raises `click.BadParameter`."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text} is no address: 0x and 40 hex digits")
    return Operator(bytes.fromhex(found[1]))


def data(text: str) -> bytes:
    """Return bytes in hex, as an argument's type; raises `click.BadParameter`."""
    found = _DATA.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text[:20]} is no data: 0x and pairs of hex digits")
    return bytes.fromhex(found[1])


def hexed(account: bytes) -> str:
    """Return an address for people."""
    return f"0x{account.hex()}"


async def provider_called(chain: RuleChain, text: str) -> Operator:
    """Return the provider that an address or a brand name names.

    Raises:
        Failure: No approved provider has that name.
        ChainUnavailable: No endpoint could tell.
    """
    found = _ADDRESS.fullmatch(text)
    if found is not None:
        return Operator(bytes.fromhex(found[1]))
    holder = await chain.providers.holder(text)
    if holder is None:
        raise Failure(
            f'no approved provider is called "{text}"',
            why="a provider is named by its address or its brand name",
            hint="stkrp2p request providers",
            code=Exit.USAGE,
        )
    return holder
