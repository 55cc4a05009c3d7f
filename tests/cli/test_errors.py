"""How a command's failure reads."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stkrp2p.cli.errors import Failure, folded


@given(st.lists(st.text("abc-", min_size=1, max_size=80), min_size=1, max_size=40))
def test_why_a_command_failed_fits_in_a_hundred_columns_and_loses_no_word(words: list[str]) -> None:
    lines = folded(" ".join(words)).splitlines()
    assert max(map(len, lines)) <= 100
    assert " ".join(lines).split() == words


def test_what_to_do_next_stays_in_one_line_however_long(capsys) -> None:
    hint = "stkrp2p gov status --config " + "/a" * 60
    Failure("it failed", why="it was so " * 20, hint=hint).show()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: it failed"
    assert lines[-1] == f"  next: {hint}"
    assert all(len(line) <= 100 for line in lines[:-1])
