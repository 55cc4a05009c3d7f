"""The door: what `./run` does on machines that lack things, without building anything real.

Each test gets a checkout of its own in a path with a space, and a machine whose PATH holds only the
system's plain tools and stand-ins for Python, compiler, Node.js, apt and uv. The stand-in Python is
the real one, but "makes" an environment in no time.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE_FILES = ("run", "pyproject.toml", "requirements.lock", "requirements-node.lock")
SYSTEM_TOOLS = (
    *(
        "awk",
        "cat",
        "chmod",
        "cmp",
        "cp",
        "date",
        "dirname",
        "env",
        "grep",
        "ls",
        "mkdir",
        "mktemp",
    ),
    *("mv", "nice", "readlink", "rm", "sed", "sh", "sleep", "touch", "tr"),
)
CHECKS = ("ruff", "mypy", "lint-imports", "codespell")

PYTHON = """
case "$*" in
  *ensurepip*) {ensurepip} ;;
  *"-m venv"*)
    {venv}
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    printf '#!/bin/sh\\necho "$PWD: $*"\\n' >"$3/bin/stkrp2p"
    cp "$STANDINS/uv" "$3/bin/uv"
    chmod +x "$3/bin/stkrp2p"
    echo made >>"$STANDINS/venvs" ;;
  *"-m pip"*config*) exit 1 ;;
  *"-m pip"*) exit 0 ;;
  *"-m pytest"*) exec "$STANDINS/tested" "${{COVERAGE_FILE:-plain}}" "$@" ;;
  *) exec "{real}" "$@" ;;
