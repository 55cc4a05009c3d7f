"""What went wrong is told in lines that fit, and whole to scripts."""

from __future__ import annotations

import json

from stkrp2p.adapters.chain.rule.reasons import REASONS, advice_of
from stkrp2p.adapters.chain.wallet import Rejected
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.output import WIDTH_MAX, when

ADDRESS = "0x" + "5a" * 20


def told(capsys, why):
    Failure("the contract refuses", why=why).show()
    [_, line] = capsys.readouterr().err.splitlines()
    return line


def test_every_refusal_fits_a_line_whatever_its_values(capsys):
    values = ", ".join([ADDRESS, "0x" + "c4" * 32, str(2**256 - 1)])
    for rule in REASONS:
        why, _ = advice_of(Rejected(rule, f"{rule}({values})"))
        line = told(capsys, why)
        assert line.endswith(f" ({rule})")
        assert len(line) <= WIDTH_MAX, rule


def test_a_long_reason_is_told_to_people_with_short_addresses_and_whole_to_scripts(capsys):
    why = f"that is for the other party of the deal (NotAllowed({ADDRESS}, {ADDRESS}))"
    assert told(capsys, why) == (
        "  why: that is for the other party of the deal (NotAllowed(0x5a5a…5a5a, 0x5a5a…5a5a))"
    )
    failure = Failure("the contract refuses", why=why)
    failure.is_json = True
    failure.show()
    assert json.loads(capsys.readouterr().out)["error"]["why"] == why


def test_a_reason_that_fits_is_told_as_it_is(capsys):
    why = f"only who sits in the council may (NotGovernor({ADDRESS}))"
    assert told(capsys, why) == f"  why: {why}"
    foreign = "nobody answers " + "x" * WIDTH_MAX
    assert told(capsys, foreign) == f"  why: {foreign}"


def test_what_others_say_moves_no_cursor_and_takes_one_line(capsys):
    assert told(capsys, "answered:\n\x1b[2J no") == "  why: answered: \ufffd[2J no"


def test_a_time_is_as_far_away_as_its_two_largest_units_say():
    at_s = 1_800_000_000
    far = 364 * 86_400 + 23 * 3_600 + 59 * 60 + 59
    assert when(at_s, at_s - far) == "2027-01-15 08:00:00 UTC (in 364 d 23 h)"
    assert when(at_s, at_s + 61) == "2027-01-15 08:00:00 UTC (1 min 1 s ago)"
    assert when(at_s, at_s) == "2027-01-15 08:00:00 UTC (now)"
