"""Each vector, read from its file and checked through the core's public functions."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import msgpack
import msgspec
import pytest

from stkrp2p.core import (
    anchor,
    bls,
    challenge,
    deal,
    dkg,
    draw,
    economics,
    fraud,
    group,
    merkle,
    pools,
    reconcile,
    score,
    threshold,
    verdict,
    wire,
)
from stkrp2p.core.assignment import Assignment, Shuffle, draw_of, seed_of
from stkrp2p.core.batch import (
    JUDGEMENTS,
    EpochView,
    check_batch,
    drawn_rounds,
    judge,
    median_ms,
    read_batch,
    sign_batch,
)
from stkrp2p.core.beacon import Beacon, BeaconRound, EpochClock, judge_news, verified
from stkrp2p.core.crypto import Secret, is_signed_by, node_id_of, sha256, sign
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL, PRESETS, Params
from stkrp2p.core.placement import placement_of
from stkrp2p.core.roster import Member, Registration, Roster, is_claimed, read_profile, roster_of
from stkrp2p.core.sample import Sample, answered, check_receipt, sample_of
from stkrp2p.core.types import Kind, NodeId, Outcome, ProtocolError, Round
from testnet.vectors.files import FILES, FOLDER, text_of

ROOT = Path(__file__).resolve().parents[2]


@cache
def load(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def cases(name: str, group: str) -> list:
    """Return a group's cases as pytest parameters, named by their own names."""
    return [
        pytest.param(case, id=str(case.get("name", f"{name} {i}")))
        for i, case in enumerate(load(name)[group])
    ]


def raw(text: str | dict) -> bytes:
    return (
        bytes.fromhex(text)
        if isinstance(text, str)
        else bytes.fromhex(text["byte"]) * text["times"]
    )


def reason(check, *args, **kwargs) -> str:
    try:
        check(*args, **kwargs)
    except ProtocolError as error:
        return error.reason
    return ""


def hexed(value: object) -> object:
    """Return a message's values as the files write them."""
    match value:
        case bytes():
            return value.hex()
        case msgspec.Struct():
            return {n: hexed(getattr(value, n)) for n in value.__struct_fields__}
        case tuple() | list():
            return [hexed(v) for v in value]
    return value


SHAPES = {
    kind.__name__: kind
    for module in (anchor, challenge, reconcile, score)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, wire.Message)
}
SHAPES["Profile"] = type(read_profile(SimpleNamespace(profile=b"")))


# ------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("name", FILES)
def test_a_vector_file_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text("utf-8") == text_of(name)


def test_every_json_beside_the_vectors_is_one_of_them() -> None:
    assert {p.stem for p in FOLDER.glob("*.json")} == set(FILES)


def test_another_process_with_another_hash_seed_makes_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testnet.vectors", "--check"],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        f"{len(FILES)} of {len(FILES)} files as they should be",
    )


# ------------------------------------------------------------------------------- basics


def beacon_of(facts: dict) -> Beacon:
    return Beacon(**{**facts, "public_key": raw(facts["public_key"])})


def genesis_of(facts: dict) -> Genesis:
    return Genesis(
        name=facts["name"],
        params=Params(**facts["params"]),
        beacon=beacon_of(facts["beacon"]),
        mixed=beacon_of(facts["mixed"]) if facts["mixed"] else None,
        first_round=facts["first_round"],
        chain_id=facts["chain_id"],
        registry=raw(facts["registry"]),
        anchor=raw(facts["anchor"]),
        council=raw(facts["council"]),
        council_key=raw(facts["council_key"]),
    )


@pytest.mark.parametrize("case", cases("network", "cases"))
def test_a_networks_id_and_topics_follow_from_its_genesis(case: dict) -> None:
    network = genesis_of(case["genesis"]).network_id.hex()
    assert network == case["network_id"]
    assert case["batch_topic"] == f"/stkr/{network[:16]}/batch/1"
    assert case["anchor_topic"] == f"/stkr/{network[:16]}/anchor/1"


@pytest.mark.parametrize("case", cases("network", "peer_ids"))
def test_a_peer_id_is_the_identity_multihash_of_the_node_id(case: dict) -> None:
    assert case["peer_id"] == "00240801" + "1220" + case["node"]


@pytest.mark.parametrize("case", cases("wire", "encodings"))
def test_an_encoding_is_the_shortest_and_another_library_reads_and_writes_it(case: dict) -> None:
    (kind, value), (_, text) = case.items()
    made = {
        "uint": lambda: value,
        "bool": lambda: value,
        "bytes_length": lambda: b"\xab" * value,
        "text_length": lambda: "x" * value,
        "list_length": lambda: [1] * value,
    }[kind]()
    encoded = wire.encode(made)
    assert encoded.hex().startswith(text)
    assert encoded == msgpack.packb(made)
    assert msgpack.unpackb(encoded) == made


@pytest.mark.parametrize("case", [*cases("wire", "messages"), *cases("sync", "messages")])
def test_a_message_reads_as_its_fields_and_writes_its_frame(case: dict) -> None:
    frame = raw(case["frame"])
    message = wire.decode(frame, SHAPES[case["shape"]])
    assert hexed(message) == case["fields"]
    assert wire.encode(message) == frame == msgpack.packb(msgpack.unpackb(frame))


@pytest.mark.parametrize("case", cases("wire", "refused"))
def test_a_broken_frame_is_refused(case: dict) -> None:
    if case["shape"] == "SyncQuestion":
        found = reason(reconcile.read_question, raw(case["frame"]))
    else:
        shape, cap = SHAPES[case["shape"]], case["bytes_max"]
        found = reason(wire.decode, raw(case["frame"]), shape, bytes_max=cap)
    assert found == case["reason"] != ""


