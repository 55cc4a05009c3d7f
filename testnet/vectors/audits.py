"""Vectors of audits and evidence: challenge to receipt, batches and their judgement, sync, samples."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stkrp2p.core import reconcile, records
from stkrp2p.core.batch import (
    OUTCOMES_MAX,
    ROWS_MAX,
    Batch,
    Envelope,
    EpochView,
    check_batch,
    judge,
    median_ms,
    sign_batch,
)
from stkrp2p.core.challenge import (
    Question,
    Receipt,
    Status,
    challenge_of,
    is_receipt_signed,
    outcome_of,
    receipts_tree,
)
from stkrp2p.core.crypto import RECORD_TAG, node_id_of, sha256, sign
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.reconcile import answer_have, chunk_ids, have_of, holdings_of
from stkrp2p.core.sample import Sample, answered, check_receipt, sample_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, NodeId, Outcome, Round
from stkrp2p.core.wire import FRAME_BYTES_MAX, Message, encode
from testnet.vectors.form import Json, fields, plain, reason_of
from testnet.vectors.membership import roster
from testnet.vectors.world import EPOCHS, WORLD, Observed, secret_for, secret_of

FIRST = Epoch(0)


# ------------------------------------------------------------------------------- world


def world() -> dict[str, Json]:
    """Return `world.json`: what `batch`, `sync`, `sample`, `anchor` and `epoch` share."""
    genesis = WORLD.genesis
    last = genesis.clock.seal(Epoch(EPOCHS - 1))
    return {
        "network_file": "network.json, first case",
        "network": genesis.network_id.hex(),
        "secrets": [secret_of(name).hex() for name in WORLD.names],
        "registry": roster()["world"],
        "rounds": [
            {"round": r, "signature": WORLD.round(Round(r)).signature.hex()}
            for r in range(genesis.first_round, last + 1)
        ],
        "epochs": [_epoch(WORLD.view(Epoch(e))) for e in range(EPOCHS)],
    }


def _epoch(view: EpochView) -> Json:
    return {
        "epoch": view.epoch,
        "seed": view.seed.hex(),
        "roster_root": view.roster.root.hex(),
        "auditors": {
            m.node.hex(): plain(view.assignment.auditors(m.node)) for m in view.roster.full
        },
        "drawn": {m.node.hex(): list(view.drawn[m.node]) for m in view.roster.full},
    }


def _pair() -> tuple[NodeId, NodeId, Round]:
    """Return an auditor, one of its targets, and a round it is drawn in."""
    view = WORLD.view(FIRST)
    target = view.roster.full[0].node
    return view.assignment.auditors(target)[0], target, view.drawn[target][0]


# ------------------------------------------------------------------------------- audit


def audit() -> dict[str, Json]:
    """Return `audit.json`: challenges, questions, answers, receipts, outcomes."""
    auditor, target, number = _pair()
    one = WORLD.round(number)
    question = Question(
        version=1,
        network=WORLD.genesis.network_id,
        round=number,
        round_signature=one.signature,
    )
    receipts = WORLD.receipts(FIRST, auditor, {})
    tree = receipts_tree(receipts)
    return {
        "auditor": auditor.hex(),
        "target": target.hex(),
        "target_secret": secret_for(target).hex(),
        "randomness": one.randomness.hex(),
        "challenge": challenge_of(one.randomness, auditor, target).hex(),
        "question": {"fields": fields(question), "frame": encode(question).hex()},
        "answers": [_answered(*case) for case in _ANSWERS],
        "forged": [
            _forged(*case)
            for case in _forgeries(WORLD.receipt(auditor, target, number, Status.SERVED))
        ],
        "tree": {
            "receipts": [encode(r).hex() for r in receipts],
            "root": tree.root.hex(),
            "first_proof": plain(tree.proof(receipts[0].leaf())),
        },
        "outcomes": [_outcome(*case) for case in _OUTCOMES],
        "medians": [{"latencies_ms": plain(m), "median_ms": median_ms(m)} for m in _MEDIANS],
    }


_ANSWERS = (
    (Status.SERVED, b"up"),
    (Status.SERVED, b""),
    (Status.SERVED, bytes(range(256)) * 2),
    (Status.DECLARED, b""),
    (Status.FAILED, b"no route to the node"),
)

_OUTCOMES = (
    (Status.SERVED, "", 0),
    (Status.SERVED, "", 400),
    (Status.SERVED, "", 401),
    (Status.SERVED, "", 800),
    (Status.SERVED, "stale", 10),
    (Status.FAILED, "", 10),
    (Status.DECLARED, "", 10),
    (Status.DECLARED, "", 799),
)

_MEDIANS: tuple[list[int], ...] = ([], [7], [9, 1], [3, 1, 2], [40, 10, 30, 20], [5, 5, 5, 1, 900])


def _answered(status: Status, report: bytes) -> Json:
    auditor, target, number = _pair()
    answer, receipt = WORLD.exchange(auditor, target, number, status, report)
    return {
        "status": int(status),
        "report": report.hex(),
        "answer": encode(answer).hex(),
        "receipt": encode(receipt).hex(),
        "leaf_hash": receipts_tree([receipt]).root.hex(),
    }


def _forgeries(good: Receipt) -> list[tuple[str, Receipt]]:
    """Return receipts the target did not sign; all but the first fail."""
    change = msgspec.structs.replace
    return [
        ("the good one", good),
        ("another round", change(good, round=good.round + 1)),
        ("another challenge", change(good, challenge=bytes(32))),
        ("another status", change(good, status=1)),
        ("another report", change(good, report_hash=bytes(32))),
        ("another target", change(good, target=good.auditor)),
    ]


def _forged(name: str, receipt: Receipt) -> Json:
    return {
        "name": name,
        "receipt": encode(receipt).hex(),
        "is_signed": is_receipt_signed(WORLD.genesis.network_id, receipt),
    }


def _outcome(status: Status, fault: str, latency_ms: int) -> Json:
    window = WORLD.genesis.params.probe_window_ms
    return {
        "status": int(status),
        "fault": fault,
        "latency_ms": latency_ms,
        "probe_window_ms": window,
        "outcome": int(outcome_of(status, fault, latency_ms, window)),
    }


# ------------------------------------------------------------------------------- batch


def batch() -> dict[str, Json]:
    """Return `batch.json`: a good batch of each member, and one case for each reason."""
    view = WORLD.view(FIRST)
    signers = [m.node for m in view.roster.members if view.assignment.targets(m.node)]
    return {
        "good": [_good(WORLD.batch(FIRST, node)) for node in signers],
        "body": fields(WORLD.body(FIRST, signers[0])),
        "judged": [_judged(*case) for case in _judgements()],
        "checked": [_checked(Epoch(made), Epoch(against)) for made, against in _PAIRS],
    }


_PAIRS = ((0, 0), (0, 1), (1, 1), (2, 1))


def _checked(made: Epoch, against: Epoch) -> Json:
    """Return what sync's check says of a batch of one epoch against the view of another."""
    one = WORLD.batch(made, WORLD.view(made).roster.full[0].node)
    return {
        "frame": one.frame.hex(),
        "epoch": against,
        "reason": reason_of(lambda: check_batch(one, WORLD.view(against))),
    }


