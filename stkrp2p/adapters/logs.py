"""Logging: events with fields, as text for people or JSON lines for machines, on standard error.

Our own events and the libraries' go through one formatter, so that no line of a node's log is raw.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

_NOISY = ("multiaddr", "httpx", "httpcore", "web3", "urllib3", "hpack")
"""Libraries whose information level tells each request or parse."""


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], style: Literal["auto", "text", "json"]
) -> None:
    """Set up logging for the process; call it once, before anything logs.

    Args:
        level: The least level that is written.
        style: `auto` is text on a terminal, else JSON.
    """
    is_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last = (
        structlog.dev.ConsoleRenderer()
        if is_text
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
