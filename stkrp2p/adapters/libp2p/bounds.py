"""Bounded memory and bounded pace: what a peer can make us keep, and how fast."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_Value = TypeVar("_Value")

_BURST_S = 10.0
_PACED_MAX = 4_096


class Memory(Generic[_Value]):
    """A mapping that forgets its oldest entry when it is full."""

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[bytes, _Value] = OrderedDict()
        self._entries_max = entries_max

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> _Value | None:
        """Return what is remembered of `key`, else `None`."""
        return self._entries.get(key)

    def put(self, key: bytes, value: _Value) -> None:
        """Remember `value`, as the newest entry."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    # The library asks its cache of seen ids these two.

    def has(self, key: bytes) -> bool:
        """Whether `key` is remembered."""
        return key in self._entries

    def add(self, key: bytes) -> bool:
        """Remember `key`; `True` if it is new."""
        is_new = key not in self._entries
        self.put(key, True)  # type: ignore[arg-type]  # noqa: FBT003
        return is_new


class Pace:
    """A token bucket for each key: so many a second, and ten seconds' worth at once.

    The buckets are bounded too: of more than 4,096 keys the oldest are forgotten, that is, full.
    """

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._buckets: Memory[tuple[float, float]] = Memory(_PACED_MAX)

    def take(self, key: bytes, *, now_s: float) -> bool:
        """Take one token of a key's bucket; `False` if there is none."""
        full = _BURST_S * self._per_s
        tokens, at_s = self._buckets.get(key) or (full, now_s)
        tokens = min(full, tokens + (now_s - at_s) * self._per_s)
        if tokens < 1:
            return False
        self._buckets.put(key, (tokens - 1, now_s))
        return True