@pytest.mark.parametrize("case", cases("crypto", "signed"))
def test_a_signature_is_deterministic(case: dict) -> None:
    secret, tag, payload = raw(case["secret"]), case["tag"].encode(), raw(case["payload"])
    assert node_id_of(secret).hex() == case["node"]
    assert sign(secret, tag, payload).hex() == case["signature"]


@pytest.mark.parametrize("case", cases("crypto", "checked"))
def test_an_odd_signature_is_judged_as_the_text_says(case: dict) -> None:
    node, signature = raw(case["node"]), raw(case["signature"])
    found = is_signed_by(node, case["tag"].encode(), raw(case["payload"]), signature)
    assert found is case["is_valid"]


def test_trees_have_their_roots_and_proofs() -> None:
    for case in [*load("merkle")["cases"], load("merkle")["byte_leaves"]]:
        leaves = [raw(leaf) for leaf in case["leaves"]]
        for order in (leaves, leaves[::-1], leaves[1:] + leaves[:1]):
            assert merkle.Tree(order).root.hex() == case["root"]
        for leaf, proof in zip(leaves, case["proofs"], strict=True):
            assert merkle.is_proved(raw(case["root"]), leaf, [raw(p) for p in proof])
            assert [p.hex() for p in merkle.Tree(leaves).proof(leaf)] == proof


@pytest.mark.parametrize("case", cases("merkle", "not_proved"))
def test_a_false_proof_proves_nothing(case: dict) -> None:
    assert not merkle.is_proved(
        raw(case["root"]), raw(case["leaf"]), [raw(p) for p in case["proof"]]
    )


def test_keccak_is_not_sha3() -> None:
    for case in load("merkle")["keccak"]:
        assert merkle.keccak256(raw(case["data"])).hex() == case["hash"]


@pytest.mark.parametrize("name", ["quicknet", "solo"])
def test_real_rounds_of_a_beacon_verify(name: str) -> None:
    chain = load("beacon")[name]
    beacon = Beacon(
        public_key=raw(chain["public_key"]),
        genesis_ms=chain["genesis_ms"],
        period_ms=chain["period_ms"],
    )
    for case in chain["rounds"]:
        one = verified(beacon, case["round"], raw(case["signature"]))
        assert one.randomness.hex() == case["randomness"]
        assert beacon.due_ms(one.number) == case["due_ms"]


@pytest.mark.parametrize("case", cases("beacon", "forged"))
def test_a_forged_round_is_refused(case: dict) -> None:
    beacon = Beacon(public_key=raw(case["public_key"]), genesis_ms=0, period_ms=1)
    found = reason(verified, beacon, case["round"], raw(case["signature"]))
    assert found == case["reason"] == "bad-round"


def test_rounds_fall_due_and_make_epochs() -> None:
    vectors = load("beacon")
    chain = vectors["quicknet"]
    beacon = Beacon(public_key=bytes(96), genesis_ms=chain["genesis_ms"], period_ms=3_000)
    for case in vectors["times"]:
        assert beacon.last_due(case["now_ms"]) == case["last_due"]
    clock = EpochClock(first_round=vectors["epochs"][0]["first_round"], params=MINIMAL)
    for case in vectors["epochs"]:
        at = case["epoch"]
        assert [clock.first(at), clock.last(at), clock.seal(at)] == [
            case["first"],
            case["last"],
            case["seal"],
        ]
    for case in vectors["epoch_of"]:
        assert clock.epoch_of(case["round"]) == case["epoch"]
    mixing = genesis_of(load("network")["cases"][-1]["genesis"])
    for case in vectors["mixed_rounds"]:
        assert mixing.mixed_round(case["epoch"]) == case["round"]


@pytest.mark.parametrize("case", cases("beacon", "news"))
def test_a_gossiped_round_gets_its_judgement(case: dict) -> None:
    genesis = genesis_of(load("network")["cases"][0]["genesis"])
    rounds = [BeaconRound(r["round"], raw(r["signature"])) for r in load("world")["rounds"]]
    held = {r.number: r for r in rounds if r.number in case["held"]}
    assert len(held) == len(case["held"])
    found = judge_news(
        raw(case["frame"]),
        network=genesis.network_id,
        known={False: (genesis.beacon, held)},
        now_ms=case["now_ms"],
    )
    assert (found.judgement, found.reason) == (case["judgement"], case["reason"])


# ------------------------------------------------------------------------------- the council's keys


@cache
def group_named(name: str) -> group.Group:
    case = next(g for g in load("group")["groups"] if g["name"] == name)
    return wire.decode(raw(case["frame"]), group.Group)


def test_lagranges_weights_give_the_value_at_zero() -> None:
    for case in load("group")["weights"]:
        found = threshold.weights_at_zero(case["x"])
        assert [f"{w:064x}" for w in found] == case["weights"]


@pytest.mark.parametrize("case", cases("group", "groups"))
def test_a_groups_hash_keys_and_shares_follow_from_its_commitments(case: dict) -> None:
    made = group_named(case["name"])
    assert hexed(made) == case["fields"]
    assert (made.hash().hex(), made.threshold) == (case["hash"], case["threshold"])
    for purpose in group.Purpose:
        public, secrets = case["public_shares"][purpose], case["secrets"][purpose]
        assert [made.public_share(purpose, i).hex() for i in range(len(public))] == public
        assert [bls.public_key_of(int(s, 16)).hex() for s in secrets] == public
        assert made.public_key(purpose).hex() == case["fields"]["commitments"][purpose][0]