def _good(made: Batch) -> Json:
    return {
        "auditor": made.auditor.hex(),
        "id": made.id.hex(),
        "signature": made.signature.hex(),
        "frame": made.frame.hex(),
    }


class _Change:
    """Batches like one of the world's, each wrong in one way, and signed all the same."""

    def __init__(self) -> None:
        auditor, self.target, _ = _pair()
        self.secret = secret_for(auditor)
        self.good = WORLD.body(FIRST, auditor)
        self.at = next(i for i, r in enumerate(self.good.rows) if r.target == self.target)

    def body(self, **changes: object) -> bytes:
        """Return the frame of a batch with other fields."""
        return sign_batch(self.secret, msgspec.structs.replace(self.good, **changes)).frame

    def row(self, **changes: object) -> bytes:
        """Return the frame of a batch with another row."""
        rows = list(self.good.rows)
        rows[self.at] = msgspec.structs.replace(rows[self.at], **changes)
        return self.body(rows=tuple(rows))

    def outcomes(self, *values: int) -> bytes:
        """Return the frame of a batch whose changed row begins with these outcomes."""
        seen = self.good.rows[self.at].outcomes
        return self.row(outcomes=bytes(values) + seen[len(values) :])


Case = tuple[str, bytes, dict[str, int | str]]
"""What is so, the frame, and how the judge differs: `last_due`, `epochs`, `known`."""


