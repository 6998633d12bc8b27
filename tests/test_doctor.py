"""The doctor: all is well here, and each thing that can be wrong is found, named and given a fix."""

import multiprocessing
import subprocess
import sys
import tempfile
import time
from importlib import metadata

import pytest

from privlab import __main__, doctor


def found(check):
    (finding,) = check()
    return finding


def test_all_is_well_here():
    result = subprocess.run([sys.executable, "-m", "privlab", "doctor"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert all(line.startswith("OK    ") for line in lines)
    for needed in ("Python 3", "numpy", "threadpoolctl", "widgets", "core", "2 worker processes", "temporary files"):
        assert any(needed in line for line in lines), needed


def test_extras_are_not_needed():
    assert not [f for f in doctor.packages() if f.what.startswith(("pytest", "playwright", "nbval"))]


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    assert str(found(doctor.python)).startswith("FAIL  Python 3.9.1 (needs >=3.11)\n      fix: ")


@pytest.mark.parametrize("version", ["1.26.4", None])
def test_an_old_or_missing_package(monkeypatch, version):
    def installed(name):
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    numpy = next(finding for finding in doctor.packages() if finding.what.startswith("numpy"))
    assert numpy.what == f"numpy {version or 'missing'} (needs >=2.0)"
    assert 'pip install "numpy>=2.0"' in numpy.fix


def test_a_lab_without_widgets(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    assert "jupyterlab_widgets" in found(doctor.widgets_in_lab).fix


def test_more_threads_than_cores(monkeypatch):
    libraries = [{"user_api": "blas", "internal_api": "openblas", "num_threads": n} for n in (4, 5)]
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: libraries)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    cores, four, five = doctor.cores_and_threads()
    assert (cores.what, cores.fix, four.fix) == ("4 processor cores", "", "")
    assert "OPENBLAS_NUM_THREADS" in five.fix


def left() -> list:
    """Child processes but those of a cluster that other tests in this process share."""
    return [child for child in multiprocessing.active_children() if "Dask" not in child.name]


def test_processes_that_do_not_answer():
    finding = found(lambda: doctor.processes(seconds=0.01))
    assert finding.what == "no answer from two worker processes in 0.01 s (TimeoutError)"
    assert finding.fix
    deadline = time.monotonic() + 10
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left()


def test_no_room_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert "TMPDIR" in found(doctor.temporary_files).fix


def test_one_wrong_thing_decides_and_a_broken_check_stops_no_other(capsys):
    def broken():
        raise ImportError("no module named x")
        yield

    def well():
        yield doctor.Finding("water is wet")

    assert doctor.report((well,)) == 0
    assert doctor.report((broken, well)) == 1
    printed = capsys.readouterr().out
    assert "FAIL  broken: ImportError: no module named x\n      fix: " in printed
    assert printed.endswith("OK    water is wet\n")


def test_the_command_line_wants_a_command(capsys, monkeypatch):
    with pytest.raises(SystemExit, match="2"):
        __main__.main([])
    assert "COMMAND" in capsys.readouterr().err
    monkeypatch.setattr(doctor, "report", lambda: 1)
    assert __main__.main(["doctor"]) == 1
