"""``python -m privlab``: the main experiment in a terminal."""

import subprocess
import sys

import pytest

from privlab.__main__ import main
from privlab.leakage import Frontier


def test_the_experiment_prints_a_table_and_writes_picture_and_results(tmp_path):
    command = [sys.executable, "-m", "privlab", "frontier", "--noise", "0", "8", "--shadow-models", "4"]
    command += ["--shards", "1", "4", "--trust", "local"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split()[:3] == ["noise", "epsilon", "accuracy"]
    assert [line.split()[0] for line in lines[1:5]] == ["0", "8", "0", "8"]
    assert [line.split()[6:8] for line in lines[1:5]] == [["1", "local"]] * 2 + [["4", "local"]] * 2
    assert lines[1].split()[1] == "inf"
    assert "3/3" in run.stderr  # the progress bar: one stack each at noise 0, 8 and, in the sum of four shards, 16
    points = Frontier.load(tmp_path / "frontier.json").points
    assert f"{points[1].accuracy:.1%}" in lines[2]
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--noise", "-1"], "noise_multipliers is -1"),
        (["--shards", "1", "0"], "shards is 0"),
        (["--trust", "secure-sum", "nobody"], "trust is 'nobody'"),
        (["--shadow-models", "2"], "shadow_models is 2"),
        (["--json", "nowhere/frontier.json"], "nowhere"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_traceback(given, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["frontier", *given])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
