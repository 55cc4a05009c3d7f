"""Errors of the edge that reach people."""


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""
