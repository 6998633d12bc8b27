"""The house rules that a machine can hold: arrows, sizes, no pickle, no global randomness, a quick import."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "privlab").rglob("*.py"))
UNTRACKED = {"__pycache__", "build", "dist", "work", "uv.lock"}
TOP_LEVEL = {
    *("notebooks", "privlab", "tests", "docs", "benchmarks", "environment.yml", "README.md"),
    *("Makefile", "pyproject.toml", "conftest.py", ".ci", ".gitignore", ".gitattributes"),
}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNNAMED = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|anaconda|crates)\.(?:org|com|io)\b"
    r"|(?<![\w.])/(?:work|farm|tmp|root|home)/\w"
    r"|\bDESIGN\.md\b"
)


def tracked() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if (
            path.is_file()
            and not hidden
            and not UNTRACKED & {*parts}
            and not any(p.endswith(".egg-info") for p in parts)
        ):
            yield path


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_imports_point_one_way():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("masking/__init__.py", "import privlab.learning"),
        ("leakage/__init__.py", "from privlab import widgets"),
        ("arguments.py", "import privlab.data"),
        ("widgets/__init__.py", "import privlab.__main__"),
    ],
)
def test_a_wrong_arrow_is_found(module, line, tmp_path):
    shutil.copytree(
        ROOT / "privlab", tmp_path / "privlab", ignore=shutil.ignore_patterns("__pycache__", "package_data")
    )
    file = tmp_path / "privlab" / module
    file.write_text(f"{file.read_text()}\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


@pytest.mark.parametrize("path", [p for p in tracked() if p.suffix == ".py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def pickling(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in PICKLES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES:
            found.append(str(node.module))
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.append("allow_pickle")
    return found


def global_randomness(source: str) -> list[str]:
    """Names of ``np.random`` that are not its classes: they share or hide a state."""
    attributes = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    imports = re.findall(
        r"^\s*(?:import random\b|from random import .*|from numpy.random import [a-z].*)", source, re.M
    )
    return imports + [name for name in attributes if re.fullmatch(r"(?:np|numpy)\.random\.[a-z]\w*", name)]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_and_no_global_randomness(path):
    source = path.read_text(encoding="utf-8")
    assert pickling(source) == []
    assert global_randomness(source) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from joblib import dump", "np.load(f, allow_pickle=True)", "def f():\n    import dill.x"],
)
def test_pickle_is_found(source):
    assert len(pickling(source)) == 1
    assert pickling("np.load(f, allow_pickle=False)") == []


@pytest.mark.parametrize(
    "source", ["np.random.seed(0)", "numpy.random.normal()", "import random", "from numpy.random import rand"]
)
def test_global_randomness_is_found(source):
    assert len(global_randomness(source)) == 1
    assert global_randomness("np.random.Generator(np.random.Philox(1)).normal()") == []


def test_no_file_names_a_registry_or_a_place_on_one_machine():
    found = {}
    for path in tracked():
        if path.suffix not in (".npz", ".png"):
            match = UNNAMED.search(path.read_text(encoding="utf-8", errors="replace"))
            found |= {str(path.relative_to(ROOT)): match[0]} if match else {}
    assert found == {}


@pytest.mark.parametrize("parts", [("pypi.", "org"), ("open('/", "tmp/x')"), ("see DESIGN", ".md"), (" /", "home/ann")])
def test_such_a_name_is_found(parts):
    assert UNNAMED.search("".join(parts))
    assert not UNNAMED.search("notebooks/work/tmp and a/home/b")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_nothing_stray_is_committed():
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {name.split("/")[0] for name in names} == TOP_LEVEL


def test_importing_the_package_is_quick_and_loads_nothing_else():
    code = "import sys, time; t = time.perf_counter(); import privlab; t -= time.perf_counter()"
    code += "; print(-t, 'numpy' in sys.modules)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout.split()[0]) for run in runs) < 0.5
    assert all(run.stdout.split()[1] == "False" for run in runs)
