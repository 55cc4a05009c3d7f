"""What a node's store says of scores: shown, explained, proved, computed anew."""

from __future__ import annotations

import sqlite3

import pytest
import trio

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.cli.nodes import short
from stkrp2p.core.anchor import by_member
from stkrp2p.core.merkle import is_proved
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.score import Score
from stkrp2p.core.types import ONE_PPM, Epoch, NodeId, Round
from stkrp2p.core.verdict import Verdict
from stkrp2p.ports import StoredEpoch
from tests.cli.conftest import DOWN_EPOCH, EPOCHS, MUTE
from tests.cli.world import PARAMS, World, all_down, make_node

LIGHT = 6


def fits(text: str) -> bool:
    return max(map(len, text.splitlines())) <= 100


def score_of(world: World, node: NodeId, epoch: int = EPOCHS - 1) -> Score:
    return by_member(world.closed[epoch].scores)[node, 0]


# ---------------------------------------------------------------- score


def test_the_table_has_every_member_best_first(run, played, world):
    document = run("score", "--config", played, "--json").json()
    assert document["schema"] == "scores/1"
    assert document["epoch"] == EPOCHS - 1
    shown = document["scores"]
    assert sorted(s["node"] for s in shown) == sorted(world.node(i).hex() for i in range(7))
    reliabilities = [s["reliability_ppm"] for s in shown]
    assert reliabilities == sorted(reliabilities, reverse=True)
    ours = next(s for s in shown if s["node"] == world.down.hex())
    folded = score_of(world, world.down)
    for name in Score.__struct_fields__:
        if name not in {"node", "state"}:
            assert ours[name] == getattr(folded, name)
    assert ours["peer_id"] == peer_id_text(world.down)
    assert ours["state"] == "active"


def test_the_table_for_people_fits(run, played):
    ran = run("score", "--config", played)
    assert ran.code == 0
    assert fits(ran.out)
    assert ran.out.endswith("after epoch 3; why: stkrp2p explain NODE\n")


def test_who_is_never_audited_has_a_dash_in_place_of_a_reliability(run, played, world):
    shown = run("score", "--config", played).out
    row = next(r for r in shown.splitlines() if r.startswith(short(world.node(LIGHT))))
    assert row.split()[1:3] == ["-", "-"]


@pytest.mark.parametrize("name", ["peer_id", "hex", "short_hex", "short_peer_id", "bare"])
def test_a_node_is_named_by_either_id_or_its_beginning(run, played, world, name):
    node = world.down
    peer_id = peer_id_text(node)
    reference = {
        "peer_id": peer_id,
        "hex": node.hex(),
        "short_hex": node.hex()[:10].upper(),
        "short_peer_id": peer_id[:16],
        "bare": peer_id[8:14],
    }[name]
    document = run("score", reference, "--config", played, "--json").json()
    assert document["schema"] == "score/1"
    assert document["node"] == node.hex()
    assert [e["epoch"] for e in document["epochs"]] == list(range(EPOCHS))


def test_a_history_is_as_long_as_asked(run, played, world):
    node = world.node(0).hex()
    document = run("score", node, "--epochs", "2", "--config", played, "--json").json()
    assert [e["epoch"] for e in document["epochs"]] == [2, 3]


def test_a_beginning_that_several_ids_share_is_refused_with_their_names(run, played):
    ran = run("score", "12D3KooW", "--config", played)
    assert ran.code == 2
    lines = ran.err.splitlines()
    assert lines[0] == 'error: "12D3KooW" begins the ids of 7 nodes'
    assert lines[1].startswith("  why: they are 12D3KooW")
    assert lines[1].endswith(" and 2 more")
    assert lines[2] == "  next: give more characters"


def test_a_name_nobody_has_is_refused(run, played):
    ran = run("score", "zz", "--config", played)
    assert ran.code == 2
    assert ran.err == (
        'error: no known node is called "zz"\n'
        "  why: a node is named by its PeerID, its hex id, or the beginning of one\n"
        f"  next: stkrp2p roster --config {played}\n"
    )


def test_a_stranger_has_no_score(run, played):
    ran = run("score", "ab" * 32, "--config", played)
    assert ran.code == 1
    assert "has no score here" in ran.err