def test_a_partial_is_the_shares_signature() -> None:
    secrets = {g["name"]: g["secrets"] for g in load("group")["groups"]}
    for case in load("group")["partials"]:
        purpose = group.Purpose(case["purpose"])
        held = tuple(Secret(raw(row[case["index"]])) for row in secrets[case["group"]])
        share = group.GovernorShare(group_named(case["group"]), case["index"], held)
        partial = group.partial_sign(share, purpose, raw(case["message"]))
        assert partial.hex() == case["partial"]
        assert group.is_partial(share.group, purpose, share.index, raw(case["message"]), partial)


@pytest.mark.parametrize("case", cases("group", "forged"))
def test_only_a_governors_own_signature_is_its_partial(case: dict) -> None:
    purpose, partial = group.Purpose(case["purpose"]), raw(case["partial"])
    args = group_named(case["group"]), purpose, case["index"], raw(case["message"]), partial
    assert group.is_partial(*args) is case["is_partial"]


@pytest.mark.parametrize("case", cases("group", "combined"))
def test_partials_combine_to_the_groups_signature_or_to_none(case: dict) -> None:
    made, purpose, message = group_named(case["group"]), case["purpose"], raw(case["message"])
    partials = {int(i): raw(p) for i, p in case["partials"].items()}
    found = group.combine(made, group.Purpose(purpose), partials, message)
    assert (found.hex() if found else None) == case["signature"]
    if found:
        domain = group.DOMAINS[group.Purpose(purpose)]
        assert bls.is_signed_by(made.commitments[purpose][0], message, found, domain)


@pytest.mark.parametrize("case", cases("group", "refused"))
def test_what_is_no_group_is_refused(case: dict) -> None:
    assert reason(wire.decode, raw(case["frame"]), group.Group) == case["reason"] != ""


@cache
def ceremony_named(name: str) -> deal.Ceremony:
    case = next(c for c in load("dkg")["ceremonies"] if c["name"] == name)
    return deal.Ceremony(
        chain_id=case["chain_id"],
        contract=raw(case["contract"]),
        session=case["session"],
        dealers=tuple(NodeId(raw(n)) for n in case["dealers"]),
        receivers=tuple(NodeId(raw(n)) for n in case["receivers"]),
        old=wire.decode(raw(case["old"]), group.Group) if case["old"] else None,
    )


def receivers_of(ceremony: deal.Ceremony) -> list[deal.Receiver]:
    secrets = {g["node"]: raw(g["secret"]) for g in load("dkg")["governors"]}
    held = [Secret(secrets[node.hex()]) for node in ceremony.receivers]
    return [deal.Receiver(ceremony=ceremony, secret=secret) for secret in held]


@pytest.mark.parametrize("case", cases("dkg", "ceremonies"))
def test_a_ceremonys_id_follows_from_board_session_lists_and_group(case: dict) -> None:
    found = ceremony_named(case["name"])
    assert found.id.hex() == case["id"]
    assert (found.threshold, found.quorum) == (case["threshold"], case["quorum"])


@pytest.mark.parametrize("case", cases("dkg", "deals"))
def test_a_deal_follows_from_its_seed_and_opens_for_each_receiver(case: dict) -> None:
    ceremony, index = ceremony_named(case["ceremony"]), case["dealer"]
    body = raw(load("dkg")["bodies"][case["body"]])
    held = tuple(Secret(raw(s)) for s in case["old"] or ())
    dealer = deal.Dealer(
        ceremony=ceremony,
        index=index,
        seed=Secret(raw(case["seed"])),
        old=group.GovernorShare(ceremony.old, index, held) if ceremony.old else None,
    )
    assert wire.encode(deal.deal_of(dealer)) == body
    assert deal.hash_of_deal(body).hex() == case["hash"]
    read = deal.check_deal(ceremony, index, raw(case["hash"]), body)
    for receiver, shares in zip(receivers_of(ceremony), case["shares"], strict=True):
        opened = deal.open_shares(receiver, read)
        assert b"".join(s.reveal() for s in opened) == raw(shares)
        assert deal.justification_of(dealer, receiver.index) == raw(shares)


@pytest.mark.parametrize("case", cases("dkg", "checked"))
def test_a_deal_is_checked_by_everybody_alike(case: dict) -> None:
    ceremony, body = ceremony_named(case["ceremony"]), raw(case["frame"])
    posted = deal.hash_of_deal(body)
    assert reason(deal.check_deal, ceremony, case["dealer"], posted, body) == case["reason"]


@pytest.mark.parametrize("case", cases("dkg", "shares"))
def test_shares_fit_the_commitments_or_are_wrong(case: dict) -> None:
    body = raw(load("dkg")["bodies"][f"{case['ceremony']} {case['dealer']}"])
    read = wire.decode(body, deal.Deal)
    found = reason(deal.read_shares, read, case["receiver"], Secret(raw(case["shares"])))
    assert found == case["reason"]


@pytest.mark.parametrize("case", cases("dkg", "sessions"))
def test_a_session_ends_in_one_group_or_one_reason(case: dict) -> None:
    ceremony = ceremony_named(case["ceremony"])
    bodies = {int(d): raw(load("dkg")["bodies"][b]) for d, b in case["bodies"].items()}
    posts = dkg.Posts(
        deals={d: deal.hash_of_deal(body) for d, body in bodies.items()},
        complaints={int(r): about for r, about in case["complaints"].items()},
        justifications={
            (j["dealer"], j["receiver"]): raw(j["shares"]) for j in case["justifications"]
        },
    )
    receivers = receivers_of(ceremony)
    own = [dkg.complaints_of(receiver, posts, bodies) for receiver in receivers]
    assert own == case["own_complaints"]
    if case["reason"]:
        with pytest.raises(dkg.DkgFailed, match=rf"^{case['reason']}$"):
            dkg.conclude(ceremony, posts, bodies)
        return
    found = dkg.conclude(ceremony, posts, bodies)
    held = [dkg.own_share(receiver, posts, found) for receiver in receivers]
    assert list(found.deals) == case["deals"]
    assert wire.encode(found.group).hex() == case["group"]
    assert [s and b"".join(x.reveal() for x in s.secrets).hex() for s in held] == case["shares"]


