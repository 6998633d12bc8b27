"""``environment.yml`` asks for what ``pyproject.toml`` asks for; the Makefile does what the README says."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def from_conda(text: str) -> dict[str, Requirement]:
    return {
        r.name: r for r in map(Requirement, (d for d in yaml.safe_load(text)["dependencies"] if isinstance(d, str)))
    }


def from_project(text: str) -> dict[str, Requirement]:
    project = tomllib.loads(text)["project"]
    wanted = [Requirement(line) for line in (f"python{project['requires-python']}", "pip", *project["dependencies"])]
    return {CONDA_NAMES.get(r.name, r.name): r for r in wanted}


def differences(conda: str, project: str) -> list[str]:
    ours, theirs = from_project(project), from_conda(conda)
    names = sorted(ours.keys() | theirs.keys())
    return [n for n in names if n not in ours or n not in theirs or ours[n].specifier != theirs[n].specifier]


def test_conda_and_pip_ask_for_the_same():
    assert differences((ROOT / "environment.yml").read_text(), (ROOT / "pyproject.toml").read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"), [("numpy>=2.0", "numpy>=1.26"), ("  - tqdm>=4.66\n", ""), ("python>=3.11", "python>=3.9")]
)
def test_a_difference_is_found(old, new):
    conda = (ROOT / "environment.yml").read_text()
    assert old in conda
    assert len(differences(conda.replace(old, new), (ROOT / "pyproject.toml").read_text())) == 1


def test_conda_installs_the_project_last_and_from_one_channel():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"][-1] == {"pip": ["-e ."]}


@pytest.mark.parametrize(
    ("target", "commands"),
    [
        ("test", ["ruff check", "ruff format --check", "mypy", "pytest"]),
        ("lab", ["jupyter lab notebooks/00_start_here.ipynb"]),
        ("notebooks", ["python notebooks/execute.py"]),
    ],
)
def test_make_runs(target, commands):
    printed = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    positions = [printed.find(command) for command in ["pip install", *commands]]
    assert -1 not in positions
    assert positions == sorted(positions)


def test_the_readme_names_every_target():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text())) == {*targets}