def test_a_store_without_epochs_has_no_scores(run, tmp_path):
    config = make_node(World(), tmp_path / "n", epochs=0)
    ran = run("score", "--config", config)
    assert (ran.code, ran.err) == (
        1,
        "error: there are no scores yet\n"
        "  why: this node knows of no anchored epoch\n"
        f"  next: stkrp2p status --config {config}\n",
    )


def test_without_a_store_reading_says_how_to_get_one(run, copied):
    (copied.parent / "store.sqlite").unlink()
    for command in (["score"], ["explain", "1"], ["proof", "1"], ["replay", "1"], ["roster"]):
        ran = run(*command, "--config", copied)
        assert ran.code == 3
        assert ran.err.startswith("error: nothing is stored yet\n  why: there is no store at ")
        assert ran.err.endswith(f"\n  next: stkrp2p run --config {copied}\n")


def test_a_damaged_store_is_said_so(run, copied):
    (copied.parent / "store.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    ran = run("score", "--config", copied)
    assert ran.code == 1
    assert ran.err.startswith("error: the store cannot be read\n  why: the store is damaged: ")


def test_a_store_of_a_newer_version_is_left_alone(run, copied):
    with sqlite3.connect(copied.parent / "store.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    ran = run("score", "--config", copied)
    assert ran.code == 4
    assert "was written by a newer version of stkrp2p" in ran.err


def test_failures_are_json_where_json_was_asked_for(run, played):
    document = run("score", "zz", "--config", played, "--json").json()
    assert document == {
        "error": {
            "what": 'no known node is called "zz"',
            "why": "a node is named by its PeerID, its hex id, or the beginning of one",
            "next": f"stkrp2p roster --config {played}",
            "exit_code": 2,
        }
    }


# ---------------------------------------------------------------- explain


def explained(run, played, node, *more):
    return run("explain", node.hex(), "--config", played, "--json", *more).json()


def test_every_down_round_is_explained_by_all_who_saw_it(run, played, world):
    document = explained(run, played, world.down)
    view = world.view(Epoch(DOWN_EPOCH))
    target = world.down
    epoch = next(e for e in document["epochs"] if e["epoch"] == DOWN_EPOCH)
    assert [loss["round"] for loss in epoch["losses"]] == list(view.drawn[target])
    assert (epoch["up"], epoch["down"], epoch["undecided"]) == (0, len(view.drawn[target]), 0)
    auditors = [a.hex() for a in view.assignment.auditors(target)]
    for loss in epoch["losses"]:
        assert loss["verdict"] == "down"
        assert [s["auditor"] for s in loss["auditors"]] == auditors
        assert {s["outcome"] for s in loss["auditors"]} == {"unreachable"}
        assert {s["receipt"]["where"] for s in loss["auditors"]} == {"none"}


def test_the_losses_of_all_members_are_the_verdicts_of_the_fold(run, played, world):
    for member in range(6):
        document = explained(run, played, world.node(member))
        for epoch in document["epochs"]:
            decided = world.closed[epoch["epoch"]].verdicts[world.node(member)]
            assert epoch["up"] == decided.count(Verdict.UP)
            assert epoch["down"] == decided.count(Verdict.DOWN)
            assert epoch["undecided"] == decided.count(Verdict.UNDECIDED)


def test_a_wrong_answer_is_shown_with_the_receipt_of_this_nodes_own_audit(run, played, world):
    document = explained(run, played, world.wrong)
    epoch = next(e for e in document["epochs"] if e["epoch"] == DOWN_EPOCH)
    ours = world.node(0)
    assert ours in world.view(Epoch(DOWN_EPOCH)).assignment.auditors(world.wrong)
    assert epoch["losses"]
    for loss in epoch["losses"]:
        assert loss["round"] % 2 == 1
        for seen in loss["auditors"]:
            assert seen["outcome"] == "wrong"
            if seen["auditor"] == ours.hex():
                assert seen["receipt"]["where"] == "here"
                assert seen["receipt"]["status"] == "failed"
                assert len(seen["receipt"]["signature"]) == 128
            else:
                assert seen["receipt"]["where"] == "with-auditor"
                assert seen["receipt"]["signature"] is None


def test_the_lost_points_add_up(run, played, world):
    for member in range(6):
        document = explained(run, played, world.node(member))
        folded = score_of(world, world.node(member))
        assert document["reliability_ppm"] == folded.reliability_ppm
        assert document["reliability_ppm"] + sum(document["lost_ppm"].values()) == ONE_PPM
        assert min(document["lost_ppm"].values()) >= 0


def test_points_before_and_after_each_epoch_are_shown(run, played, world):
    document = explained(run, played, world.down)
    values = [e["reliability_ppm"] for e in document["epochs"]]
    assert values == [score_of(world, world.down, e).reliability_ppm for e in range(EPOCHS)]
    assert [e["reliability_before_ppm"] for e in document["epochs"]] == [None, *values[:-1]]
    two = explained(run, played, world.down, "--epochs", "2")
    assert [e["epoch"] for e in two["epochs"]] == [2, 3]
    assert two["epochs"][0]["reliability_before_ppm"] == values[1]


def test_lost_duty_is_explained(run, played, world):
    document = explained(run, played, world.node(MUTE))
    mute, later = document["epochs"][1], document["epochs"][2]
    assert mute["duty"]["is_batch_included"] is False
    assert mute["duty"]["delivered"] == 0
    assert mute["duty"]["owed"] > 0
    assert later["duty"]["is_batch_included"] is True
    assert later["duty"]["delivered"] == later["duty"]["owed"]


def test_an_explanation_for_people_says_who_saw_what(run, played, world):
    ran = run("explain", world.wrong.hex(), "--config", played)
    assert ran.code == 0
    assert fits(ran.out)
    assert f"{peer_id_text(world.wrong)}\nreliability " in ran.out
    assert " lost to rounds that were down\n" in ran.out
    assert ": down\n    12D3KooW" in ran.out
    assert "  wrong        receipt is with this auditor\n" in ran.out
    assert (
        "  wrong        receipt here, signed by the target, status failed (this node)\n" in ran.out
    )
    ran = run("explain", world.down.hex(), "--config", played)
    assert "  unreachable  no receipt\n" in ran.out
    ran = run("explain", world.node(MUTE).hex(), "--config", played)
    assert "observations delivered: its batch did not come in time\n" in ran.out


def test_a_light_node_is_told_that_it_is_not_audited(run, played, world):
    ran = run("explain", world.node(LIGHT).hex(), "--config", played)
    assert ran.code == 0
    assert "never decided on: a light node is not audited, a new one not yet\n" in ran.out


def test_an_auditor_without_a_batch_is_shown_as_such_and_the_round_stays_decided(tmp_path, run):
    silent = frozenset({(0, i) for i in range(1, 7)})
    world = World(silent=silent, see=all_down)
    config = make_node(world, tmp_path / "n", epochs=1)
    view = world.view(Epoch(0))
    target = next(t for t in view.assignment.targets(world.node(0)) if view.drawn[t])
    document = run("explain", target.hex(), "--config", config, "--json").json()
    (epoch,) = document["epochs"]
    assert epoch["undecided"] == len(view.drawn[target])
    for loss in epoch["losses"]:
        outcomes = {s["auditor"]: s["outcome"] for s in loss["auditors"]}
        assert outcomes.pop(world.node(0).hex()) == "unreachable"
        assert set(outcomes.values()) == {"not_probed"}
    shown = run("explain", target.hex(), "--config", config).out
    assert ": undecided, costs nothing\n" in shown
    assert "  no batch     no receipt\n" in shown


def test_an_epoch_that_counted_nothing_is_shown_as_void(tmp_path, run):
    world = World(see=all_down)
    config = make_node(world, tmp_path / "n", epochs=1)
    assert world.closed[0].header.is_void
    node = world.node(1).hex()
    assert run("explain", node, "--config", config, "--json").json()["epochs"][0]["is_void"]
    shown = run("explain", node, "--config", config).out
    assert "; VOID, so nothing counted\n" in shown
    assert ": down, costs nothing\n" in shown


def test_epochs_whose_evidence_is_gone_are_named_with_the_reason(run, copied, world):
    with sqlite3.connect(copied.parent / "store.sqlite") as connection:
        first = world.genesis.clock.first(Epoch(1))
        connection.execute("DELETE FROM round WHERE number < ?", (first,))
    node = world.down.hex()
    epochs = run("explain", node, "--config", copied, "--json").json()["epochs"]
    assert epochs[0]["missing"] == (
        f"6 of its 6 beacon rounds are not stored; full nodes keep {MINIMAL.retain_epochs} epochs,"
        " light ones two"
    )
    assert [e["missing"] for e in epochs[1:]] == [None] * 3
    assert "; no evidence: 6 of its 6 beacon rounds" in run("explain", node, "--config", copied).out


# ---------------------------------------------------------------- replay


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_an_epoch_computed_anew_is_the_anchored_one(run, played, world, epoch):
    ran = run("replay", epoch, "--config", played, "--json")
    document = ran.json()
    assert ran.code == 0
    assert document["schema"] == "replay/1"
    assert document["is_equal"] is True
    assert document["differences"] == []
    assert document["computed"] == document["anchored"]
    assert document["is_signed_by_council"] is True
    assert document["batches"] == (6 if epoch == 1 else 7)
    header = world.closed[epoch].header
    assert document["anchored"]["score_root"] == header.score_root.hex()


def test_a_replay_for_people_fits_and_says_it(run, played):
    ran = run("replay", 2, "--config", played)
    assert fits(ran.out)
    assert ran.out.endswith("the anchored header is signed by the council\nequal to the anchor\n")


def put_epoch(config, stored: StoredEpoch, scores):
    async def put():
        async with SqliteStore.open(config.parent) as store:
            await store.put_epoch(stored, scores)

    trio.run(put)


def stored_of(world: World, epoch: int, **changes) -> StoredEpoch:
    from msgspec.structs import replace  # noqa: PLC0415

    sealed = world.sealed(world.closed[epoch])
    header = replace(sealed.header, **changes)
    return StoredEpoch.of(replace(sealed, header=header), is_anchored=True)


def test_a_false_anchor_is_caught_and_the_field_named(run, copied, world):
    put_epoch(copied, stored_of(world, 3, score_root=bytes(32)), world.closed[3].scores)
    ran = run("replay", 3, "--config", copied, "--json")
    assert ran.code == 1
    assert ran.json()["differences"] == ["score_root"]
    assert ran.json()["is_signed_by_council"] is False
    ran = run("replay", 3, "--config", copied)
    assert ran.code == 1
    assert "is NOT signed by the council\n1 fields DIFFER from the anchor\n" in ran.out


def test_an_epoch_that_is_not_anchored_cannot_be_replayed(run, played):
    ran = run("replay", 9, "--config", played)
    assert (ran.code, ran.err) == (
        1,
        "error: no anchor of epoch 9 is stored\n"
        "  why: the last one stored is 3\n"
        f"  next: stkrp2p status --config {played}\n",
    )


def test_a_negative_epoch_is_a_usage_error(run, played):
    assert run("replay", "--config", played, "--", "-1").code == 2


def delete(config, statement, *values):
    with sqlite3.connect(config.parent / "store.sqlite") as connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM batch WHERE epoch = 2", "7 of its included batches are not stored"),
        ("DELETE FROM round WHERE number = 25", "1 of its 6 beacon rounds are not stored; "),
        ("DELETE FROM score WHERE epoch = 1", "the score table of epoch 1 is not stored: "),
    ],
)
def test_what_is_missing_is_named(run, copied, statement, why):
    delete(copied, statement)
    ran = run("replay", 2, "--config", copied)
    assert ran.code == 1
    assert ran.err.startswith(f"error: epoch 2 cannot be computed anew\n  why: {why}")