# ------------------------------------------------------------------------------- membership


def entry_of(facts: dict) -> Registration:
    return Registration(
        index=facts["index"],
        node=raw(facts["node"]),
        operator=raw(facts["operator"]),
        nonce=facts["nonce"],
        kind=Kind(facts["kind"]),
        stakes=tuple((e, int(s)) for e, s in facts["stakes"]),
        claim=raw(facts["claim"]),
        profile=raw(facts["profile"]),
        exit_epoch=facts["exit_epoch"],
    )


def registry_of(name: str) -> list[Registration]:
    return [entry_of(e) for e in load("roster")[name]]


@pytest.mark.parametrize("case", cases("roster", "rosters"))
def test_a_roster_follows_from_the_registry_in_any_order(case: dict) -> None:
    registry = registry_of(case["registry"])
    for entries in (registry, registry[::-1]):
        found = roster_of(raw(load("roster")["network"]), case["epoch"], entries)
        assert found.root.hex() == case["root"]
        assert [
            {**{k: hexed(getattr(m, k)) for k in ("node", "nonce", "operator")},
             "kind": int(m.kind), "stake": str(m.stake)}
            for m in found.members
        ] == case["members"]  # fmt: skip


def test_claims_are_true_or_false() -> None:
    registry = registry_of("registry")
    for case in load("roster")["claims"]:
        assert (
            is_claimed(raw(load("roster")["network"]), registry[case["index"]]) is case["is_true"]
        )


@pytest.mark.parametrize("case", cases("roster", "profiles"))
def test_a_profile_reads_as_written_or_as_none(case: dict) -> None:
    entry = entry_of({**load("roster")["world"][0], "profile": case["profile"]})
    assert hexed(read_profile(entry)) == case["read"]


def test_the_shuffle_goes_there_and_back() -> None:
    for case in load("shuffle")["whole"]:
        walk = Shuffle(raw(case["seed"]), case["size"])
        assert [walk.forward(i) for i in range(case["size"])] == case["forward"]
        assert [walk.inverse(j) for j in case["forward"]] == list(range(case["size"]))
    large = load("shuffle")["large"]
    walk = Shuffle(raw(large["seed"]), large["size"])
    for case in large["cases"]:
        assert walk.forward(case["index"]) == case["forward"]
        assert walk.inverse(case["index"]) == case["inverse"]


@pytest.mark.parametrize("case", cases("assignment", "seeds"))
def test_a_seed_follows_from_network_epoch_round_and_roster(case: dict) -> None:
    parts = raw(case["randomness"]), raw(case["roster_root"])
    mixed = raw(case["mixed"]) or None
    found = seed_of(raw(case["network"]), case["epoch"], *parts, mixed=mixed)
    assert found.hex() == case["seed"]


def case_of(case: dict) -> tuple[bytes, Roster, Params]:
    """Return seed, roster and parameters of a case."""
    members = [
        Member(
            node=raw(m["node"]), nonce=0, operator=raw(m["operator"]), kind=Kind(m["kind"]), stake=1
        )
        for m in case["members"]
    ]
    params = replace(MINIMAL, k_aud=case["k_aud"], candidates=case["candidates"])
    return raw(case["seed"]), Roster(tuple(members)), params


@pytest.mark.parametrize("case", cases("assignment", "cases"))
def test_everybodys_auditors_and_targets_follow_from_the_seed(case: dict) -> None:
    seed, roster, params = case_of(case)
    found = Assignment(seed, roster, params)
    node_at = [m.node for m in roster.members]
    for node, indices in case["auditors"].items():
        assert found.auditors(raw(node)) == tuple(node_at[i] for i in indices)
    for node, indices in case["targets"].items():
        assert found.targets(raw(node)) == tuple(node_at[i] for i in indices)
    assert found.all_targets() == {
        raw(n): tuple(node_at[i] for i in x) for n, x in case["targets"].items()
    }


@pytest.mark.parametrize("proof", cases("assignment", "proofs"))
def test_these_candidates_settle_who_audits_whom(proof: dict) -> None:
    [case] = [c for c in load("assignment")["cases"] if c["name"] == proof["case"]]
    seed, roster, params = case_of(case)
    target, auditor = (roster.members[proof[who]].node for who in ("target", "auditor"))
    found = placement_of(seed, roster, params, target=target, auditor=auditor)
    leaves = [roster.leaf(roster.members[i]) for i in proof["candidates"]]
    assert [c.leaf for c in found.candidates] == leaves
    assert found.is_assigned == proof["is_assigned"]


@pytest.mark.parametrize("case", cases("assignment", "draws"))
def test_a_draw_follows_from_the_rounds_randomness(case: dict) -> None:
    is_drawn = draw_of(raw(case["randomness"]), case["draw_ppm"])
    assert [i for i, t in enumerate(case["targets"]) if is_drawn(raw(t))] == case["drawn"]


# ------------------------------------------------------------------------------- evidence


@cache
def world_genesis() -> Genesis:
    return genesis_of(load("network")["cases"][0]["genesis"])


@cache
def world_round(number: int) -> BeaconRound:
    signature = next(r["signature"] for r in load("world")["rounds"] if r["round"] == number)
    return verified(world_genesis().beacon, Round(number), raw(signature))


