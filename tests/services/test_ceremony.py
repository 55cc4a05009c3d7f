"""Ceremonies of governors that fail, lie, come late and die: one key for all, or a named reason."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import structlog
import trio
from nacl.public import SealedBox
from nacl.signing import VerifyKey

from stkrp2p.core import threshold
from stkrp2p.core.council import COUNCIL_PROTOCOL, AskDeal, AskGroup, read_question
from stkrp2p.core.crypto import Secret
from stkrp2p.core.deal import Ceremony, Deal, Dealer, _polynomials, deal_of, justification_of
from stkrp2p.core.group import Group, Purpose, combine, is_partial, partial_sign
from stkrp2p.core.types import NodeId
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode, encode
from stkrp2p.ports import Phase, SafeError, Unreachable
from stkrp2p.services.council_report import council_report
from tests.services.ceremony_kit import MESSAGE, PHASE_S, Desk, Hall, play

Tamper = Callable[[Dealer, Deal], Deal | bytes | None]


def without_shares_for(*receivers: int) -> Tamper:
    """Empty the boxes of these receivers."""

    def tamper(_dealer: Dealer, deal: Deal) -> Deal:
        sealed = tuple(bytes(len(b)) if r in receivers else b for r, b in enumerate(deal.sealed))
        return msgspec.structs.replace(deal, sealed=sealed)

    return tamper


def deal_kept_by(desk: Desk) -> Deal:
    part = desk.ceremonies._part
    assert part is not None
    assert part.dealer is not None
    return msgspec.msgpack.decode(part.deals.bodies[part.dealer], type=Deal)


def is_made_of(group: Group, desks: Sequence[Desk]) -> bool:
    """Tell whether a fresh key is the sum of these dealers' keys."""
    deals = [deal_kept_by(d) for d in desks]
    return all(
        group.public_key(purpose)
        == threshold.weighted_keys([1] * len(deals), [d.commitments[purpose][0] for d in deals])
        for purpose in Purpose
    )