def test_without_the_registry_there_is_no_roster(run, copied):
    delete(copied, "DELETE FROM registry")
    for command in (["replay", 2], ["roster"]):
        ran = run(*command, "--config", copied)
        assert ran.code == 3
        assert ran.err == (
            "error: the registry was never read\n"
            "  why: the node has not reached an Ethereum endpoint yet\n"
            f"  next: stkrp2p doctor --config {copied}\n"
        )


def test_a_proposal_that_is_not_the_anchored_one_is_refused(run, copied, world):
    stored = stored_of(world, 3)
    other = StoredEpoch(
        header=stored.header,
        proposal=world.closed[2].proposal,
        signature=stored.signature,
        is_anchored=True,
    )
    put_epoch(copied, other, world.closed[3].scores)
    ran = run("replay", 3, "--config", copied)
    assert "  why: what is stored is not valid: other-proposal\n" in ran.err
    none = StoredEpoch(header=stored.header, proposal=None, signature=None, is_anchored=True)
    put_epoch(copied, none, world.closed[3].scores)
    ran = run("replay", 3, "--config", copied)
    assert "  why: its proposal, which names the included batches, is not stored\n" in ran.err


def test_a_false_beacon_round_in_the_store_is_not_believed(run, copied, world):
    async def put():
        from stkrp2p.core.beacon import BeaconRound  # noqa: PLC0415

        async with SqliteStore.open(copied.parent) as store:
            await store.put_rounds([BeaconRound(Round(25), world.round(Round(24)).signature)])

    delete(copied, "DELETE FROM round WHERE number = 25")
    trio.run(put)
    ran = run("replay", 2, "--config", copied)
    assert "  why: a stored beacon round is false: bad-round: round 25\n" in ran.err


