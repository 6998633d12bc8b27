"""A function is found with what it needs, wherever its cell went."""

import pytest

from privlab.classroom.exercises import find
from privlab.classroom.submission import Submission


def submission(*cells):
    return Submission((cell, "") if isinstance(cell, str) else cell for cell in cells)


@pytest.mark.parametrize(
    "cells",
    [
        ["import math\nroot = math.sqrt\ndef f(x):\n    return root(x)"],
        ["import math", "root = math.sqrt", "def f(x):\n    return root(x)"],
        ["def f(x):\n    return root(x)", "from math import sqrt as root"],
        ["def f(x):", "    return root(x)", "from math import sqrt as root"],
        ["def f(x):\n    'Say.'", "    import math\n    y = math.sqrt(x)", "    return y"],
        ["def f(x):\n    return 0", "from math import *", "import math", "def f(x):\n    return math.sqrt(x)"],
        ["%matplotlib inline\n!ls\nimport math", "f = math.sqrt"],
        ["def broken(:", "import math", "def f(x):\n    return math.sqrt(x)", "f(:"],
        ["while True:\n    pass", "import math\n1 / 0\ndef f(x):\n    return math.sqrt(x)"],
        ["import math\nclass Root:\n    power = math.sqrt", "f = lambda x: Root.power(x)"],
        ["def f(x):\n    return g(x)", "def g(x):\n    return x**half", "half = 1\nhalf /= 2"],
    ],
)
def test_cells_may_be_split_moved_and_broken(cells):
    assert submission(*cells).run("f")(9.0) == 3


def test_only_what_is_needed_is_run(tmp_path):
    cells = [
        "import pathlib",
        f"touched = pathlib.Path({str(tmp_path / 'touched')!r}).touch()",
        "def f(touched):\n    return touched",
    ]
    assert submission(*cells).run("f")(3) == 3
    assert list(tmp_path.iterdir()) == []
    submission(*cells, "def f():\n    return touched").run("f")
    assert [path.name for path in tmp_path.iterdir()] == ["touched"]


def test_what_fails_on_the_way_is_named_when_it_is_used():
    function = submission("root = undefined.sqrt", "def f(x):\n    return root(x)").run("f")
    with pytest.raises(NameError, match="root"):
        function(1)


def test_a_renamed_function_is_found_by_its_cell():
    exercise = find("13.b")
    fewer = ("def mine(W):\n    return 1", "13-b")
    assert submission("import os", fewer).name_of(exercise) is None
    marked = ("def mine(W, c):\n    return 1", "13-b")
    assert submission("def fastest(W, c): ...", marked).name_of(exercise) == "fastest"
    assert submission("import os", marked).name_of(exercise) == "mine"
    assert submission("import os", ("a = 1", "13-b")).name_of(exercise) is None
    assert submission(("def a(W, c): ...\ndef b(W, c): ...", "13-b")).name_of(exercise) is None
    assert submission("def other(): ...").name_of(exercise) is None


def test_an_error_names_the_line_in_its_cell():
    function = submission("\n\nimport math\n\ndef f(x):\n    y = x\n    return math.root(y)").run("f")
    with pytest.raises(AttributeError) as raised:
        function(1)
    assert raised.traceback[-1].lineno == 6
    assert "math.root" in str(raised.traceback[-1].statement)
