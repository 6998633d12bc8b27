"""The committed gallery is what the lessons' saved outputs give."""

from base64 import b64encode

import gallery
import nbformat
import pytest
from lessons import NOTEBOOKS, Lesson
from nbformat.v4 import new_code_cell, new_notebook, new_output


def test_the_gallery_is_up_to_date():
    files = gallery.gallery()
    committed = {path.relative_to(gallery.DOCS).as_posix() for path in (gallery.DOCS / "gallery").iterdir()}
    assert committed | {"gallery.md"} == {*files}
    stale = [name for name, content in files.items() if (gallery.DOCS / name).read_bytes() != content]
    assert stale == [], "make gallery"


def test_every_lesson_shows_one_or_two_pictures_and_all_are_small():
    chosen = [gallery.chosen(Lesson(path)) for path in NOTEBOOKS]
    assert {*map(len, chosen)} <= {1, 2}
    assert sum(len(picture.png) for pictures in chosen for picture in pictures) < 1_200_000


def cell(name: str, *tags: str) -> nbformat.NotebookNode:
    data = {"image/png": b64encode(name.encode()).decode()}
    output = new_output("display_data", data=data, metadata={"image/png": {"alt": name}})
    return new_code_cell(outputs=[output], metadata={"tags": [*tags]})


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ("a:figure b:figure w:widget c:figure d:figure", ["b", "d"]),
        ("a:figure b:figure w:widget", ["b"]),
        ("a:figure b:figure,timing w:widget c:figure,timing", ["a"]),
        ("w:widget a:figure b:figure", ["a", "b"]),
        ("a:figure,timing w:widget v:widget", ["w"]),
        ("a:plain w:widget b:attack", ["w"]),
    ],
)
def test_choice(cells, names, tmp_path):
    made = [cell(name, *tags.split(",")) for name, tags in (part.split(":") for part in cells.split())]
    path = tmp_path / "05_lesson.ipynb"
    nbformat.write(new_notebook(cells=made), path)
    assert [picture.png.decode() for picture in gallery.chosen(Lesson(path))] == names


def test_running_it_writes_the_files_and_removes_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "DOCS", tmp_path)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "99_1.png").touch()
    gallery.main()
    written = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert written == gallery.gallery()
