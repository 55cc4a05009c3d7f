"""What a running node says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stkrp2p.api.control_client import ControlError, ControlTimeout, NotRunning, ask
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.options import ANSWER_S_MAX

if TYPE_CHECKING:
    from stkrp2p.config import NodeConfig


def ask_node(config: NodeConfig, command: str) -> dict[str, object]:
    """Return a running node's answer.

    Raises:
        Failure: No node runs on this data directory, or it does not answer well.
    """
    try:
        return ask(config.control_socket, command, ANSWER_S_MAX)
    except NotRunning as error:
        raise Failure(
            f"no node runs on {config.data_dir}",
            why="nobody listens at its control socket",
            hint="stkrp2p run",
            code=Exit.NOT_RUNNING,
        ) from error
    except ControlTimeout as error:
        raise Failure(
            "the node does not answer", why=error.detail, hint="stkrp2p doctor", code=Exit.TIMED_OUT
        ) from error
    except ControlError as error:
        raise Failure(
            "the node gave no answer", why=str(error), hint="stkrp2p doctor", code=Exit.NOT_RUNNING
        ) from error


def ask_if_running(config: NodeConfig, command: str) -> dict[str, object] | None:
    """Return a running node's answer, `None` if no node runs; raises as `ask_node` otherwise."""
    try:
        return ask_node(config, command)
    except Failure as failure:
        if isinstance(failure.__cause__, NotRunning):
            return None
        raise
