"""Rules for the project's own files: pinned, portable, and telling the truth about each other."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()
LOCKS = ("requirements.lock", "requirements-node.lock")


def tracked(pattern: str = "*") -> list[Path]:
    """Return the files under version control that match a git pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pins(lock: str) -> dict[str, tuple[Version, str]]:
    """Return a lock's packages: name, version, and the entry's text."""
    entries = re.split(r"^(?=\S)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    found = {}
    for entry in filter(None, entries):
        pin = re.match(r"([a-z0-9._-]+)==([^\s;]+)", entry)
        assert pin, f"not a pin: {entry.splitlines()[0]}"
        found[pin[1]] = (Version(pin[2]), entry)
    return found


# ------------------------------------------------------------------------------ locks


@pytest.mark.parametrize("lock", LOCKS)
def test_every_python_package_is_pinned_by_hash(lock: str) -> None:
    packages = pins(lock)

    assert packages
    assert [name for name, (_, entry) in packages.items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_python_locks_name_no_address(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", (ROOT / lock).read_text())


def test_every_npm_package_is_pinned_by_hash_and_names_no_address() -> None:
    locks = tracked("*package-lock.json")
    assert locks
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        packages.pop("")
        assert packages
        assert [name for name, entry in packages.items() if "integrity" not in entry] == []
        assert [name for name, entry in packages.items() if "resolved" in entry] == []


def named_requirements() -> list[tuple[str, Requirement]]:
    """Return every requirement of pyproject.toml, with the lock that must hold it."""
    groups = PYPROJECT["dependency-groups"]
    named = [("requirements.lock", r) for r in PYPROJECT["project"]["dependencies"]]
    named += [
        ("requirements-node.lock" if group == "node" else "requirements.lock", entry)
        for group, entries in groups.items()
        for entry in entries
        if isinstance(entry, str)
    ]
    return [(lock, Requirement(text)) for lock, text in named]


@pytest.mark.parametrize(("lock", "requirement"), named_requirements(), ids=str)
def test_the_locks_hold_what_pyproject_names(lock: str, requirement: Requirement) -> None:
    version, _ = pins(lock)[requirement.name]

    assert requirement.specifier.contains(version)


# ------------------------------------------------------------------------------ any file


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    forbidden = re.compile(
        r"pypi\.(org|python)|pythonhosted\.org|registry\.(npmjs|yarnpkg)\.|registry-mirror"
        r"|(?<![\w.~$}<>-])/(home|root|Users|work)/\w",
    )
    here = Path(__file__)
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked()
        if path != here
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]

    assert named == []


def test_text_files_end_their_lines_alike() -> None:
    texts = [path for path in tracked() if b"\0" not in path.read_bytes()[:8000]]

    assert [str(path.relative_to(ROOT)) for path in texts if b"\r\n" in path.read_bytes()] == []


def test_the_wheel_holds_the_node_and_its_test_network(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")

    names = zipfile.ZipFile(wheel).namelist()

    assert {"stkrp2p/__init__.py", "stkrp2p/core/types.py", "testnet/__init__.py"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "stkrp2p",
        "testnet",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


# ------------------------------------------------------------------------------ documents


def shown_commands(text: str) -> set[str]:
    """Return the first words after `./run` in a document's shell blocks and inline code."""
    return set(re.findall(r"(?:^|`|\$ )\./run ([a-z]+)", text, flags=re.MULTILINE))


def door_commands() -> set[str]:
    """Return the words that `./run` itself knows."""
    labels = re.findall(r"^  ([a-z]+)(?: \|.*)?\)$", (ROOT / "run").read_text(), re.MULTILINE)
    return set(labels)


def node_commands() -> set[str]:
    """Return the commands that `stkrp2p --help` lists."""
    listed = subprocess.run(
        [sys.executable, "-c", "from stkrp2p.cli.root import root; root(['--help'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        check=True,
    )
    return set(re.findall(r"^[ │]+([a-z]+)\b", listed.stdout, flags=re.MULTILINE))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "run"])
def test_every_command_a_document_shows_exists(document: str) -> None:
    shown = shown_commands((ROOT / document).read_text().replace("#   ./run", "./run"))
    assert shown

    unknown = shown - door_commands()
    if unknown:
        assert unknown <= node_commands()


def test_the_readme_shows_the_two_commands() -> None:
    assert {"test", "testnet"} <= shown_commands(README)


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]

    assert commands == ["exec ./run test"]
    assert "\n./run test" in README


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not target.startswith("mailto:")
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_commit_hooks_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()

    assert set(re.findall(r"repo: (\S+)", hooks)) == {"local"}
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}
