"""A list of governors in a file: one a line, account and node; `#` begins a comment.

0x70997970c51812dc3a010c7d01b50e0d17dc79c8  12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq
"""

from __future__ import annotations

from pathlib import Path

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.nodes import node_from_text
from stkrp2p.core.group import GOVERNORS_MAX
from stkrp2p.ports import Governor

LIST_BYTES_MAX = 64 * 1024

_ADDRESS_BYTES = 20


def read_governors(path: Path) -> tuple[Governor, ...]:
    """Return the governors that a file lists, in its order.

    Raises:
        Failure: It cannot be read, a line is none, or they are no council.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LIST_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no UTF-8 text"
        raise Failure(f"cannot read {path}", why=why, code=Exit.USAGE) from error
    governors = tuple(
        _governor(path, number, words)
        for number, line in enumerate(text.splitlines(), 1)
        if (words := line.partition("#")[0].split())
    )
    why = fault_of(governors)
    if why:
        raise Failure(f"{path} lists no council", why=why, code=Exit.USAGE)
    return governors


def _governor(path: Path, number: int, words: list[str]) -> Governor:
    account = address_from_text(words[0])
    node = node_from_text(words[1]) if len(words) > 1 else None
    if account is None or node is None or len(words) != len(Governor._fields):
        raise Failure(
            f"line {number} of {path} is no governor",
            why="a line is an account (0x and 40 hex digits) and a PeerID",
            hint="stkrp2p id, on the governor's machine, shows its PeerID",
            code=Exit.USAGE,
        )
    return Governor(account=account, node=node)


def address_from_text(text: str) -> bytes | None:
    """Return the 20 bytes of an Ethereum address, `None` if it is none."""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return None
    return value if len(value) == _ADDRESS_BYTES else None


def fault_of(governors: tuple[Governor, ...]) -> str:
    """Return why the board takes no such list, "" if it does."""
    if len(governors) % 2 == 0 or len(governors) > GOVERNORS_MAX:
        return f"it has {len(governors)}; a council has an odd number up to {GOVERNORS_MAX}"
    if len({g.account for g in governors}) < len(governors):
        return "it has one account twice"
    if len({g.node for g in governors}) < len(governors):
        return "it has one node twice"
    return ""