def _judgements() -> list[Case]:
    change = _Change()
    return [*_form_cases(change), *_time_cases(change), *_epoch_cases(change), *_row_cases(change)]


def _form_cases(change: _Change) -> list[Case]:
    good = sign_batch(change.secret, change.good)
    raw, tail = encode(change.good), good.frame[-66:]
    long_body = raw[:1] + b"\xcc" + raw[1:]
    return [
        ("a good batch is accepted", good.frame, {}),
        ("more than a frame holds", bytes(FRAME_BYTES_MAX + 1), {}),
        ("not MessagePack", b"\xc1", {}),
        ("an envelope of three", b"\x93" + good.frame[1:] + b"\x00", {}),
        ("a body of seven fields", _envelope(b"\x97" + raw[1:-34], tail), {}),
        ("a body that is no array", _envelope(b"\x01", tail), {}),
        ("a body written in a longer way", _envelope(long_body, tail), {}),
        ("an envelope written in a longer way", b"\xdc\x00\x02" + good.frame[1:], {}),
        (
            "a row more than a batch holds",
            change.body(rows=change.good.rows[:1] * (ROWS_MAX + 1)),
            {},
        ),
        ("an outcome more than a row holds", change.row(outcomes=bytes(OUTCOMES_MAX + 1)), {}),
    ]


def _envelope(body: bytes, signature: bytes) -> bytes:
    return encode(Envelope(body=body, signature=signature[2:]))


def _time_cases(change: _Change) -> list[Case]:
    clock = WORLD.genesis.clock
    frame = change.body()
    return [
        ("two rounds before the last", frame, {"last_due": clock.last(FIRST) - 2}),
        ("one round before the last: a clock behind", frame, {"last_due": clock.last(FIRST) - 1}),
        ("at the seal", frame, {"last_due": clock.seal(FIRST)}),
        ("after the seal", frame, {"last_due": clock.seal(FIRST) + 1}),
        ("of the largest epoch", change.body(epoch=2**63 - 1), {}),
        ("held already", frame, {"known": sha256(encode(change.good)).hex()}),
        ("held already, and late", frame, _held_and_late(change)),
        ("of an epoch whose rounds are not all known", frame, {"epochs": "none"}),
    ]


def _held_and_late(change: _Change) -> dict[str, int | str]:
    late = WORLD.genesis.clock.seal(FIRST) + 1
    return {"last_due": late, "known": sha256(encode(change.good)).hex()}


def _epoch_cases(change: _Change) -> list[Case]:
    stranger = node_id_of(secret_of("stranger"))
    other = bytes(32)
    return [
        ("another version", change.body(version=2), {}),
        ("another version of another network", change.body(version=2, network=other), {}),
        ("another network", change.body(network=other), {}),
        ("another network, and early", change.body(network=other, epoch=9), {}),
        ("another seed", change.body(seed=other), {}),
        ("another seed, and no member", change.body(seed=other, auditor=stranger), {}),
        ("no member", change.body(auditor=stranger), {}),
        ("another registration of the member", change.body(nonce=change.good.nonce + 1), {}),
        ("another member's targets", change.body(auditor=_other_member(change)), {}),
        ("signed by another key", _signed_by("stranger", change), {}),
        ("signed with another tag", _tagged(change), {}),
    ]


def _other_member(change: _Change) -> NodeId:
    """Return a member whose targets differ from the changed batch's, with the same nonce."""
    view = WORLD.view(FIRST)
    ours = view.assignment.targets(NodeId(change.good.auditor))
    return next(
        m.node
        for m in view.roster.members
        if m.nonce == change.good.nonce and view.assignment.targets(m.node) != ours
    )


def _signed_by(name: str, change: _Change) -> bytes:
    return sign_batch(secret_of(name), change.good).frame


def _tagged(change: _Change) -> bytes:
    raw = encode(change.good)
    return encode(Envelope(body=raw, signature=sign(change.secret, RECORD_TAG, sha256(raw))))


