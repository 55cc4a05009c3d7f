"""The specification's text says what the code does: parameters, limits, tags, messages, words, links."""

import importlib
import inspect
import json
import pkgutil
import re
from dataclasses import asdict
from pathlib import Path

import msgspec.inspect as mi
import pytest

import stkrp2p.core
from stkrp2p.core import council, policy
from stkrp2p.core.batch import JUDGEMENTS
from stkrp2p.core.beacon import NEWS_JUDGEMENTS
from stkrp2p.core.params import PRESETS, Params
from stkrp2p.core.reconcile import Question
from stkrp2p.core.types import Outcome
from stkrp2p.core.wire import INTEGER_MAX, Message
from stkrp2p.services import auditor, gossip, responder
from testnet.vectors.files import FILES

ROOT = Path(__file__).resolve().parents[2]
PROTOCOLS = ROOT / "protocols"
PAGES = sorted(
    [*PROTOCOLS.glob("*.md"), *PROTOCOLS.glob("decisions/*.md"), *PROTOCOLS.glob("vectors/*.md")]
)
CORE = [
    importlib.import_module(f"stkrp2p.core.{m.name}")
    for m in pkgutil.iter_modules(stkrp2p.core.__path__)
]


def section(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of any level."""
    text = (PROTOCOLS / page).read_text("utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {heading}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table, without head and rule, marks of code taken away."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip().strip("|").split(" | ")])
    return rows


WORKLOADS = [
    importlib.import_module(f"stkrp2p.adapters.workloads.{m}") for m in ("ethereum", "service")
]


def constants(name: str) -> list[object]:
    return [vars(module)[name] for module in CORE if name in vars(module)]


# ------------------------------------------------------------------------------- numbers


def parameter_rows() -> list[list[str]]:
    return table(section("README.md", "4. Parameters"))


def test_the_parameter_table_names_every_parameter_in_the_order_of_the_network_id() -> None:
    assert [row[0] for row in parameter_rows()] == list(Params.__dataclass_fields__)


@pytest.mark.parametrize(("preset", "column"), [("minimal", 2), ("mainnet", 3)])
def test_text_code_and_json_give_a_preset_the_same_numbers(preset: str, column: int) -> None:
    text = {row[0]: int(row[column]) for row in parameter_rows()}
    written = json.loads((PROTOCOLS / "presets" / f"{preset}.json").read_text("utf-8"))
    assert text == asdict(PRESETS[preset]) == written["params"]
    assert list(written["params"]) == list(Params.__dataclass_fields__)
    assert written["name"] == preset


def test_every_preset_has_its_file_and_no_other_lies_there() -> None:
    policies = {f"policy-{name}" for name in PRESETS}
    assert {p.stem for p in (PROTOCOLS / "presets").iterdir()} == PRESETS.keys() | policies


def policy_rows() -> list[list[str]]:
    return table(section("policy.md", "1. Numbers"))


def exact(number: str) -> int:
    """Read `12` and `12e3`, without the rounding of floats."""
    digits, _, zeros = number.partition("e")
    return int(digits) * 10 ** int(zeros or 0)


def test_the_text_gives_each_number_of_the_policy_its_unit_and_bounds_in_order() -> None:
    text = [(row[0], row[1], exact(row[2]), exact(row[3])) for row in policy_rows()]
    assert text == [
        (parameter.label, spec.unit, spec.least, spec.most)
        for parameter, spec in policy.SPECS.items()
    ]
    assert list(policy.SPECS) == list(policy.Parameter)


@pytest.mark.parametrize(("preset", "column"), [("minimal", 4), ("mainnet", 5)])
def test_text_code_and_json_give_a_policy_the_same_numbers(preset: str, column: int) -> None:
    text = {row[0]: exact(row[column]) for row in policy_rows()}
    written = json.loads((PROTOCOLS / "presets" / f"policy-{preset}.json").read_text("utf-8"))
    code = policy.PRESETS[preset]
    by_label = {parameter.label: value for parameter, value in code.parameters.items()}
    assert text == by_label == {k: int(v) for k, v in written["parameters"].items()}
    assert list(written["parameters"]) == [parameter.label for parameter in policy.Parameter]
    assert tuple(written["distribution"]) == code.distribution
    assert written["name"] == preset


@pytest.mark.parametrize("row", table(section("README.md", "5. Limits")), ids=lambda row: row[0])
def test_a_limit_in_the_text_is_the_codes(row: list[str]) -> None:
    assert set(constants(row[0])) == {int(row[1])}


def test_the_text_names_every_limit_of_the_core() -> None:
    named = {row[0] for row in table(section("README.md", "5. Limits"))}
    limits = {
        name
        for module in CORE
        for name, value in vars(module).items()
        if name.endswith(("_MAX", "_MIN")) and not name.startswith("_") and isinstance(value, int)
    }
    assert limits <= named


def test_the_text_names_every_tag_of_the_core_with_its_bytes() -> None:
    text = {
        row[0]: row[1].encode()
        for row in table(section("README.md", "3. Hashes, tags and signatures"))
    }
    code = {
        name.lstrip("_"): value
        for module in CORE
        for name, value in vars(module).items()
        if name.endswith("_TAG")
    }
    assert text == code


def test_no_two_tags_are_equal_and_none_begins_another() -> None:
    tags = [row[1] for row in table(section("README.md", "3. Hashes, tags and signatures"))]
    assert not [(a, b) for a in tags for b in tags if a != b and b.startswith(a)]
    assert len(set(tags)) == len(tags)


def test_the_text_gives_every_outcome_its_byte() -> None:
    rows = table(section("audit.md", "3. The auditor"))
    assert {row[1]: int(row[0]) for row in rows} == {o.name: int(o) for o in Outcome}


# ------------------------------------------------------------------------------- messages


def messages_in_text() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return message -> (its section, its fields with their types) of all pages."""
    found = {}
    for page in PROTOCOLS.glob("*.md"):
        for name in re.findall(r"^### Message: (\w+)$", page.read_text("utf-8"), re.MULTILINE):
            assert name not in found, f"{name} is described twice"
            text = section(page.name, f"Message: {name}")
            rows = table(text)
            assert [row[0] for row in rows] == [str(i + 1) for i in range(len(rows))]
            found[name] = text, [(row[1], row[2]) for row in rows]
    return found


def messages_in_code() -> dict[str, type[Message]]:
    return {
        name: value
        for module in [*CORE, *WORKLOADS]
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Message) and value is not Message
    }