@cache
def world_view(epoch: int) -> EpochView:
    """Return the view that the shared world's facts make."""
    genesis = world_genesis()
    roster = roster_of(genesis.network_id, epoch, [entry_of(e) for e in load("world")["registry"]])
    randomness = {r: world_round(r).randomness for r in genesis.clock.rounds(epoch)}
    first = randomness[genesis.clock.first(epoch)]
    return EpochView(
        network=genesis.network_id,
        epoch=epoch,
        seed=seed_of(genesis.network_id, epoch, first, roster.root),
        roster=roster,
        params=genesis.params,
        drawn=drawn_rounds([m.node for m in roster.full], randomness, genesis.params),
    )


@pytest.mark.parametrize("case", cases("world", "epochs"))
def test_an_epochs_view_follows_from_registry_and_rounds(case: dict) -> None:
    view = world_view(case["epoch"])
    assert (view.seed.hex(), view.roster.root.hex()) == (case["seed"], case["roster_root"])
    for node, auditors in case["auditors"].items():
        assert [a.hex() for a in view.assignment.auditors(raw(node))] == auditors
    assert {n.hex(): list(rounds) for n, rounds in view.drawn.items()} == case["drawn"]


def test_an_answer_is_signed_over_its_challenge_and_makes_a_receipt() -> None:
    vectors = load("audit")
    auditor, target = raw(vectors["auditor"]), raw(vectors["target"])
    found = challenge.challenge_of(raw(vectors["randomness"]), auditor, target)
    assert found.hex() == vectors["challenge"]
    question = wire.decode(raw(vectors["question"]["frame"]), challenge.Question)
    assert hexed(question) == vectors["question"]["fields"]
    for case in vectors["answers"]:
        about = {
            "network": world_genesis().network_id,
            "number": question.round,
            "challenge": found,
        }
        made = challenge.sign_answer(
            raw(vectors["target_secret"]),
            **about,
            status=challenge.Status(case["status"]),
            report=raw(case["report"]),
        )
        assert wire.encode(made).hex() == case["answer"]
        receipt = challenge.receipt_of(**about, auditor=auditor, target=target, answer=made)
        assert wire.encode(receipt).hex() == case["receipt"]
        assert merkle.leaf_hash(receipt.leaf()).hex() == case["leaf_hash"]


@pytest.mark.parametrize("case", cases("audit", "forged"))
def test_only_what_the_target_signed_is_a_receipt(case: dict) -> None:
    receipt = wire.decode(raw(case["receipt"]), challenge.Receipt)
    assert challenge.is_receipt_signed(world_genesis().network_id, receipt) is case["is_signed"]


def test_receipts_make_a_tree() -> None:
    vectors = load("audit")["tree"]
    receipts = [wire.decode(raw(r), challenge.Receipt) for r in vectors["receipts"]]
    tree = challenge.receipts_tree(receipts)
    assert tree.root.hex() == vectors["root"]
    assert [p.hex() for p in tree.proof(receipts[0].leaf())] == vectors["first_proof"]


@pytest.mark.parametrize("case", cases("audit", "outcomes"))
def test_an_outcome_follows_from_status_fault_and_latency(case: dict) -> None:
    status, window = challenge.Status(case["status"]), case["probe_window_ms"]
    found = challenge.outcome_of(status, case["fault"], case["latency_ms"], window)
    assert found == case["outcome"]


@pytest.mark.parametrize("case", cases("audit", "medians"))
def test_a_median_is_the_lower_one(case: dict) -> None:
    assert median_ms(case["latencies_ms"]) == case["median_ms"]


def test_every_good_batch_has_its_id_and_is_signed() -> None:
    secrets = {node_id_of(raw(s)).hex(): raw(s) for s in load("world")["secrets"]}
    for case in load("batch")["good"]:
        found = read_batch(raw(case["frame"]))
        check_batch(found, world_view(0))
        assert [found.auditor.hex(), found.id.hex(), found.signature.hex()] == [
            case["auditor"],
            case["id"],
            case["signature"],
        ]
        assert sign_batch(secrets[case["auditor"]], found.body) == found
    assert hexed(read_batch(raw(load("batch")["good"][0]["frame"])).body) == load("batch")["body"]


@pytest.mark.parametrize("case", cases("batch", "judged"))
def test_a_gossiped_batch_is_judged(case: dict) -> None:
    found = judge(
        raw(case["frame"]),
        network=world_genesis().network_id,
        clock=world_genesis().clock,
        last_due=case["last_due"],
        view_of={0: world_view(0)} if case["is_view_known"] else {},
        known={raw(i) for i in case["known"]},
    )
    assert (found.judgement, found.reason) == (case["judgement"], case["reason"])


@pytest.mark.parametrize("case", cases("batch", "checked"))
def test_a_batch_from_sync_is_checked_against_one_epoch(case: dict) -> None:
    assert (
        reason(check_batch, read_batch(raw(case["frame"])), world_view(case["epoch"]))
        == case["reason"]
    )


def test_every_reason_for_a_batch_has_a_vector() -> None:
    shown = {c["reason"] for group in ("judged", "checked") for c in load("batch")[group]}
    assert set(JUDGEMENTS) <= shown


def evidence_of(labels: list[str]) -> Evidence:
    frames = {b["label"]: raw(b["frame"]) for b in load("evidence")["batches"]}
    return Evidence([read_batch(frames[label]) for label in labels])


def check_state(state: Evidence, case: dict) -> None:
    assert [b.id.hex() for b in state] == case["holds"]
    assert sorted(a.hex() for a in state.equivocators()) == case["equivocators"]
    assert state.digest().hex() == case["digest"]