def _row_cases(change: _Change) -> list[Case]:
    rows = change.good.rows
    seen = rows[change.at].outcomes
    declared = WORLD.genesis.params.declared_rounds_max
    window = WORLD.genesis.params.probe_window_ms
    blank = bytes(len(seen))
    return [
        ("no rows", change.body(rows=()), {}),
        ("a row missing", change.body(rows=rows[1:]), {}),
        ("a row twice", change.body(rows=(*rows, rows[-1])), {}),
        ("rows in another order", change.body(rows=rows[::-1]), {}),
        ("another target", change.row(target=bytes(32)), {}),
        ("an outcome missing", change.row(outcomes=seen[1:]), {}),
        ("an outcome too many", change.row(outcomes=seen + b"\x01"), {}),
        ("outcome 6", change.outcomes(6), {}),
        ("outcome 255", change.outcomes(255), {}),
        ("every known outcome", change.outcomes(0, 1, 2), {}),
        ("nothing probed", change.row(outcomes=blank, median_ms=0), {}),
        ("as much declared as allowed", change.outcomes(*[5] * min(declared, len(seen))), {}),
        ("one more declared than allowed", _too_many_declared(), {}),
        ("the longest median", change.row(median_ms=window), {}),
        ("a median beyond the window", change.row(median_ms=window + 1), {}),
        ("the largest median", change.row(median_ms=2**63 - 1), {}),
    ]


def _too_many_declared() -> bytes:
    """Return a batch whose most drawn target declares one round more than allowed."""
    view = WORLD.view(FIRST)
    target = max((m.node for m in view.roster.full), key=lambda n: len(view.drawn[n]))
    auditor = view.assignment.auditors(target)[0]
    rounds = view.drawn[target][: view.params.declared_rounds_max + 1]
    seen: Observed = {(auditor, target, r): Outcome.DECLARED for r in rounds}
    return WORLD.batch(FIRST, auditor, seen).frame


def _judged(name: str, frame: bytes, how: dict[str, int | str]) -> Json:
    clock = WORLD.genesis.clock
    last_due = Round(int(how.get("last_due", clock.last(FIRST) + 1)))
    known = [str(how["known"])] if "known" in how else []
    is_ready = how.get("epochs") != "none"
    judged = judge(
        frame,
        network=WORLD.genesis.network_id,
        clock=clock,
        last_due=last_due,
        view_of={FIRST: WORLD.view(FIRST)} if is_ready else {},
        known={Digest(bytes.fromhex(i)) for i in known},
    )
    is_zeros = not any(frame)
    return {
        "name": name,
        "frame": {"byte": "00", "times": len(frame)} if is_zeros else frame.hex(),
        "last_due": last_due,
        "known": plain(known),
        "is_view_known": is_ready,
        "judgement": str(judged.judgement),
        "reason": judged.reason,
    }


# ------------------------------------------------------------------------------- evidence


def evidence() -> dict[str, Json]:
    """Return `evidence.json`: states, their joins and digests."""
    batches = _some_batches()
    states = {
        "nothing": (),
        "a": ("a1",),
        "b": ("b1",),
        "a equivocates": ("a1", "a2"),
        "a's third": ("a3",),
        "a's first and third": ("a1", "a3"),
        "everything": ("a1", "a2", "a3", "b1", "c1"),
    }
    pairs = [(x, y) for x in states for y in states if x <= y]
    return {
        "batches": [
            {"label": label, "id": b.id.hex(), "auditor": b.auditor.hex(), "frame": b.frame.hex()}
            for label, b in batches.items()
        ],
        "states": [
            {"name": name, "given": list(labels), **_state(_evidence(batches, labels))}
            for name, labels in states.items()
        ],
        "joins": [_join(batches, states, x, y) for x, y in pairs],
    }


def _some_batches() -> dict[str, Batch]:
    """Return batches of three auditors; one of them signed three, named in the order of ids."""
    view = WORLD.view(FIRST)
    first, second, third = [m.node for m in view.roster.members if view.duty(m.node)[0]][:3]
    bodies = [
        msgspec.structs.replace(WORLD.body(FIRST, first), receipts_root=bytes([i]) * 32)
        for i in range(3)
    ]
    trio = sorted(sign_batch(secret_for(first), body) for body in bodies)
    named = {f"a{i}": b for i, b in enumerate(trio, 1)}
    return {**named, "b1": WORLD.batch(FIRST, second), "c1": WORLD.batch(FIRST, third)}