def span(low: int | None, high: int | None) -> str:
    if low == high:
        return f"[{high}]"
    return f"[{low or ''}..{high}]"


def word_for(kind: mi.Type) -> str:
    """Return how the text calls a type."""
    match kind:
        case mi.IntType(ge=low, le=high):
            found = "uint" if (low, high) == (0, INTEGER_MAX) else f"{low}..{high}"
        case mi.BytesType(min_length=low, max_length=high):
            found = f"bytes{span(low, high)}"
        case mi.StrType(max_length=high):
            found = f"text{span(0, high)}"
        case mi.BoolType():
            found = "bool"
        case mi.VarTupleType(item_type=item, max_length=high):
            found = f"list{span(0, high)} of {word_for(item)}"
        case mi.StructType(cls=cls):
            found = cls.__name__
        case _:
            raise AssertionError(f"the text has no word for {kind}")
    return found


def test_the_text_describes_every_message_and_no_other() -> None:
    assert messages_in_text().keys() == messages_in_code().keys()


@pytest.mark.parametrize("name", messages_in_code())
def test_a_messages_fields_in_the_text_are_the_codes_in_order_type_and_bound(name: str) -> None:
    info = mi.type_info(messages_in_code()[name])
    assert isinstance(info, mi.StructType)
    text, fields = messages_in_text()[name]
    assert fields == [(f.name, word_for(f.type)) for f in info.fields]
    tags = re.findall(r"^Tag (\d+)\.", text, re.MULTILINE)
    assert tags == ([] if info.tag is None else [str(info.tag)])


@pytest.mark.parametrize(
    ("text", "union"),
    [
        ((PROTOCOLS / "sync.md").read_text("utf-8"), Question),
        (section("council.md", "3. How governors ask each other"), council.Question),
    ],
    ids=["sync", "council"],
)
def test_the_table_of_questions_gives_each_its_tag_and_names_its_answer(
    text: str, union: object
) -> None:
    rows = table(text)
    kinds = mi.type_info(union)
    assert isinstance(kinds, mi.UnionType)
    tags = {t.cls.__name__: t.tag for t in kinds.types if isinstance(t, mi.StructType)}
    assert {row[0]: int(row[1]) for row in rows} == tags
    assert {row[2].split("`")[0] for row in rows} <= messages_in_code().keys()


