"""What settings and network files share: their error, reading TOML, and writing it."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

FILE_BYTES_MAX = 256 * 1024
"""Largest configuration or network file."""

PEERS_MAX = 64
"""Most first peers, in a configuration as in a network file."""


Text = Annotated[str, msgspec.Meta(max_length=512)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class ConfigError(Exception):
    """A setting is missing, unknown or wrong."""

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(": ".join(part for part in (what, why) if part))
        self.what = what
        """What is wrong, one line."""

        self.why = why
        self.hint = hint
        """What to do about it."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean "…"?`, or nothing if no known word is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f'did you mean "{close[0]}"?' if close else ""


def refuse_unknown(key: str, known: Sequence[str], where: str) -> None:
    """Refuse a key that is not known.

    Raises:
        ConfigError: With the key that was probably meant.
    """
    if key not in known:
        why = did_you_mean(key, known) or f"the keys are {', '.join(known)}"
        raise ConfigError(f'unknown key "{key}" {where}', why, "stkrp2p config schema")


def read_toml(path: Path) -> dict[str, object]:
    """Return a TOML file's content.

    Raises:
        ConfigError: It is missing, not readable, too large, or no TOML.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ConfigError(f"cannot read {path}", reason, "stkrp2p init") from error
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is too large", f"at most {FILE_BYTES_MAX} bytes are read")
    try:
        table: dict[str, object] = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no TOML", str(error), f"edit {path}") from error
    return table


def toml_value(value: object) -> str:
    """Return a string, path, integer, or list of these as a TOML value."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, int):
        return str(value)
    # JSON's strings are TOML's but for one control character that JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def is_path(path_or_name: str) -> bool:
    """Tell whether a network is given by path: it holds a `/` or ends in `.toml`."""
    return "/" in path_or_name or path_or_name.endswith(".toml")