esac
"""


class Machine:
    """A machine made of stand-ins, and a checkout on it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.checkout = folder / "a checkout"
        self.home = folder / "home"
        for made in (self.bin, self.checkout, self.home):
            made.mkdir()
        for name in HOUSE_FILES:
            shutil.copy(ROOT / name, self.checkout / name)
        for name in SYSTEM_TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        self.python()
        self.tool("cc", "exec cat >/dev/null")
        self.tool("id", "echo 1000")
        self.tool("apt-get", f'echo "$*" >>"{self.bin}/apt"')
        self.tool("node", "echo v22.1.0")
        self.tool("npm", "exit 0")
        self.tool("uv", "exit 0")

    def tool(self, name: str, script: str) -> Path:
        """Put a program on the PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def python(self, name: str = "python3", *, ensurepip: str = "exit 0", venv: str = ":") -> Path:
        """Put a Python on the PATH that runs these shell commands where named."""
        script = PYTHON.format(real=sys.executable, ensurepip=ensurepip, venv=venv)
        return self.tool(name, script)

    def start(self, *args: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start `./run` and return at once."""
        return subprocess.Popen(
            [str(self.checkout / "run"), *args],
            cwd=cwd or self.home,
            env={"HOME": str(self.home), "PATH": str(self.bin), "STANDINS": str(self.bin), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *args: str, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `./run` to its end."""
        process = self.start(*args, cwd=cwd, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def log(self, name: str) -> list[str]:
        """Return what the stand-ins wrote down under this name."""
        path = self.bin / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def is_set_up(self) -> bool:
        """Whether the environment carries its stamp."""
        return (self.checkout / ".venv" / ".stamp").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# ------------------------------------------------------------------------------ what is missing


def test_a_python_that_is_too_old_is_refused_by_name(machine: Machine) -> None:
    machine.tool("python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')

    done = machine.run("setup")

    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13; python3 is: Python 3.9.2" in done.stderr


def test_an_interpreter_that_is_asked_for_is_never_replaced_by_another(machine: Machine) -> None:
    old = machine.tool("old", 'if [ "$1" = --version ]; then echo Python 3.10.1; else exit 1; fi')

    done = machine.run("setup", PYTHON=str(old))

    assert done.returncode == 1
    assert f"{old} is: Python 3.10.1" in done.stderr


def test_a_later_python_serves_where_the_default_one_is_too_old(machine: Machine) -> None:
    machine.tool("python3", "exit 1")
    machine.python("python3.12")

    assert machine.run("setup").returncode == 0


VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def lacks_gmp(machine: Machine) -> None:
    machine.tool("cc", "! grep -q gmp.h")


def lacks_compiler(machine: Machine) -> None:
    (machine.bin / "cc").unlink()


def lacks_ensurepip(machine: Machine) -> None:
    machine.python(ensurepip="exit 1")


@pytest.mark.parametrize(
    ("take_away", "packages"),
    [
        (lacks_gmp, "libgmp-dev"),
        (lacks_compiler, "gcc libc6-dev libgmp-dev"),
        (lacks_ensurepip, f"python{VERSION}-venv"),
    ],
    ids=["gmp", "compiler", "venv"],
)
def test_a_user_is_told_exactly_what_to_install(
    machine: Machine, take_away: Callable[[Machine], None], packages: str
) -> None:
    take_away(machine)

    done = machine.run("setup")

    assert done.returncode == 1
    assert f"sudo apt-get install -y {packages}\n" in done.stderr
    assert machine.log("apt") == []
    assert not machine.is_set_up


def test_root_gets_what_is_missing_installed(machine: Machine) -> None:
    lacks_gmp(machine)
    machine.tool("id", "echo 0")
    machine.tool("ip", "")
    machine.tool("nft", "")

    done = machine.run("setup")

    assert done.returncode == 0
    assert machine.log("apt") == [
        "update -qq",
        "install -y -qq --no-install-recommends libgmp-dev",
    ]


def test_root_gets_what_partition_tests_need_installed(machine: Machine) -> None:
    machine.tool("id", "echo 0")

    done = machine.run("setup")

    assert done.returncode == 0
    assert machine.log("apt")[-1] == ("install -y -qq --no-install-recommends iproute2 nftables")


def test_a_failed_step_shows_what_its_command_said(machine: Machine) -> None:
    lacks_gmp(machine)
    machine.tool("id", "echo 0")
    machine.tool("apt-get", "echo no such package; exit 100")

    done = machine.run("setup")

    assert done.returncode == 1
    assert "no such package" in done.stderr
    assert "failed: installing libgmp-dev" in done.stderr


@pytest.mark.parametrize("node", ["exit 127", "echo v18.19.0"], ids=["absent", "too old"])
def test_node_is_installed_from_its_lock_where_it_is_missing(machine: Machine, node: str) -> None:
    machine.tool("node", node)
    machine.tool("uv", f'echo "$*" >>"{machine.bin}/uv-calls"')

    done = machine.run("testnet", "status")

    assert "installing Node.js" in done.stderr
    assert machine.log("uv-calls")[-1].endswith("requirements-node.lock")


# ------------------------------------------------------------------------------ set-up, once


def test_help_sets_nothing_up(machine: Machine) -> None:
    done = machine.run("help")

    assert "./run testnet" in done.stdout
    assert not (machine.checkout / ".venv").exists()


def test_a_second_start_sets_nothing_up(machine: Machine) -> None:
    machine.run("setup")

    again = machine.run("setup")

    assert again.stderr == ""
    assert machine.log("venvs") == ["made"]


def test_a_half_made_environment_is_never_used(machine: Machine) -> None:
    machine.python(venv='mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo disk full; exit 1')
    first = machine.run("status")
    assert first.returncode == 1
    assert "disk full" in first.stderr
    assert not machine.is_set_up

    machine.python()
    second = machine.run("status")

    assert second.returncode == 0
    assert machine.log("venvs") == ["made"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-node.lock"])
def test_a_changed_lock_makes_the_environment_anew(machine: Machine, name: str) -> None:
    machine.run("setup")
    with (machine.checkout / name).open("a") as lock:
        lock.write("# changed\n")

    machine.run("setup")

    assert machine.log("venvs") == ["made", "made"]


def test_changed_metadata_installs_only_the_project_anew(machine: Machine) -> None:
    machine.run("setup")
    with (machine.checkout / "pyproject.toml").open("a") as pyproject:
        pyproject.write("# changed\n")

    again = machine.run("setup")

    assert "installing stkrp2p" in again.stderr
    assert machine.log("venvs") == ["made"]


def test_a_checkout_that_was_moved_is_set_up_anew(machine: Machine) -> None:
    machine.run("setup")
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))

    machine.run("setup")

    assert machine.log("venvs") == ["made", "made"]


def test_two_starts_at_once_set_up_once(machine: Machine) -> None:
    machine.python(venv='touch "$STANDINS/began"; until [ -f "$STANDINS/go" ]; do sleep 0.02; done')
    first = machine.start("status")
    deadline = time.monotonic() + 30
    while not (machine.bin / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = machine.start("id")
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()

    (machine.bin / "go").touch()

    assert (first.communicate(timeout=30)[0], second.communicate(timeout=30)[0]) == (
        f"{machine.home}: status\n",
        f"{machine.home}: id\n",
    )
    assert machine.log("venvs") == ["made"]


def test_npm_packages_are_installed_again_only_when_their_lock_changes(machine: Machine) -> None:
    contracts = machine.checkout / "protocols" / "contracts"
    contracts.mkdir(parents=True)
    lock = contracts / "package-lock.json"
    lock.write_text("{}\n")
    machine.tool("npm", f'mkdir node_modules && echo "$*" >>"{machine.bin}/npm-calls"')

    for text in ("{}\n", "{}\n", '{"changed": true}\n'):
        lock.write_text(text)
        assert machine.run("testnet", "status").returncode == 0

    calls = machine.log("npm-calls")
    assert len(calls) == 2
    assert all("--ignore-scripts" in call for call in calls)


def test_an_index_named_in_pips_settings_is_left_to_pip(machine: Machine) -> None:
    machine.tool("uv", f'echo "$*" >>"{machine.bin}/uv-calls"')

    done = machine.run("setup", PIP_INDEX_URL="https://mirror.example/simple")

    assert done.returncode == 0
    assert machine.log("uv-calls") == []


# ------------------------------------------------------------------------------ commands


def test_any_other_word_is_a_command_of_stkrp2p_in_the_callers_folder(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.run("score", "--json", "a b", cwd=tmp_path)

    assert done.stdout == f"{tmp_path}: score --json a b\n"


def test_testnet_alone_runs_a_few_epochs(machine: Machine) -> None:
    assert machine.run("testnet").stdout.endswith(": testnet up --epochs 3\n")


def test_testnet_with_arguments_passes_them_on(machine: Machine) -> None:
    done = machine.run("testnet", "up", "--nodes", "5")

    assert done.stdout.endswith(": testnet up --nodes 5\n")


def test_a_link_to_run_finds_the_checkout(machine: Machine, tmp_path: Path) -> None:
    link = tmp_path / "stk"
    link.symlink_to(machine.checkout / "run")

    done = subprocess.run(
        [str(link), "help"],
        env={"PATH": str(machine.bin), "HOME": str(machine.home)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "./run test" in done.stdout


@pytest.fixture
def tested(machine: Machine) -> Machine:
    """A machine on which checks and tests only say that they ran."""
    for name in CHECKS:
        machine.tool(name, "exit 0")
    machine.tool("tested", 'echo "$*" >>"$STANDINS/ran"')
    machine.tool("coverage", 'exec "$STANDINS/tested" "${COVERAGE_FILE:-all}" "$@"')
    forge = machine.checkout / "protocols" / "contracts" / "node_modules" / ".bin" / "forge"
    forge.parent.mkdir(parents=True)
    shutil.copy(machine.tool("forge", 'exec "$STANDINS/tested" forge "$@"'), forge)
    return machine


def ignored(line: str) -> set[str]:
    return {w.removeprefix("--ignore=") for w in line.split() if w.startswith("--ignore=")}


def test_every_test_is_run_once_and_what_is_heavy_without_coverage(tested: Machine) -> None:
    done = tested.run("test")

    assert done.returncode == 0, done.stdout
    ran = tested.log("ran")
    named = [word for line in ran for word in line.split() if word.startswith("tests/")]
    assert len(named) == len(set(named)), "no part twice, though three rows share them"
    assert all((ROOT / name).is_dir() for name in named)
    (inside,) = [line for line in ran if line.startswith(".coverage.inside")]
    (heavy,) = [line for line in ran if "-m heavy" in line]
    assert ignored(inside) == set(named), "what one part leaves out, another runs"
    traced = [line for line in ran if "run -m pytest" in line]
    assert all("not heavy" in line for line in traced)
    elsewhere = {w for line in traced for w in line.split() if w.startswith("tests/")}
    assert ignored(heavy) == set(named) - elsewhere


@pytest.mark.parametrize("part", ["tests/e2e", "forge test", "coverage.inside", "combine"])
def test_a_part_that_fails_fails_the_whole_and_the_others_run_nevertheless(
    tested: Machine, part: str
) -> None:
    held = tested.run("test")
    assert (held.returncode, "all held" in held.stdout) == (0, True)
    ran = sorted(tested.log("ran"))
    (tested.bin / "ran").unlink()
    script = f'echo "$*" >>"$STANDINS/ran"; case "$*" in *"{part}"*) echo why; exit 1 ;; esac'
    tested.tool("tested", script)

    done = tested.run("test")

    assert done.returncode == 1
    assert "why" in done.stdout
    assert "failed after" in done.stdout
    assert sorted(tested.log("ran")) == ran


@pytest.mark.parametrize("name", ["run", ".ci/run"])
def test_the_scripts_are_executable_and_parse(name: str) -> None:
    script = ROOT / name
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"

    assert os.access(script, os.X_OK)
    subprocess.run([shell, "-n", str(script)], check=True)