# ---------------------------------------------------------------- proof


def test_a_proof_leads_from_the_score_to_the_anchored_root(run, played, world):
    node = world.down
    ran = run("proof", node.hex(), "--offline", "--config", played, "--json")
    assert ran.code == 0
    document = ran.json()
    leaf = bytes.fromhex(document["leaf"][2:])
    proof = [bytes.fromhex(p[2:]) for p in document["proof"]]
    root = world.closed[-1].header.score_root
    assert document["epoch"] == EPOCHS - 1
    assert leaf == score_of(world, world.down).leaf()
    assert is_proved(root, leaf, proof)
    assert document["header"]["score_root"] == "0x" + root.hex()
    assert document["is_proved"] is True
    assert document["is_signed_by_council"] is True
    assert document["chain"] == {"accepts": None, "detail": "not asked"}


def test_an_older_epochs_proof_can_be_had(run, played, world):
    node = world.down.hex()
    shown = run("proof", node, "--epoch", 1, "--offline", "--config", played, "--json").json()
    assert shown["epoch"] == 1
    assert shown["score"]["reliability_ppm"] == score_of(world, world.down, 1).reliability_ppm


def test_a_proof_the_chain_was_not_asked_about_is_not_passed_off_as_accepted(run, played, world):
    ran = run("proof", world.down.hex(), "--config", played)
    assert ran.code == 3
    assert fits(ran.out)
    assert "chain        unknown: no Ethereum endpoint is set\n" in ran.out