# ------------------------------------------------------------------------------- words


def judged_in_text() -> dict[str, str]:
    return {row[0]: row[1] for row in table(section("batch.md", "2. Judging a gossiped batch"))}


def test_the_words_of_judgement_in_the_text_are_the_codes() -> None:
    assert judged_in_text() == {word: str(j).upper() for word, j in JUDGEMENTS.items()}
    assert list(judged_in_text()) == list(JUDGEMENTS)


def test_the_words_of_judgement_of_rounds_in_the_text_are_the_codes() -> None:
    text = section("beacon.md", "Judging a gossiped round")
    rows = [(row[0], row[1]) for row in table(text)]
    assert rows == [(word, str(j).upper()) for word, j in NEWS_JUDGEMENTS.items()]
    assert set(NEWS_JUDGEMENTS) <= set(re.findall(r"`([a-z-]+)`", text[text.index("\n1. ") :]))


def test_the_checks_name_every_word_of_judgement() -> None:
    text = section("batch.md", "2. Judging a gossiped batch")
    checks = set(re.findall(r"`([a-z-]+)`", text[text.index("\n1. ") :]))
    assert set(JUDGEMENTS) <= checks


def test_every_reason_the_core_raises_stands_in_the_text() -> None:
    raised = {
        word
        for module in CORE
        for word in re.findall(
            r'(?:ProtocolError|DkgFailed)\(\s*"([a-z-]+)"', inspect.getsource(module)
        )
    }
    text = "\n".join(p.read_text("utf-8") for p in PROTOCOLS.glob("*.md"))
    assert {w for w in raised if f"`{w}`" not in text} == set()


def test_the_glossary_is_sorted_and_each_word_stands_once() -> None:
    words = [row[0] for row in table(section("README.md", "6. Words"))]
    assert words == sorted(words)
    assert len(words) == len(set(words))


def test_the_pages_use_the_words_of_the_glossary() -> None:
    never = r"\b(oracle|auditee|prover|membership|slot lottery|Merkle root hash|union of states)\b"
    for page in PAGES:
        assert not re.findall(never, page.read_text("utf-8"), re.IGNORECASE), page


def test_every_word_of_the_glossary_is_used() -> None:
    text = "\n".join(p.read_text("utf-8").lower() for p in PAGES if p.name != "README.md")
    words = [w for row in table(section("README.md", "6. Words")) for w in row[0].split(", ")]
    assert [w for w in words if w not in text] == []


# ------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROTOCOLS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for path in re.findall(r"`(vectors/[\w.]+|contracts/[\w./]+)`", text):
        assert (PROTOCOLS / path).exists(), path


def test_every_page_is_in_the_index() -> None:
    index = (PROTOCOLS / "README.md").read_text("utf-8")
    assert [
        p.name
        for p in PROTOCOLS.glob("*.md")
        if f"]({p.name})" not in index and p.name != "README.md"
    ] == []


def test_every_vector_file_is_described_and_used_by_a_page() -> None:
    format_page = (PROTOCOLS / "vectors" / "README.md").read_text("utf-8")
    pages = "\n".join(p.read_text("utf-8") for p in PROTOCOLS.glob("*.md"))
    assert [n for n in FILES if f"`{n}.json`" not in format_page] == []
    shared = {"world"}
    assert [n for n in FILES if f"`vectors/{n}.json`" not in pages and n not in shared] == []


def test_decisions_are_numbered_without_gaps_and_say_context_decision_consequences() -> None:
    pages = sorted((PROTOCOLS / "decisions").glob("*.md"))
    assert [int(p.name[:4]) for p in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


# ------------------------------------------------------------------------------- services


def test_the_text_says_how_late_a_question_may_come_and_when_a_view_is_sick() -> None:
    audit = " ".join((PROTOCOLS / "audit.md").read_text("utf-8").split())
    early, late = responder.AHEAD_ROUNDS_MAX, responder.BEHIND_ROUNDS_MAX
    assert f"from {late} before to {early} after the last round due by our clock" in audit
    assert f"of at least {auditor.SICK_PROBES_MIN} probes more than half are UNREACHABLE" in audit


def test_the_text_says_when_a_batch_is_published() -> None:
    batch = " ".join((PROTOCOLS / "batch.md").read_text("utf-8").split())
    assert f"`settle_rounds * period_ms // {gossip.JITTER_PARTS}` later" in batch
