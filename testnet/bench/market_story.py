"""How long `stkrp2p testnet market` takes, and how soon a dead provider's deal has failed on chain.

The command runs as a person runs it, in a process of its own, and says both itself. There is no
smaller story: it is the same one with `--quick`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from stkrp2p.core.params import MINIMAL
from testnet.bench.figures import Figure, Report
from testnet.market_plan import CHALLENGE_S

STORY_S_MAX = 150.0
COMMAND_S_MAX = 900.0


class StoryBroken(Exception):
    """The story ended before its verdict; the message has the end of what it said."""


def _told(folder: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "testnet", "market", "--json", "--folder", str(folder)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False
    )
    if not ran.stdout:
        raise StoryBroken(ran.stderr[-2000:])
    said: dict[str, object] = json.loads(ran.stdout)
    return said


def measure(*, is_quick: bool) -> Report:
    """Tell the story once and time it.

    Raises:
        StoryBroken: It did not come to its verdict.
    """
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as parent:
        said = _told(Path(parent) / "run")
    # A dead node is seen in the epoch that is under way or the next; that one is sealed, and final.
    shown_s = (MINIMAL.rounds_per_epoch + MINIMAL.settle_rounds) * MINIMAL.period_ms / 1000
    final_s = shown_s + CHALLENGE_S
    figures = (
        Figure(
            name="testnet market, start to verdict",
            measured=float(str(said["duration_s"])),
            unit="s",
            aim=STORY_S_MAX,
        ),
        Figure(
            name="a provider's node killed to its deal failed on chain",
            measured=float(str(said["detection_s"])),
            unit="s",
            limit=final_s,
            limit_is=f"its {final_s:.0f} s of an epoch, its sealing and challenges",
        ),
    )
    return Report(figures=figures, detail={"held": said["held"], "is_quick": is_quick})