def _evidence(batches: dict[str, Batch], labels: Sequence[str]) -> Evidence:
    return Evidence([batches[label] for label in labels])


def _state(state: Evidence) -> dict[str, Json]:
    return {
        "holds": [b.id.hex() for b in state],
        "equivocators": sorted(a.hex() for a in state.equivocators()),
        "digest": state.digest().hex(),
    }


def _join(batches: dict[str, Batch], states: dict[str, tuple[str, ...]], x: str, y: str) -> Json:
    joined = _evidence(batches, states[x]).join(_evidence(batches, states[y]))
    return {"left": x, "right": y, **_state(joined)}


# ------------------------------------------------------------------------------- sync


def sync() -> dict[str, Json]:
    """Return `sync.json`: every message, bitmaps, holdings, and what answers what."""
    batches = _some_batches()
    view = WORLD.view(FIRST)
    states = [("a1", "b1"), ("b1", "c1"), ("a1", "a2", "c1"), ("a1", "a3"), ()]
    return {
        "messages": [_question(m) for m in _sync_messages(batches)],
        "bitmaps": [
            {"flags": plain(flags), "bitmap": reconcile.bitmap_of(flags).hex()}
            for flags in ([], [True], [False] * 8 + [True], [True, False, True] * 7)
        ],
        "bad_bitmaps": [
            {"bitmap": raw.hex(), "size": size, "reason": _bitmap_reason(raw, size)}
            for raw, size in ((b"\x02", 1), (b"", 1), (b"\x00\x00", 8), (b"\xff\xff", 15))
        ],
        "batches_file": "evidence.json",
        "holdings": [_holdings(batches, labels, view) for labels in states],
        "deltas": [_delta(batches, x, y, view) for x in states for y in states],
    }


def _bitmap_reason(raw: bytes, size: int) -> str:
    return reason_of(lambda: reconcile.flags_of(raw, size))


def _sync_messages(batches: dict[str, Batch]) -> list[Message]:
    net, epoch = WORLD.genesis.network_id, 3
    frames = (batches["a1"].frame, batches["b1"].frame)
    ids = (batches["a1"].id, batches["a2"].id)
    node = batches["a1"].auditor
    secret, addresses = secret_for(node), ["/ip4/192.0.2.9/tcp/4001", "/ip6/2001:db8::9/tcp/4001"]
    payload = encode([net, node, 1_700_000_000_000, addresses])
    record = records.AddressRecord(
        node=node,
        sequence=1_700_000_000_000,
        addresses=tuple(addresses),
        signature=sign(secret, RECORD_TAG, payload),
    )
    return [
        reconcile.Have(network=net, epoch=epoch, bitmap=b"\x05\x01", fingerprints=bytes(16)),
        reconcile.Delta(
            frames=frames, wanted=bytes([0, 0, 0, 1, 0, 0, 1, 5]), differing=(0,), is_more=False
        ),
        reconcile.Give(network=net, epoch=epoch, frames=frames),
        reconcile.Taken(count=2),
        reconcile.AskIds(network=net, epoch=epoch, chunk=0),
        reconcile.IdList(ids=ids),
        reconcile.Fetch(network=net, epoch=epoch, ids=ids),
        reconcile.FrameList(frames=frames[:1]),
        reconcile.AskRounds(network=net, first=1001, count=12),
        reconcile.RoundList(
            first=1001, signatures=tuple(WORLD.round(Round(r)).signature for r in (1001, 1002))
        ),
        reconcile.AskAnchor(network=net, epoch=epoch),
        reconcile.AskScores(network=net, epoch=epoch, first=4096),
        reconcile.score_list([Score(node=node, nonce=3, s=2**40, n=2**40)], 0),
        reconcile.AskReceipt(network=net, epoch=epoch, target=node, round=1004),
        reconcile.AskRecords(network=net),
        record,
        reconcile.record_list([record]),
        reconcile.AskProof(network=net, epoch=epoch, node=node),
        reconcile.AskMixed(network=net, first=1001, count=12),
    ]


def _question(message: Message) -> Json:
    shape = type(message).__name__
    return {"shape": shape, "fields": fields(message), "frame": encode(message).hex()}