def test_states_of_evidence_join() -> None:
    given = {s["name"]: s["given"] for s in load("evidence")["states"]}
    for case in load("evidence")["states"]:
        check_state(evidence_of(case["given"]), case)
        check_state(evidence_of(case["given"][::-1] * 2), case)
    for case in load("evidence")["joins"]:
        left, right = evidence_of(given[case["left"]]), evidence_of(given[case["right"]])
        check_state(left.join(right), case)
        check_state(right.join(left), case)


def test_bitmaps_have_one_form() -> None:
    for case in load("sync")["bitmaps"]:
        assert reconcile.bitmap_of(case["flags"]).hex() == case["bitmap"]
        assert reconcile.flags_of(raw(case["bitmap"]), len(case["flags"])) == case["flags"]
    for case in load("sync")["bad_bitmaps"]:
        assert reason(reconcile.flags_of, raw(case["bitmap"]), case["size"]) == case["reason"]


def test_holdings_and_deltas_follow_from_evidence() -> None:
    view = world_view(0)
    haves = {}
    for case in load("sync")["holdings"]:
        state = evidence_of(case["given"])
        held = reconcile.holdings_of(state, view.roster)
        assert [held.bitmap.hex(), held.fingerprints.hex()] == [
            case["bitmap"],
            case["fingerprints"],
        ]
        assert [i.hex() for i in reconcile.chunk_ids(state, view.roster, 0)] == case["chunk_0_ids"]
        have = reconcile.read_question(raw(case["have"]))
        assert have == reconcile.have_of(view.network, 0, held)
        haves[tuple(case["given"])] = have
    for case in load("sync")["deltas"]:
        have = haves[tuple(case["asking"])]
        delta = reconcile.answer_have(evidence_of(case["answering"]), view.roster, have)
        assert wire.encode(delta).hex() == case["delta"]
        assert (delta.wanted.hex(), list(delta.differing)) == (case["wanted"], case["differing"])


@pytest.mark.parametrize("case", cases("sample", "cases"))
def test_the_sealing_round_picks_an_answered_observation(case: dict) -> None:
    found = read_batch(raw(case["frame"]))
    view = world_view(0)
    assert [[s.target.hex(), s.round] for s in answered(found, view)] == case["answered"]
    picked = sample_of(found, view, raw(load("sample")["randomness"]))
    shown = [picked.target.hex(), picked.round, picked.outcome] if picked else None
    assert shown == case["sample"]


@pytest.mark.parametrize("case", cases("sample", "shown"))
def test_only_the_right_receipt_shows_an_observation(case: dict) -> None:
    target, number, outcome = case["sample"]
    found = reason(
        check_receipt,
        wire.decode(raw(case["receipt"]), challenge.Receipt),
        [raw(p) for p in case["proof"]],
        batch=read_batch(raw(case["batch"])),
        sample=Sample(target=NodeId(raw(target)), round=number, outcome=Outcome(outcome)),
        randomness=world_round(number).randomness,
    )
    assert found == case["reason"]


# ------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("case", cases("verdict", "cases"))
def test_a_committees_majority_decides(case: dict) -> None:
    outcomes = [raw(o) for o in case["outcomes"]]
    found = verdict.verdicts(outcomes, rounds=case["rounds"], assigned=case["assigned"])
    assert found.hex() == case["verdicts"]


def score_of(facts: dict) -> score.Score:
    return score.Score(**{**facts, "node": raw(facts["node"])})


@pytest.mark.parametrize("case", cases("score", "wilson"))
def test_the_bound_is_an_integer_rounded_down(case: dict) -> None:
    assert score.wilson_ppm(case["s"], case["n"], case["design_effect"]) == case["ppm"]


@pytest.mark.parametrize("case", cases("score", "folds"))
def test_one_epoch_folds_into_a_score(case: dict) -> None:
    params = PRESETS[case["preset"]]
    found = score.fold(
        score_of(case["old"]), raw(case["verdicts"]), case["delivered"], case["owed"], params
    )
    assert found == score_of(case["new"])
    assert found.leaf().hex() == case["leaf"]


@pytest.mark.parametrize("case", cases("score", "runs"))
def test_many_epochs_fold_into_a_score(case: dict) -> None:
    member = score.Score(node=raw(case["last"]["node"]), nonce=case["last"]["nonce"])
    for seen, times in case["epochs"]:
        owed = len(raw(seen))
        for _ in range(times):
            member = score.fold(member, raw(seen), owed, owed, PRESETS[case["preset"]])
    assert member == score_of(case["last"])


@pytest.mark.parametrize("case", cases("score", "medians"))
def test_the_median_is_over_members_ever_decided_on(case: dict) -> None:
    members = [
        score.Score(node=bytes(32), nonce=0, uptime_ppm=u, n=n) for u, n in case["uptime_ppm_and_n"]
    ]
    assert score.median_uptime(members) == case["median_ppm"]


@pytest.mark.parametrize("case", cases("score", "states"))
def test_a_state_follows_from_uptime_median_and_age(case: dict) -> None:
    args = score_of(case["score"]), case["epoch"], case["median_ppm"], PRESETS[case["preset"]]
    assert score.next_state(*args) == (case["state"], case["state_until"])


@cache
def closed_epochs() -> list[anchor.ClosedEpoch]:
    before: dict = {}
    found = []
    for case in load("epoch")["epochs"]:
        included = {b.auditor: b for b in (read_batch(raw(f)) for f in case["included"])}
        tainted = frozenset(raw(n) for n in case["tainted"])
        for batch in included.values():
            check_batch(batch, world_view(case["epoch"]))
        closed = anchor.close_epoch(world_view(case["epoch"]), included, tainted, before)
        before = anchor.by_member(closed.scores)
        found.append(closed)
    return found