async def ceremony(hall: Hall, *absent: Desk) -> None:
    """Start all but some governors, and let them ask for a session."""
    present = [d for d in hall.desks if d not in absent]
    await hall.start(*present)
    await hall.support(*present[: len(hall.desks) // 2 + 1])


# ----------------------------------------------------------------------- all is well


def test_governors_make_one_key_that_none_of_them_holds(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        group = await hall.until_seated(hall.desks)
        assert hall.record.group_hash == group.hash()
        assert is_made_of(group, hall.desks)
        assert {d.ceremonies.state.trouble for d in hall.desks} == {""}

    play(tmp_path, story, governors=5)


def test_a_council_of_one_makes_its_key_alone(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        await hall.until_seated(hall.desks)

    play(tmp_path, story, governors=1)


def test_phases_end_as_soon_as_nothing_is_left_to_wait_for(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        opened = trio.current_time()
        await hall.until_phase(Phase.CONFIRMED)
        assert trio.current_time() - opened < PHASE_S

    play(tmp_path, story, governors=5)


def test_who_is_in_no_list_takes_no_part(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        guest = hall.add("guest")
        await hall.start(guest)
        await ceremony(hall)
        await hall.until_seated(hall.desks)
        assert guest.group is None
        assert guest.files() == {}

    play(tmp_path, story)


# ----------------------------------------------------------------------- absent, late, cut off


def test_absent_dealers_are_done_without(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        absent = hall.desks[1], hall.desks[4]
        await ceremony(hall, *absent)
        present = [d for d in hall.desks if d not in absent]
        assert is_made_of(await hall.until_seated(present), present)

    play(tmp_path, story, governors=5)


def test_a_dealer_that_posts_a_hash_and_gives_its_deal_to_nobody_is_evicted(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"answers": lambda _peer, _deal: None}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(honest), honest)

    play(tmp_path, story, governors=5)


def test_a_deal_is_found_with_whoever_has_it(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        shy, friend = hall.desks[:2]
        shy.corrupt = {"answers": lambda peer, deal: deal if peer == friend.node else None}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)

    play(tmp_path, story, governors=5)


def test_who_comes_too_late_to_deal_does_not_deal_and_gets_its_share(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        *present, late = hall.desks
        await ceremony(hall, late)
        await hall.until_phase(Phase.RESPOND)
        await hall.start(late)
        assert is_made_of(await hall.until_seated(hall.desks), present)
        assert "seed.json" not in str(late.files())

    play(tmp_path, story)


def test_who_comes_too_late_to_respond_does_not_respond_and_gets_its_share(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        late = hall.desks[2]
        late.port.fault = lambda call: "down" if call == "respond" else ""
        await ceremony(hall)
        await hall.until_phase(Phase.CONFIRM)
        late.port.fault = lambda _call: ""
        await hall.until_seated(hall.desks)
        assert 2 not in hall.record.complaints

    play(tmp_path, story)


def test_who_was_away_all_the_time_gets_its_share_afterwards(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        *present, late = hall.desks
        await ceremony(hall, late)
        await hall.until_seated(present)
        await trio.sleep(3 * PHASE_S)
        for desk in present:
            await hall.kill(desk)
        await hall.start(*hall.desks)
        await hall.until_seated(hall.desks)

    play(tmp_path, story)


def test_who_is_cut_off_complains_about_nobody(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        *others, lonely = hall.desks
        await hall.start(*hall.desks)
        hall.split(others, [lonely])
        await hall.support(*hall.desks[:3])
        await hall.until_phase(Phase.CONFIRM)
        assert hall.record.complaints == dict.fromkeys(range(4), 0b10000)
        assert lonely.ceremonies.state.trouble == (
            "we seem cut off: most deals are bad, or missing: 0, 1, 2, 3"
        )
        await hall.until(
            lambda: lonely.ceremonies.state.trouble == "deals are missing, of dealers 0, 1, 2, 3"
        )
        hall.split()
        assert is_made_of(await hall.until_seated(hall.desks), others)

    play(tmp_path, story, governors=5)


# ----------------------------------------------------------------------- dishonest


def test_a_wrong_share_for_one_is_answered_and_its_dealer_stays(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        hall.desks[0].corrupt = {"tamper": without_shares_for(3)}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)
        assert hall.record.complaints[3] == 0b00001
        assert [j[:2] for j in hall.record.justifications] == [(0, 3)]

    play(tmp_path, story, governors=5)


def test_who_gives_no_deal_and_no_answer_keeps_no_dealer_from_its_own_answer(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        accused, silent = hall.desks[0], hall.desks[4]
        accused.corrupt = {"tamper": without_shares_for(3)}
        await ceremony(hall)
        assert silent.edge is not None
        silent.edge.serve(COUNCIL_PROTOCOL, hang, answer_bytes_max=0)
        await hall.until(lambda: hall.record.justified_s)
        assert hall.record.justified_s - hall.record.responded_s <= 3  # two looks
        await hall.until(lambda: hall.record.starts_s)
        assert hall.record.starts_s - PHASE_S - hall.record.justified_s <= 3

    play(tmp_path, story, governors=5)


async def hang(_peer: NodeId, _question: bytes) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


def test_a_wrong_share_that_its_dealer_does_not_answer_for_evicts_it(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": without_shares_for(3), "is_silent_when_accused": True}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(honest), honest)

    play(tmp_path, story, governors=5)


def test_wrong_shares_for_a_threshold_evict_their_dealer_at_once(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": without_shares_for(1, 2, 3)}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(honest), honest)
        assert hall.record.justifications == []

    play(tmp_path, story, governors=5)


def test_false_complaints_change_nothing(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        for liar in hall.desks[:2]:
            liar.corrupt = {"complain": lambda _complaints: 0b11100}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)
        assert len(hall.record.justifications) == 6

    play(tmp_path, story, governors=5)


def test_one_place_dealt_to_two_receivers_is_complained_about(tmp_path: Path) -> None:
    def tamper(dealer: Dealer, deal: Deal) -> Deal:
        """Seal to receiver 1 what is receiver 2's."""
        node = dealer.ceremony.receivers[1]
        box = SealedBox(VerifyKey(node).to_curve25519_public_key())
        sealed = list(deal.sealed)
        sealed[1] = box.encrypt(justification_of(dealer, 2))
        return msgspec.structs.replace(deal, sealed=tuple(sealed))

    async def story(hall: Hall) -> None:
        hall.desks[0].corrupt = {"tamper": tamper}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)
        assert hall.record.complaints[1] == 0b00001

    play(tmp_path, story, governors=5)


def test_a_deal_in_the_name_of_another_dealer_is_refused(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": lambda _d, deal: msgspec.structs.replace(deal, dealer=1)}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(honest), honest)

    play(tmp_path, story, governors=5)


def test_a_deal_of_an_earlier_session_is_refused(tmp_path: Path) -> None:
    earlier: list[Deal] = []

    def replay(_dealer: Dealer, deal: Deal) -> Deal:
        earlier.append(deal)
        return earlier[0]

    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": replay}
        await ceremony(hall)
        await hall.until_phase(Phase.RESPOND)
        await hall.support(*hall.desks[:3])
        assert is_made_of(await hall.until_seated(honest, session=2), honest)
        assert len(earlier) == 2

    play(tmp_path, story, governors=5)


def test_a_key_that_its_dealer_does_not_know_is_refused(tmp_path: Path) -> None:
    foreign: list[Deal] = []

    def rogue(_dealer: Dealer, deal: Deal) -> Deal:
        commitments = tuple(
            (theirs[0], *ours[1:])
            for theirs, ours in zip(foreign[0].commitments, deal.commitments, strict=True)
        )
        return msgspec.structs.replace(deal, commitments=commitments, proofs=foreign[0].proofs)

    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        await hall.start(*honest)
        cheat.corrupt = {"tamper": rogue}
        await hall.support(*honest[:3])
        await hall.until(lambda: len(hall.record.deals) == 4)
        # Another dealer's key and proofs: not even these, known in time, would serve.
        foreign.append(deal_kept_by(honest[0]))
        await hall.start(cheat)
        assert is_made_of(await hall.until_seated(honest), honest)

    play(tmp_path, story, governors=5)


def test_two_deals_of_one_dealer_end_in_the_one_on_the_board(tmp_path: Path) -> None:
    second: list[Deal] = []

    def remember(dealer: Dealer, deal: Deal) -> Deal:
        other = Dealer(ceremony=dealer.ceremony, index=dealer.index, seed=Secret(bytes(32)))
        second.append(deal_of(other))
        return deal

    async def story(hall: Hall) -> None:
        cheat, first, *others = hall.desks
        cheat.corrupt = {
            "tamper": remember,
            "answers": lambda peer, deal: deal if peer == first.node else second[0],
        }
        await ceremony(hall)
        group = await hall.until_seated([first, *others])
        assert is_made_of(group, hall.desks)

    play(tmp_path, story, governors=5)


@pytest.mark.parametrize("body", [b"", b"\x95\x00", bytes(100_000)], ids=["none", "torn", "large"])
def test_a_deal_that_is_none_is_refused(tmp_path: Path, body: bytes) -> None:
    async def story(hall: Hall) -> None:
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": lambda _dealer, _deal: body}
        await ceremony(hall)
        assert is_made_of(await hall.until_seated(honest), honest)

    play(tmp_path, story)


def test_a_wrong_share_that_nobody_complained_about_leaves_its_receiver_without(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        hall.desks[0].corrupt = {"tamper": without_shares_for(2)}
        late = hall.desks[2]
        late.port.fault = lambda call: "down" if call == "respond" else ""
        for desk in hall.desks[:2]:  # so that there is time to see the late one's trouble
            desk.port.fault = lambda call: "down" if call == "confirm" and not seen else ""
        seen: list[str] = []
        await ceremony(hall)
        await hall.until(lambda: "wrong share" in late.ceremonies.state.trouble)
        seen.append(late.ceremonies.state.trouble)
        assert seen == ["a deal that counts has a wrong share for us"]
        await hall.until_seated(hall.desks[:2])
        await hall.until(lambda: late.group)
        assert late.seats.newest.share is None
        assert 2 not in hall.record.confirmations

    play(tmp_path, story)


def test_who_comes_to_another_group_than_was_confirmed_takes_no_seat(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        *present, late = hall.desks
        await ceremony(hall, late)
        await hall.until_seated(present)
        hall.record.group_hash = bytes(32)
        await hall.start(late)
        await hall.until(lambda: late.running and late.running.state.trouble)
        assert late.ceremonies.state.trouble == (
            "the board's deals make another group than was confirmed"
        )
        assert late.group is None

    play(tmp_path, story)


def test_a_dealer_that_lost_its_seed_reveals_nothing_of_another(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        poor, liar = hall.desks[:2]
        liar.corrupt = {"complain": lambda _complaints: 0b001}
        await hall.start(*hall.desks[:2])
        await hall.support(poor, liar)
        await hall.until(lambda: 0 in hall.record.deals)
        await hall.kill(poor)
        (poor.folder / "council" / "1" / "seed.json").unlink()
        await hall.start(poor, hall.desks[2])
        await hall.until(lambda: poor.ceremonies.state.trouble.startswith("our deal"))
        assert poor.ceremonies.state.trouble == (
            "our deal on the board is not of the seed that we keep"
        )
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks[1:])
        assert hall.record.justifications == []

    play(tmp_path, story)


# ----------------------------------------------------------------------- killed

POSTS = ("post_deal", "respond", "justify", "confirm")


class Killer:
    """Kills a governor once, just before a post of its is sent or just after it is in a block."""

    def __init__(self, hall: Hall, victim: Desk, post: str, *, is_after: bool) -> None:
        self.victim, self.post, self.is_after = victim, post, is_after
        victim.port.fault, victim.port.told = self.before, self.after
        for other in hall.desks:
            if other is not victim:
                other.port.fault = self.wait

    def kill(self) -> None:
        if self.victim.kills == 0:
            self.victim.kills += 1
            self.victim.scope.cancel()

    def before(self, call: str) -> str:
        if call == self.post and not self.is_after:
            self.kill()
        return ""

    def after(self, call: str) -> None:
        if call == self.post and self.is_after:
            self.kill()

    def wait(self, call: str) -> str:
        """Let the session not end without the victim."""
        return "down" if call == self.post == "confirm" and not self.victim.kills else ""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("post", POSTS)
def test_a_governor_that_is_killed_at_any_post_goes_on_where_it_was(
    tmp_path: Path, post: str, moment: str
) -> None:
    async def story(hall: Hall) -> None:
        victim = hall.desks[0]
        # Its complaint about itself gives it something to justify.
        hall.desks[1].corrupt = {"complain": lambda _complaints: 0b00001}
        Killer(hall, victim, post, is_after=moment == "after")
        await ceremony(hall)
        await victim.stopped.wait()
        await hall.start(victim)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)
        assert hall.record.number == 1

    play(tmp_path, story)


@pytest.mark.parametrize("post", POSTS)
def test_all_governors_may_be_killed_at_once_in_any_phase(tmp_path: Path, post: str) -> None:
    async def story(hall: Hall) -> None:
        hall.desks[1].corrupt = {"complain": lambda _complaints: 0b00001}
        Killer(hall, hall.desks[0], post, is_after=True)
        await ceremony(hall)
        await hall.desks[0].stopped.wait()
        for desk in hall.desks:
            await hall.kill(desk)
        await hall.start(*hall.desks)
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)

    play(tmp_path, story)


def test_seats_are_there_again_after_a_restart_without_chain_or_peers(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        group = await hall.until_seated(hall.desks)
        desk = hall.desks[0]
        await hall.kill(desk)
        desk.port.fault = lambda _call: "down"
        await hall.start(desk)
        assert desk.seats.at(hall.starts_ms).share is not None
        assert desk.group == group

    play(tmp_path, story)


def test_who_confirmed_and_was_away_when_the_session_was_takes_its_seat_later(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        early = hall.desks[0]
        Killer(hall, early, "confirm", is_after=True)
        await ceremony(hall)
        await hall.until_seated(hall.desks[1:])
        # Meanwhile another session runs: the board shows no more of the first than who sits.
        await hall.support(*hall.desks[1:])
        await hall.start(early)
        await hall.until_seated(hall.desks, session=2)
        assert early.seats.before(2).share is not None

    play(tmp_path, story)


# ----------------------------------------------------------------------- chain and disk


@pytest.mark.parametrize("fault", ["down", "hanging", "lost"])
def test_a_chain_that_fails_now_and_then_is_asked_again(tmp_path: Path, fault: str) -> None:
    async def story(hall: Hall) -> None:
        hall.board.phase_s = 120  # a call that hangs takes 8 s
        await hall.start(*hall.desks)
        await hall.support(*hall.desks[:2])
        for desk in hall.desks:
            desk.port.fault = lambda _call: fault if hall.random.random() < 0.3 else ""
        await hall.until_seated(hall.desks)

    play(tmp_path, story, seed=5)


def test_a_network_that_loses_messages_is_asked_again(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        hall.wire.loss_ppm = 400_000
        await ceremony(hall)
        await hall.until_seated(hall.desks)

    play(tmp_path, story, governors=5)


def test_nothing_is_posted_that_is_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(hall: Hall) -> None:
        desk, *others = hall.desks
        await hall.start(*hall.desks)
        safe = desk.ceremonies.safe

        async def full(*_arguments: object) -> None:
            raise SafeError("the disk is full")

        for name, post in (("put_deal", "deals"), ("put_group", "confirmations")):
            with monkeypatch.context() as patch:
                patch.setattr(type(safe), name, _only(safe, full, getattr(type(safe), name)))
                if not hall.board.records:
                    await hall.support(*others)
                await hall.until(lambda: desk.ceremonies.state.trouble == "the disk is full")
                assert 0 not in getattr(hall.record, post)
        await hall.until_seated(hall.desks)

    play(tmp_path, story)


def _only(safe: object, broken: Callable, whole: Callable) -> Callable:
    """Return a method that is broken on one object."""

    async def method(self: object, *arguments: object) -> object:
        return await (broken() if self is safe else whole(self, *arguments))

    return method


def test_a_seat_that_a_reorganisation_takes_back_is_given_up_and_taken_again(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        await hall.until_seated(hall.desks)
        first_ms = hall.desks[0].seats.newest.starts_ms
        record = hall.record
        record.starts_s, record.group_hash, hall.board.sitting = 0, None, 0
        confirmed = dict(record.confirmations)
        record.confirmations.clear()
        record.justified_s = hall.board.now_s
        await hall.until(
            lambda: all(d.group is None or d.seats.newest.starts_ms > first_ms for d in hall.desks)
        )
        await hall.until_seated(hall.desks)
        assert record.confirmations.items() <= confirmed.items()
        assert hall.desks[0].seats.newest.starts_ms > first_ms

    play(tmp_path, story)


def test_shares_of_a_session_that_a_reorganisation_unseats_sign_nothing_meanwhile(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        await hall.until_seated(hall.desks)
        for desk in hall.desks:
            desk.port.fault = lambda call: "down" if call == "confirm" else ""
        record = hall.record
        record.starts_s, record.group_hash, hall.board.sitting = 0, None, 0
        record.confirmations.clear()
        record.justified_s = hall.board.now_s
        await hall.until(lambda: all(d.group is None for d in hall.desks), within_s=PHASE_S / 2)
        for desk in hall.desks:
            desk.port.fault = lambda _call: ""
        await hall.until_seated(hall.desks)

    play(tmp_path, story)


def test_after_a_reorganisation_deals_are_waited_for_as_long_as_before(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        ready = trio.Event()
        hall.desks[0].corrupt = {"answers": lambda _peer, deal: deal if ready.is_set() else None}
        await ceremony(hall)
        await hall.until_phase(Phase.RESPOND)
        await trio.sleep(0.45 * PHASE_S)
        record = hall.record
        record.deals.clear()
        record.complaints.clear()
        record.opened_s, record.dealt_s = hall.board.now_s, 0
        await hall.until_phase(Phase.DEAL)
        await hall.until_phase(Phase.RESPOND)
        await trio.sleep(0.2 * PHASE_S)
        ready.set()
        assert is_made_of(await hall.until_seated(hall.desks), hall.desks)
        assert set(record.complaints.values()) == {0}

    play(tmp_path, story, governors=5)


def test_who_has_another_account_than_the_board_wants_is_told_so(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        desk, *others = hall.desks
        wanted, desk.port.own = desk.port.own, bytes(20)
        await hall.start(*hall.desks)
        await hall.support(*others)
        await hall.until_seated(others)
        assert desk.ceremonies.state.trouble == (
            f"the board wants account 0x{wanted.hex()} to post for this node, ours is 0x{'00' * 20}"
        )
        await hall.until_seated(hall.desks)

    play(tmp_path, story)


# ----------------------------------------------------------------------- no key


def test_too_few_deals_make_no_key_and_all_name_one_reason(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        present = hall.desks[:2]
        await hall.start(*present)
        await hall.support(*hall.desks[:3])
        await hall.until(lambda: all(d.ceremonies.state.outcome for d in present))
        assert {d.ceremonies.state.outcome for d in present} == {"too-few-deals"}
        assert [d.group for d in present] == [None, None]

    play(tmp_path, story, governors=5)


def test_too_many_dishonest_dealers_make_no_key_and_all_name_one_reason(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        honest, cheats = hall.desks[:2], hall.desks[2:]
        for cheat in cheats:
            cheat.corrupt = {"tamper": without_shares_for(0), "is_silent_when_accused": True}
        # The first sees a quorum of bad deals and keeps silent; the second still complains.
        cheats[0].corrupt["tamper"] = without_shares_for(1)
        await ceremony(hall)
        await hall.until(lambda: hall.phase is Phase.FAILED, within_s=10 * PHASE_S)
        await hall.until(lambda: all(d.ceremonies.state.outcome for d in honest))
        assert len({d.ceremonies.state.outcome for d in honest}) == 1
        assert [d.group for d in honest] == [None, None]

    play(tmp_path, story, governors=5)


def test_too_few_confirmations_make_no_key(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        for desk in hall.desks[1:]:
            desk.port.fault = lambda call: "down" if call == "confirm" else ""
        await ceremony(hall)
        await hall.until_phase(Phase.FAILED)
        await hall.until(lambda: all(d.ceremonies.state.outcome for d in hall.desks))
        assert {d.ceremonies.state.outcome for d in hall.desks} == {"too-few-confirmations"}
        assert [d.group for d in hall.desks] == [None] * 3

    play(tmp_path, story)


def test_a_failed_session_is_followed_by_one_that_makes_a_key(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await hall.start(hall.desks[0])
        await hall.support(*hall.desks[:2])
        await hall.until_phase(Phase.FAILED)
        await hall.start(*hall.desks[1:])
        await hall.support(*hall.desks[:2])
        await hall.until_seated(hall.desks, session=2)

    play(tmp_path, story)


@pytest.mark.parametrize("post", ["post_deal", "respond", "confirm"])
def test_a_session_is_given_up_in_any_phase_by_asking_for_the_next(
    tmp_path: Path, post: str
) -> None:
    async def story(hall: Hall) -> None:
        stuck = hall.desks[2]
        hall.desks[0].port.fault = lambda call: "down" if call == post else ""
        stuck.port.fault = hall.desks[0].port.fault
        await ceremony(hall)
        phase = {"post_deal": Phase.DEAL, "respond": Phase.RESPOND, "confirm": Phase.CONFIRM}[post]
        await hall.until_phase(phase)
        await hall.support(*hall.desks[:2])
        for desk in hall.desks:
            desk.port.fault = lambda _call: ""
        await hall.until_seated(hall.desks, session=2)
        assert hall.board.shown(hall.board.records[0]).phase is Phase.SUPERSEDED

    play(tmp_path, story)


# ----------------------------------------------------------------------- resharing


def old_shares(desks: Sequence[Desk]) -> list:
    return [d.seats.newest.share for d in desks]


async def signs(shares: Sequence, group: Group) -> bool:
    """Tell whether these shares make a signature of the group."""
    partials = {s.index: partial_sign(s, Purpose.BEACON, MESSAGE) for s in shares}
    return combine(group, Purpose.BEACON, partials, MESSAGE) is not None


@pytest.mark.parametrize(("before", "after"), [(5, 7), (7, 5), (3, 3), (1, 3), (3, 1)])
def test_a_resharing_keeps_the_key_and_makes_the_old_shares_worthless(
    tmp_path: Path, before: int, after: int
) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        first = await hall.until_seated(hall.desks)
        await hall.until(lambda: trio.current_time() * 1000 > hall.starts_ms)
        old = old_shares(hall.desks)
        # At most so many stay that the others alone are no threshold.
        stays = hall.desks[max(0, before - after) :]
        receivers = [*stays, *(hall.add(f"n{i}") for i in range(after - len(stays)))]
        await hall.start(*receivers[len(stays) :])
        await hall.support(*hall.desks[: before // 2 + 1], receivers=receivers)
        while not (hall.phase is Phase.CONFIRMED and hall.record.number == 2):
            now = [d.seats.at(hall.now_ms).share for d in hall.desks]
            assert await signs(now, first)  # the old group goes on meanwhile
            await trio.sleep(1)
        second = await hall.until_seated(receivers, session=2)
        for purpose in Purpose:
            assert second.public_key(purpose) == first.public_key(purpose)
        for share in old:
            partial = partial_sign(share, Purpose.BEACON, MESSAGE)
            assert not is_partial(second, Purpose.BEACON, share.index, MESSAGE, partial)
        in_force = [d.seats.at(hall.now_ms) for d in receivers]
        assert {s.group.session for s in in_force if s} <= {1}
        await hall.until(lambda: hall.now_ms >= hall.starts_ms)
        assert {d.seats.at(hall.now_ms).group.session for d in receivers} == {2}
        await hall.until(lambda: not any("1/beacon.json" in str(d.files()) for d in hall.desks))
        kept = [seat for d in hall.desks for seat in d.seats if seat.group == first]
        assert kept
        assert not any(seat.share for seat in kept), "nor in memory"
        gone = [d for d in hall.desks if d not in receivers]
        assert [d.seats.at(hall.now_ms).share for d in gone] == [None] * len(gone)
        assert {d.group for d in gone} <= {second}

    play(tmp_path, story, governors=before)


def test_old_and_new_shares_do_not_mix(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        first = await hall.until_seated(hall.desks)
        old = old_shares(hall.desks)
        await hall.support(*hall.desks[:2])
        second = await hall.until_seated(hall.desks, session=2)
        new = old_shares(hall.desks)
        assert await signs(new[:2], second)
        for group in (first, second):
            assert not await signs([old[0], new[1]], group)

    play(tmp_path, story)


def test_who_joins_waits_for_the_group_that_is_reshared(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        await hall.until_seated(hall.desks)
        joins = hall.add("joins")
        await hall.start(joins)
        hall.split(hall.desks, [joins])
        await hall.support(*hall.desks[:2], receivers=[*hall.desks[:2], joins])
        await hall.until(lambda: joins.ceremonies.state.trouble)
        assert joins.ceremonies.state.trouble == "nobody gives us the group that session 2 reshares"
        hall.split()
        await hall.until_seated([*hall.desks[:2], joins], session=2)

    play(tmp_path, story)


def gives_another_group(desk: Desk) -> None:
    """Let a governor lie about the group that was reshared."""
    assert desk.edge is not None
    honest = desk.edge.handlers[COUNCIL_PROTOCOL]

    async def answer(peer: NodeId, frame: bytes) -> bytes:
        said = await honest(peer, frame)
        if not said or not isinstance(read_question(frame), AskGroup):
            return said
        group = decode(said, Group)
        swapped = tuple(reversed(group.commitments))
        return encode(msgspec.structs.replace(group, commitments=swapped))

    desk.edge.serve(COUNCIL_PROTOCOL, answer, answer_bytes_max=ANSWER_BYTES_MAX)


def test_who_is_told_of_a_false_group_after_a_resharing_asks_another_governor(
    tmp_path: Path,
) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        await hall.until_seated(hall.desks)
        joins, receivers = hall.add("joins"), hall.desks[:2]
        await hall.support(*receivers, receivers=[*receivers, joins])
        await hall.until_seated(receivers, session=2)
        gives_another_group(receivers[1])
        await hall.start(joins)
        await hall.until(lambda: joins.running and joins.ceremonies._part)
        part = joins.ceremonies._part
        assert part is not None
        assert part.ceremony.old not in {None, *(s.group for s in receivers[0].seats)}
        await hall.until_seated([*receivers, joins], session=2)

    play(tmp_path, story)


def test_an_aborted_resharing_loses_nothing(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        first = await hall.until_seated(hall.desks)
        nobody = [hall.add(f"n{i}") for i in range(3)]  # who never come
        await hall.support(*hall.desks[:2], receivers=nobody)
        await hall.until_phase(Phase.FAILED)
        await trio.sleep(2 * PHASE_S)
        for desk in hall.desks:
            await hall.kill(desk)
        await hall.start(*hall.desks)
        assert await signs(old_shares(hall.desks)[:2], first)
        await hall.support(*hall.desks[:2])
        third = await hall.until_seated(hall.desks, session=3)
        assert third.public_key(Purpose.ANCHOR) == first.public_key(Purpose.ANCHOR)

    play(tmp_path, story)


def test_dealers_that_lost_their_shares_are_done_without_and_get_new_ones(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        await ceremony(hall)
        first = await hall.until_seated(hall.desks)
        poor = hall.desks[0]
        await hall.kill(poor)
        for name in ("beacon.json", "anchor.json", "seed.json"):
            (poor.folder / "council" / "1" / name).unlink()
        await hall.start(poor)
        await hall.support(*hall.desks[1:])
        await hall.until_phase(Phase.RESPOND)
        assert poor.name not in hall.record.deals
        second = await hall.until_seated(hall.desks, session=2)
        assert second.public_key(Purpose.BEACON) == first.public_key(Purpose.BEACON)
        assert 0 not in hall.record.deals

    play(tmp_path, story)


def test_a_dealer_cannot_hand_on_another_share_than_its_own(tmp_path: Path) -> None:
    def other_share(dealer: Dealer, _deal: Deal) -> Deal:
        ceremony = dealer.ceremony
        made_up = Dealer(
            ceremony=Ceremony(
                chain_id=ceremony.chain_id,
                contract=ceremony.contract,
                session=ceremony.session,
                dealers=ceremony.dealers,
                receivers=ceremony.dealers,
            ),
            index=dealer.index,
            seed=dealer.seed,
        )
        return msgspec.structs.replace(deal_of(made_up), ceremony=ceremony.id)

    async def story(hall: Hall) -> None:
        await ceremony(hall)
        first = await hall.until_seated(hall.desks)
        cheat, *honest = hall.desks
        await hall.kill(cheat)
        cheat.corrupt = {"tamper": other_share}
        await hall.start(cheat)
        await hall.support(*honest)
        second = await hall.until_seated(honest, session=2)
        assert second.public_key(Purpose.BEACON) == first.public_key(Purpose.BEACON)
        assert cheat.ceremonies.state.session.complaints[1] == 0b001

    play(tmp_path, story)


# ----------------------------------------------------------------------- who is told what


def test_no_deal_is_given_before_the_dealing_is_over_and_none_to_strangers(tmp_path: Path) -> None:
    async def story(hall: Hall) -> None:
        early, *others = hall.desks
        stranger = hall.add("stranger")
        await hall.start(early, others[0], stranger)
        await hall.support(early, others[0])
        await hall.until(lambda: 0 in hall.record.deals)
        part = early.ceremonies._part
        assert part is not None
        question = encode(AskDeal(ceremony=part.ceremony.id, dealer=0))

        async def ask(desk: Desk) -> bytes:
            assert desk.edge is not None
            return await desk.edge.ask(
                early.node,
                COUNCIL_PROTOCOL,
                question,
                timeout_ms=1000,
                answer_bytes_max=ANSWER_BYTES_MAX,
            )

        assert await ask(others[0]) == b""
        await hall.start(others[1])
        await hall.until_phase(Phase.RESPOND, Phase.CONFIRM, Phase.CONFIRMED)
        await hall.until(lambda: part.deals.is_dealt)
        assert await ask(others[0]) == part.deals.bodies[0]
        with pytest.raises(Unreachable, match="no-governor"):
            await ask(stranger)

    play(tmp_path, story)


def spellings(secret: Secret) -> set[str]:
    """Return how a secret could show: hex of either case and decimal, or as a list of bytes."""
    raw = secret.reveal()
    number = int.from_bytes(raw, "big")
    shown = {raw.hex(), f"{number:x}", str(number), str(list(raw))[1:-1], repr(raw)[2:-1]}
    return {text.lower() for text in shown}


def scalars_of(dealer: Dealer) -> list[Secret]:
    return [threshold.secret_of_scalar(c) for row in _polynomials(dealer) for c in row]


def test_no_secret_is_ever_written_logged_or_shown(tmp_path: Path) -> None:
    told = io.StringIO()

    async def story(hall: Hall) -> None:
        structlog.configure(
            processors=[
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            logger_factory=structlog.PrintLoggerFactory(told),
        )
        cheat, *honest = hall.desks
        cheat.corrupt = {"tamper": without_shares_for(1, 2), "is_silent_when_accused": True}
        hall.wire.loss_ppm = 100_000
        await ceremony(hall)
        await hall.until_seated(honest)
        await hall.support(*honest[:3])
        for desk in honest:
            desk.port.fault = lambda call: "down" if call == "confirm" else ""
        await hall.until(lambda: hall.record.number == 2)
        secrets = [Secret(d.secret) for d in hall.desks]
        while hall.phase is not Phase.FAILED:
            for desk in hall.desks:
                told.write(repr(desk) + repr(desk.ceremonies) + repr(list(desk.seats)))
                report = council_report(desk.ceremonies.state, desk.seats, desk.node, hall.now_ms)
                told.write(json.dumps(report))
            await trio.sleep(5)
        for desk in hall.desks:
            part = desk.ceremonies._part
            assert part is not None
            dealer = await desk.ceremonies._own_dealer(part)
            assert dealer is not None
            secrets += [dealer.seed, *scalars_of(dealer)]
            secrets += [s for seat in desk.seats if seat.share for s in seat.share.secrets]
            told.write("".join(f.decode("latin-1") for f in desk.files().values()))
        shown = told.getvalue().lower()
        assert "council session" in shown
        assert len(secrets) > 5 * 8
        for secret in secrets:
            assert not [text for text in spellings(secret) if text in shown]

    play(tmp_path, story, governors=5)