def test_a_chain_that_cannot_be_asked_is_said_so(run, played, world):
    ran = run("proof", world.down.hex(), "--config", played, "--json")
    assert ran.code == 3
    assert ran.json()["chain"]["accepts"] is None


def test_a_table_that_is_not_the_anchored_one_proves_nothing(run, copied, world):
    put_epoch(copied, stored_of(world, 3), world.closed[2].scores)
    ran = run("proof", world.down.hex(), "--offline", "--config", copied)
    assert (ran.code, ran.err) == (
        1,
        "error: there is no proof from epoch 3's stored scores\n"
        "  why: they do not hash to the anchored root\n"
        f"  next: stkrp2p replay 3 --config {copied}\n",
    )


def test_a_light_node_holds_no_table_to_prove_from(run, copied, world):
    put_epoch(copied, stored_of(world, 3), [score_of(world, world.node(0))])
    ran = run("proof", world.node(0).hex(), "--offline", "--config", copied)
    assert ran.code == 1
    assert "  why: this node does not hold the whole table; a light node " in ran.err


def test_a_proof_for_who_was_no_member_cannot_be_had(run, played):
    ran = run("proof", "ab" * 32, "--epoch", 3, "--offline", "--config", played)
    assert ran.code == 1
    assert "was no member of epoch 3\n" in ran.err


# ---------------------------------------------------------------- roster


def test_the_roster_is_the_registrys_with_profiles(run, played, world):
    document = run("roster", "--epoch", 2, "--config", played, "--json").json()
    assert document["schema"] == "roster/1"
    assert document["epoch"] == 2
    assert document["registry_block"] == 123
    assert document["root"] == world.view(Epoch(2)).roster.root.hex()
    shown = {m["node"]: m for m in document["members"]}
    assert list(shown) == sorted(shown)
    first = shown[world.node(1).hex()]
    assert first["stake_wei"] == str(1001 * 10**18)
    assert first["workload"] == "http:8001"
    assert first["addresses"] == ["/ip4/127.0.0.2/tcp/4001"]
    assert first["kind"] == "full"
    assert shown[world.node(LIGHT).hex()]["kind"] == "light"


def test_the_roster_for_people_fits(run, played):
    ran = run("roster", "--config", played)
    assert ran.code == 0
    assert fits(ran.out)
    assert "7 members: 6 full, 1 light; registry as of block 123\n" in ran.out
    assert PARAMS.rounds_per_epoch == 6