@pytest.mark.parametrize("number", range(3))
def test_an_epoch_closes_over_its_included_batches(number: int) -> None:
    case, closed = load("epoch")["epochs"][number], closed_epochs()[number]
    assert {n.hex(): v.hex() for n, v in closed.verdicts.items()} == case["verdicts"]
    assert {n.hex(): leaf.hex() for n, leaf in closed.evidence.items()} == case["evidence_leaves"]
    assert [list(hexed(s).values()) for s in closed.scores] == case["scores"]
    assert wire.encode(closed.proposal).hex() == case["proposal"]
    assert hexed(closed.header) == case["header"]
    assert closed.header.hash().hex() == case["header_hash"]
    assert load("epoch")["score_fields"] == list(score.Score.__struct_fields__)


def test_the_councils_signature_is_over_tag_chain_contract_and_header() -> None:
    vectors, genesis = load("anchor"), world_genesis()
    header = closed_epochs()[1].header
    assert hexed(header) == vectors["header"]
    assert (
        merkle.keccak256(raw(vectors["header_words"]))
        == header.hash()
        == raw(vectors["header_hash"])
    )
    message = anchor.anchor_message(genesis, header, vectors["voids"])
    assert message.hex() == vectors["message"]
    signature = raw(vectors["signature"])
    assert bls.is_signed_by(raw(vectors["council_key"]), message, signature, bls.ANCHOR_DST)
    assert bls.g1_uncompressed(signature).hex() == vectors["signature_uncompressed"]
    assert bls.g2_uncompressed(genesis.council_key).hex() == vectors["council_key_uncompressed"]


@pytest.mark.parametrize("case", cases("anchor", "sealed"))
def test_a_sealed_anchor_proves_itself(case: dict) -> None:
    sealed = wire.decode(raw(case["frame"]), anchor.SealedAnchor)
    assert anchor.is_sealed_by_council(world_genesis(), sealed) is case["is_sealed"]


@pytest.mark.parametrize("case", cases("anchor", "proposals"))
def test_a_proposal_is_checked_against_its_batches(case: dict) -> None:
    proposal = wire.decode(raw(case["proposal"]), anchor.Proposal)
    frames = load("epoch")["epochs"][1]["included"]
    included = {b.auditor: b for b in (read_batch(raw(f)) for f in frames)}
    assert reason(anchor.check_proposal, proposal, world_view(1), included) == case["reason"]


@pytest.mark.parametrize("case", cases("anchor", "score_proofs"))
def test_a_score_is_proved_against_the_anchored_root(case: dict) -> None:
    assert merkle.is_proved(raw(case["root"]), raw(case["leaf"]), [raw(p) for p in case["proof"]])


# ------------------------------------------------------------------------------- challenges


def score_from(numbers: str) -> score.Score:
    return score.Score(bytes(32), 0, *map(int, numbers.split("|")))


def test_a_score_is_right_or_wrong_in_a_certain_word() -> None:
    for case in load("fraud")["claims"]:
        facts = case["epoch"], *[bytes(32)] * 4, case["median_ppm"], case["is_void"]
        header = anchor.Header(*facts)
        sighted = fraud.Sighted(int(case["auditors"]), int(case["rounds"]), raw(case["matrix"]))
        claimed, old = score_from(case["score"]), score_from(case["old"])
        found = fraud.fault_of(claimed, old, sighted, header, PRESETS[case["preset"]])
        assert found == case["fault"], case


def test_an_auditor_owes_at_most_so_much_in_an_epoch() -> None:
    for preset, most in load("fraud")["duty_max"].items():
        assert fraud.duty_max(PRESETS[preset]) == most


@pytest.mark.parametrize("case", cases("fraud", "challenges"), ids=lambda case: case["name"])
def test_a_challenge_shows_what_is_wrong_or_is_refused(case: dict) -> None:
    def shown(facts: dict | None) -> fraud.Shown | None:
        if facts is None:
            return None
        return fraud.Shown(raw(facts["leaf"]), tuple(map(raw, facts["proof"])))

    def header(facts: dict) -> anchor.Header:
        return anchor.Header(**{k: raw(v) if isinstance(v, str) else v for k, v in facts.items()})

    challenge = fraud.Challenge(
        header=header(case["header"]),
        before=case["before"] and header(case["before"]),
        score=shown(case["score"]),
        old=shown(case["old"]),
        newcomer=tuple(map(shown, case["newcomer"])),
        evidence=shown(case["evidence"]),
        matrix=raw(case["matrix"]),
        light=shown(case["light"]),
        stranger=tuple(map(shown, case["stranger"])),
    )
    if case["reason"]:
        assert reason(fraud.first_wrong_word, challenge, PRESETS["minimal"]) == case["reason"]
    else:
        assert fraud.first_wrong_word(challenge, PRESETS["minimal"]) == case["fault"]


def test_the_ids_in_a_proposal_are_those_of_its_batches() -> None:
    case = load("epoch")["epochs"][1]
    proposal = wire.decode(raw(case["proposal"]), anchor.Proposal)
    assert proposal.ids_digest == sha256(*(read_batch(raw(f)).id for f in case["included"]))


# ------------------------------------------------------------------------------- the market


def listed(numbers: str) -> list[int]:
    return [int(number) for number in numbers.split("|")] if numbers else []


def rows(group: str) -> list[tuple[list[int], list[int]]]:
    return [(listed(c["given"]), listed(c["expected"])) for c in load("money")[group]]


def test_there_are_at_least_1_000_cases_of_money_and_of_draws() -> None:
    assert sum(len(group) for group in load("money").values() if isinstance(group, list)) >= 1_000
    assert len(load("draw")["auctions"]) >= 1_000


