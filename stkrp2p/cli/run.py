"""`stkrp2p run`: the node itself, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import Exit, Failure, config_failure, key_failure, safe_failure
from stkrp2p.cli.options import AllSettingsCommand

if TYPE_CHECKING:
    from stkrp2p.config import Loaded


@click.command("run", cls=AllSettingsCommand)
def command(*, loaded: Loaded) -> None:
    """Run the node until stopped.

    It stays in the foreground, logs to standard error, and ends on SIGTERM or Ctrl-C.
    """
    import trio  # noqa: PLC0415

    from stkrp2p.adapters.keys import KeyFileError  # noqa: PLC0415
    from stkrp2p.adapters.libp2p import ListenError  # noqa: PLC0415
    from stkrp2p.adapters.store import StoreError  # noqa: PLC0415
    from stkrp2p.api.control_client import ControlError  # noqa: PLC0415
    from stkrp2p.cli.logs import set_up_logging  # noqa: PLC0415
    from stkrp2p.config import ConfigError  # noqa: PLC0415
    from stkrp2p.node import run_node  # noqa: PLC0415
    from stkrp2p.ports import SafeError  # noqa: PLC0415

    set_up_logging(loaded.config.log_level, loaded.config.log_format)
    refusal: BaseException | None = None
    try:
        trio.run(run_node, loaded.config)
    except* (
        ConfigError,
        KeyFileError,
        SafeError,
        StoreError,
        ListenError,
        ControlError,
    ) as errors:
        refusal = first_of(errors)
    if refusal is not None:
        raise _failure_of(refusal) from refusal


def first_of(error: BaseException) -> BaseException:
    """Return the first single exception of a group, however deep."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _failure_of(error: BaseException) -> Failure:
    from stkrp2p.adapters.keys import KeyFileError  # noqa: PLC0415
    from stkrp2p.adapters.libp2p import ListenError  # noqa: PLC0415
    from stkrp2p.adapters.store import StoreLocked  # noqa: PLC0415
    from stkrp2p.api.control_client import ControlError  # noqa: PLC0415
    from stkrp2p.config import ConfigError  # noqa: PLC0415
    from stkrp2p.ports import SafeError  # noqa: PLC0415

    match error:
        case ConfigError():
            return config_failure(error)
        case SafeError():
            return safe_failure(error)
        case KeyFileError():
            return key_failure(error)
        case StoreLocked() | ControlError(code="busy"):
            hint, code = "stkrp2p status", Exit.UNSAFE
        case ListenError():
            hint, code = "stkrp2p run --listen /ip4/0.0.0.0/tcp/<another port>", Exit.FAILED
        case _:
            hint, code = "stkrp2p doctor", Exit.FAILED
    return Failure("the node cannot run", why=str(error), hint=hint, code=code)