def _holdings(batches: dict[str, Batch], labels: Sequence[str], view: EpochView) -> Json:
    state = _evidence(batches, labels)
    held = holdings_of(state, view.roster)
    return {
        "given": list(labels),
        "bitmap": held.bitmap.hex(),
        "fingerprints": held.fingerprints.hex(),
        "chunk_0_ids": plain(chunk_ids(state, view.roster, 0)),
        "have": encode(have_of(view.network, view.epoch, held)).hex(),
    }


def _delta(
    batches: dict[str, Batch], asking: Sequence[str], answering: Sequence[str], view: EpochView
) -> Json:
    have = have_of(view.network, view.epoch, holdings_of(_evidence(batches, asking), view.roster))
    delta = answer_have(_evidence(batches, answering), view.roster, have)
    return {
        "asking": list(asking),
        "answering": list(answering),
        "delta": encode(delta).hex(),
        "wanted": delta.wanted.hex(),
        "differing": list(delta.differing),
    }


# ------------------------------------------------------------------------------- sample


def sample() -> dict[str, Json]:
    """Return `sample.json`: which receipt is asked for, and answers right and wrong."""
    view = WORLD.view(FIRST)
    sealing = WORLD.round(WORLD.genesis.clock.seal(FIRST))
    auditor, target, number = _pair()
    silent: Observed = {
        (auditor, t, r): Outcome.UNREACHABLE
        for t in view.assignment.targets(auditor)
        for r in view.drawn[t]
    }
    mixed: Observed = {**silent, (auditor, target, number): Outcome.DECLARED}
    cases = [("everything answered", {}), ("nobody answered", silent), ("one declared", mixed)]
    return {
        "randomness": sealing.randomness.hex(),
        "cases": [_sampled(name, auditor, seen, sealing.randomness) for name, seen in cases],
        "shown": _shown(auditor, sealing.randomness),
    }


def _sampled(name: str, auditor: NodeId, seen: Observed, randomness: Digest) -> Json:
    view = WORLD.view(FIRST)
    made = WORLD.batch(FIRST, auditor, seen)
    picked = sample_of(made, view, randomness)
    return {
        "name": name,
        "frame": made.frame.hex(),
        "answered": [[s.target.hex(), s.round] for s in answered(made, view)],
        "sample": [picked.target.hex(), picked.round, int(picked.outcome)] if picked else None,
    }


def _shown(auditor: NodeId, randomness: Digest) -> Json:
    made = WORLD.batch(FIRST, auditor)
    picked = sample_of(made, WORLD.view(FIRST), randomness)
    if picked is None:
        raise AssertionError("everything was answered")
    receipts = WORLD.receipts(FIRST, auditor, {})
    right = next(r for r in receipts if (r.target, r.round) == (picked.target, picked.round))
    other = next(r for r in receipts if r is not right)
    tree, change = receipts_tree(receipts), msgspec.structs.replace
    fake = change(right, signature=bytes(64))
    over_fake = msgspec.structs.replace(made.body, receipts_root=receipts_tree([fake]).root)
    forged = sign_batch(secret_for(auditor), over_fake)
    cases = [
        ("the right one", made, right, tree.proof(right.leaf())),
        ("another observation's", made, other, tree.proof(other.leaf())),
        ("another auditor's", made, change(right, auditor=picked.target), ()),
        ("another challenge", made, change(right, challenge=bytes(32)), ()),
        ("another status", made, change(right, status=1), ()),
        ("without its proof", made, right, ()),
        ("another report than in the batch", made, change(right, report_hash=bytes(32)), ()),
        ("never signed, in a batch made for it", forged, fake, ()),
    ]
    return [_show(*case, picked) for case in cases]


def _show(
    name: str, made: Batch, receipt: Receipt, proof: tuple[Digest, ...], picked: Sample
) -> Json:
    probed = WORLD.round(picked.round).randomness
    return {
        "name": name,
        "batch": made.frame.hex(),
        "sample": [picked.target.hex(), picked.round, int(picked.outcome)],
        "receipt": encode(receipt).hex(),
        "proof": plain(proof),
        "reason": reason_of(
            lambda: check_receipt(receipt, proof, batch=made, sample=picked, randomness=probed)
        ),
    }