def resources(numbers: list[int]) -> economics.Resources:
    names = economics.Resources.__dataclass_fields__
    return economics.Resources(**dict(zip(names, numbers, strict=True)))


def tariff_of(numbers: list[int]) -> economics.Tariff:
    names = economics.Tariff.__dataclass_fields__
    return economics.Tariff(**dict(zip(names, numbers, strict=True)))


def test_a_quote_and_an_expected_profit_follow_from_need_tariff_time_and_price() -> None:
    """R47."""
    for given, expected in rows("quotes"):
        need, tariff = resources(given[:4]), tariff_of(given[4:8])
        usd = economics.usd_of(need, tariff, length_s=given[8])
        assert [usd, economics.ankr_of_usd(usd, usd_per_ankr=given[9])] == expected
    for (stake, bps, length_s), expected in rows("profits"):
        assert [economics.yearly_share(stake, bps_per_year=bps, length_s=length_s)] == expected


def shares_of(reward_bps: int, insurance_bps: int) -> economics.PoolShares:
    return economics.PoolShares(reward_bps=reward_bps, insurance_bps=insurance_bps)


def test_a_deals_money_is_split_as_the_waterfall_says() -> None:
    """R55, R58, Q11: the white paper's two come first."""
    for (ankr, eth, paid, reward, insurance, price), expected in rows("splits"):
        shares = shares_of(reward, insurance)
        found = economics.split(
            ankr=ankr, eth=eth, paid_ankr=paid, shares=shares, ankr_per_eth=price
        )
        assert list(asdict(found).values()) == expected
    tokens = [[part // 10**18 for part in expected] for _, expected in rows("splits")[:2]]
    assert tokens == [[60, 40, 40, 260, 0, 0, 0], [70, 40, 40, 250, 0, 0, 0]]


def test_a_loss_is_computed_and_covered_in_its_order() -> None:
    """Q12."""
    for (profit, unserved_s, length_s), expected in rows("losses"):
        found = economics.loss_of(expected_profit=profit, unserved_s=unserved_s, length_s=length_s)
        assert [found] == expected
    for (loss, provider, stake, price, pool), expected in rows("covers"):
        cover = economics.cover(
            loss,
            provider_eth=provider,
            stake_ankr=stake,
            ankr_per_eth=price,
            insurance_eth=pool,
        )
        assert list(asdict(cover).values()) == expected


def test_the_pools_pay_out_in_their_parts() -> None:
    """R52, R54, R56, R57, Q25."""
    names = ("governance", "projects", "stakers", "development")
    for (pool, *bps), expected in rows("distributions"):
        found = pools.distributed(pool, pools.RewardParts(**dict(zip(names, bps, strict=True))))
        assert [getattr(found, name) for name in names] == expected
    for (sent, filled, price), expected in rows("micro_pools"):
        joined = pools.joined(sent, filled_eth=filled, fixed_price=price)
        assert [joined.taken_eth, joined.refunded_eth, joined.fee_ankr] == expected
    for case in load("money")["refunds"]:
        lost, provider, balance = listed(case["given"])
        refunds = pools.refunds(
            listed(case["stakes"]), lost_eth=lost, provider_eth=provider, balance_eth=balance
        )
        assert list(refunds.provider) == listed(case["provider"])
        assert list(refunds.insurance) == listed(case["insurance"])
    for case in load("money")["completions"]:
        reward, *bps = listed(case["given"])
        done = pools.completion(reward, listed(case["stakes"]), shares_of(*bps))
        assert [done.reward, done.insurance] == listed(case["pools"])
        assert list(done.stakers) == listed(case["stakers"])
        assert list(pools.fee_split(reward, shares_of(*bps))) == listed(case["fee_split"])


def auction_of(case: dict) -> draw.Auction:
    return draw.Auction(chain_id=case["chain_id"], market=raw(case["market"]), deal=case["deal"])


def test_commitments_and_numbers_name_chain_contract_and_deal() -> None:
    for case in load("draw")["commitments"]:
        found = draw.commitment_of(
            auction_of(case),
            provider=raw(case["provider"]),
            registration=case["registration"],
            price=int(case["price"]),
            salt=raw(case["salt"]),
        )
        assert found.hex() == case["commitment"]
    for case in load("draw")["numbers"]:
        number = draw.number_of(auction_of(case), raw(case["randomness"]))
        assert [str(number), str(draw.number_after(number))] == [case["number"], case["after"]]


def test_a_beacon_round_draws_among_the_lowest_bids() -> None:
    """R50, Q1, Q2, Q16; the market stands at the address 01 02 ... 14, on chain 31337."""
    assert load("draw")["entries_max"] == draw.ENTRIES_MAX
    market = bytes(range(1, 21)).hex()
    for case in load("draw")["auctions"]:
        fields = ("price", "stake", "reliability_ppm")
        bids = [draw.Bid(**dict(zip(fields, listed(b), strict=True))) for b in case["bids"]]
        entering = draw.lowest(bids, size=case["size"])
        weights = draw.weights_of([bids[i] for i in entering], stake_max=int(case["stake_max"]))
        where = auction_of({"chain_id": 31_337, "market": market, "deal": case["deal"]})
        place = draw.drawn(weights, draw.number_of(where, raw(case["randomness"])))
        paid = draw.paid_of(
            bids,
            winner=entering[place],
            rule=draw.Rule(case["rule"]),
            fixed_price=int(case["fixed_price"]),
        )
        assert list(entering) == case["entering"]
        assert list(weights) == listed(case["weights"])
        assert (entering[place], str(paid)) == (case["winner"], case["paid"])
