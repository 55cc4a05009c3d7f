"""The machine's wall clock and its randomness."""

from __future__ import annotations

import secrets
import time

from stkrp2p.core.types import UnixMs

_NS_PER_MS = 1_000_000


class SystemClock:
    """What the machine believes the time to be; it may jump, so intervals are timed by trio."""

    def unix_ms(self) -> UnixMs:
        """Return milliseconds since 1970 UTC, rounded down."""
        return UnixMs(time.time_ns() // _NS_PER_MS)


class SystemEntropy:
    """The kernel's randomness."""

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1, each as likely.

        Raises:
            ValueError: `limit` is less than 1.
        """
        return secrets.randbelow(limit)
