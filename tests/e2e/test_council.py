"""What must hold of a real council that is killed in part, stalls, comes back, and hands its keys on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
import trio

from stkrp2p.core import bls
from stkrp2p.core.anchor import differences
from stkrp2p.core.beacon import Beacon, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.group import Purpose
from stkrp2p.core.threshold import weighted_sum, weights_at_zero
from stkrp2p.core.types import Epoch, Round
from stkrp2p.core.verdict import Verdict
from tests.adapters.drand_kit import needs_drands_clients
from tests.e2e.council_story import GOVERNORS, KEYSTORES, Story, tell

pytestmark = [pytest.mark.e2e, pytest.mark.chain]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the network once; nodes and commands log all they can, for the search for secrets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STKRP2P_LOG_LEVEL", "debug")
        yield trio.run(tell, tmp_path_factory.mktemp("council") / "run")


# ------------------------------------------------------------------------------ drand's clients


@needs_drands_clients
def test_drands_own_clients_verify_and_unseal_what_three_of_five_governors_make(
    story: Story,
) -> None:
    said = story.judged
    rounds = next(iter(story.kept.values())).rounds
    for seen in [*said["rounds"], *said["live"]]:
        assert seen["randomness"] == sha256(rounds[seen["round"]]).hex()
    assert len(said["live"]) == 3
    assert all(said["refusals"].values()), "whatever is false is refused"
    assert "too early to decrypt" in said["lock"]["refusesFarOff"]


# ------------------------------------------------------------------------------ killed and back


def test_with_n_of_2n_plus_1_governors_killed_rounds_and_anchors_go_on(story: Story) -> None:
    assert story.first_proposer in story.dead, "an anchor whose first proposer is dead comes too"
    assert story.headers[0].epoch == 0
    assert story.rounds_with_two_dead >= story.genesis.clock.seal(Epoch(0))
    rounds = next(iter(story.kept.values())).rounds
    assert set(range(1, story.stall.last_made + 1)) <= rounds.keys()


def test_with_n_plus_1_killed_no_round_is_made_and_no_epoch_anchored(story: Story) -> None:
    stall, clock = story.stall, story.genesis.clock
    due = [e for e in range(story.last_epoch) if clock.seal(Epoch(e)) <= stall.back]
    assert max(stall.newest.values()) == stall.last_made
    assert stall.anchors < len(due), "an anchor fell due meanwhile"


def test_a_council_that_stalls_serves_what_it_has_and_says_what_it_owes(story: Story) -> None:
    stall = story.stall
    assert stall.health == (503, {"current": stall.last_made, "expected": stall.back})
    assert stall.served == stall.last_made


def test_when_one_comes_back_rounds_resume_by_themselves_and_the_gap_is_filled(
    story: Story,
) -> None:
    assert story.resumed >= story.stall.back
    for name, kept in story.kept.items():
        assert list(kept.rounds) == list(range(1, max(kept.rounds) + 1)), name


def test_nobody_was_asked_in_the_gap_and_its_epoch_is_sealed_and_moves_no_score(
    story: Story,
) -> None:
    gap = range(story.stall.last_made + 1, story.stall.back)
    epoch = story.genesis.clock.epoch_of(Round(gap[0]))
    assert [h.epoch for h in story.headers[: story.last_epoch + 1]] == list(
        range(story.last_epoch + 1)
    )
    assert story.headers[epoch].is_void
    for kept in story.kept.values():
        done = kept.replays[epoch]
        for target, verdicts in done.closed.verdicts.items():
            seen = zip(done.past.view.drawn[target], verdicts, strict=True)
            assert {v for number, v in seen if number in gap} <= {Verdict.UNDECIDED}
        assert kept.tables[epoch] == kept.tables[Epoch(epoch - 1)]


# ------------------------------------------------------------------------------ truth


def test_every_round_that_any_node_ever_held_is_true(story: Story) -> None:
    group = story.group
    beacon = Beacon(
        public_key=group.public_key(Purpose.BEACON),
        genesis_ms=story.genesis.beacon.genesis_ms,
        period_ms=story.genesis.beacon.period_ms,
    )
    assert beacon == story.genesis.beacon
    seen = {(n, s) for rounds in story.rounds.values() for n, s in rounds.items()}
    assert len(seen) == max(n for n, _ in seen), "one signature a round, in all stores"
    for number, signature in sorted(seen):
        assert verified(beacon, number, signature)


def test_all_who_are_left_hold_evidence_that_gives_the_anchored_roots(story: Story) -> None:
    for name, kept in story.kept.items():
        for epoch, done in kept.replays.items():
            assert done.is_signed
            assert not differences(done.closed.header, story.headers[epoch]), (name, epoch)


# ------------------------------------------------------------------------------ resharing


def test_resharing_from_five_to_seven_keeps_both_keys(story: Story) -> None:
    assert story.handing.said["phase"] == "confirmed"
    (group,) = story.handing.groups
    assert (len(group.governors), group.threshold) == (7, 4)
    for purpose in Purpose:
        assert group.public_key(purpose) == story.group.public_key(purpose)
        shares = [group.public_share(purpose, i) for i in range(7)]
        assert not {story.group.public_share(purpose, i) for i in range(GOVERNORS)} & set(shares)


def test_rounds_go_on_while_the_keys_are_handed_on(story: Story) -> None:
    assert story.handing.asked < story.handing.in_force < story.killed
    for kept in story.kept.values():
        assert set(range(story.handing.asked, story.killed + 1)) <= kept.rounds.keys()


def test_with_three_old_governors_killed_the_new_ones_make_rounds_and_anchor(
    story: Story,
) -> None:
    (group,) = story.handing.groups
    assert len(story.kept) == group.threshold, "every one of them is needed"
    assert story.genesis.clock.seal(story.last_epoch) > story.killed
    for kept in story.kept.values():
        assert max(kept.rounds) >= story.genesis.clock.seal(story.last_epoch)
        assert story.last_epoch in kept.replays


def test_once_new_shares_are_in_force_the_old_ones_are_on_no_disk(story: Story) -> None:
    assert len(story.secrets[1]) == GOVERNORS * len(KEYSTORES)
    assert story.handing.left <= {"group", "starts"}


# ------------------------------------------------------------------------------ secrets


def whole_keys(story: Story) -> list[bytes]:
    """Return both secret keys, made from a quorum of shares as nobody ever does."""
    keys, xs = [], range(1, story.group.threshold + 1)
    for purpose in Purpose:
        shares = story.secrets[1][1 + purpose :: len(KEYSTORES)][: len(xs)]
        values = [int.from_bytes(share, "big") for share in shares]
        whole = weighted_sum(weights_at_zero(xs), values)
        assert bls.public_key_of(whole) == story.group.public_key(purpose)
        keys.append(whole.to_bytes(bls.SCALAR_BYTES, "big"))
    return keys


def spellings(secret: bytes) -> set[bytes]:
    """Return how 32 bytes could show: as they are, as hex, decimal, base64, or a list of bytes."""
    number = int.from_bytes(secret, "big")
    hexed, listed = secret.hex(), str(list(secret))[1:-1]
    texts = {hexed, hexed.upper(), f"{number:x}", f"{number:X}", str(number), listed}
    coded = base64.b64encode(secret), base64.urlsafe_b64encode(secret)
    return {secret, repr(secret)[2:-1].encode(), *(t.encode() for t in texts), *coded}


def test_no_secret_of_the_council_is_in_any_file_or_log_of_the_run(story: Story) -> None:
    secrets = [*story.secrets[1], *story.secrets[2], *whole_keys(story)]
    assert len(story.secrets[2]) == 7 * 2 + GOVERNORS
    paths = sorted(p for p in story.folder.rglob("*") if p.is_file())
    assert {"node.log", "dkg.log", "store.sqlite", "seed.json"} <= {p.name for p in paths}
    needles = {s for secret in secrets for s in spellings(secret)}
    for path in paths:
        content = path.read_bytes()
        assert not [s for s in needles if s in content], path


def test_no_password_of_key_shares_is_anywhere_but_in_its_file(story: Story) -> None:
    passwords = {p: p.read_bytes().strip() for p in story.folder.glob("*/council.password")}
    for path in (p for p in story.folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert [p for p, password in passwords.items() if password in content] == (
            [path] if path in passwords else []
        )


def test_no_governor_logs_an_error_or_a_traceback(story: Story) -> None:
    for name, kept in story.kept.items():
        assert "Traceback" not in kept.log, name
        events = [json.loads(line) for line in kept.log.splitlines() if line.startswith("{")]
        assert [e for e in events if e["level"] in {"error", "critical"}] == [], name
        assert any(e["level"] == "debug" for e in events), "the search for secrets saw them all"
