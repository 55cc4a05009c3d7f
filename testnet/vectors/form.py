"""How vectors are written down: hex without 0x, objects in a fixed order, one file a subject."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from stkrp2p.core.roster import Registration
from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import Message

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]
"""What a vector file is made of; byte strings are lower-case hex."""


def render(about: str, groups: dict[str, Json]) -> str:
    """Return a vector file's text."""
    return json.dumps({"about": about, **groups}, indent=1) + "\n"


def fields(message: Message) -> dict[str, Json]:
    """Return a message as an object of its fields, byte strings as hex."""
    return {name: plain(getattr(message, name)) for name in message.__struct_fields__}


def plain(value: object) -> Json:
    """Return a value of the core as JSON has it.

    Raises:
        TypeError: The value is of no type that messages are made of.
    """
    match value:
        case bytes():
            return value.hex()
        case bool() | str() | None:
            return value
        case int():
            return int(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case Message():
            return fields(value)
        case _:
            raise TypeError(f"{type(value).__name__} is in no vector")


def entry_facts(entry: Registration) -> dict[str, Json]:
    """Return a registration as an object; stakes as text, for they exceed what JSON numbers hold."""
    return {
        "index": entry.index,
        "node": entry.node.hex(),
        "operator": entry.operator.hex(),
        "nonce": entry.nonce,
        "kind": int(entry.kind),
        "stakes": [[epoch, str(stake)] for epoch, stake in entry.stakes],
        "claim": entry.claim.hex(),
        "profile": entry.profile.hex(),
        "exit_epoch": entry.exit_epoch,
    }


def reason_of(check: Callable[[], object]) -> str:
    """Return the reason a check gives, empty if it passes."""
    try:
        check()
    except ProtocolError as error:
        return error.reason
    return ""
