"""Write the gallery: one or two pictures of each lesson, as they stand in its saved outputs, and a page that shows them.

python docs/gallery.py
"""

from pathlib import Path

from lessons import NOTEBOOKS, Lesson, Picture, pictures, tags

DOCS = Path(__file__).parent


def chosen(lesson: Lesson) -> list[Picture]:
    """Return the picture of the lesson's main figure, which stands right before its widget, and of its last figure.

    Times differ from run to run, so figures of times are passed over. Where no figure is left, the widget's picture serves.
    """
    parts = [(tags(cell), cell) for cell in lesson.cells]
    widget = next(place for place, (part, _) in enumerate(parts) if "widget" in part)
    steady = [place for place, (part, _) in enumerate(parts) if "figure" in part and "timing" not in part]
    if not steady:
        return pictures(parts[widget][1])[:1]
    main = max((place for place in steady if place < widget), default=steady[0])
    return [pictures(parts[place][1])[-1] for place in dict.fromkeys((main, steady[-1]))]


def gallery() -> dict[str, bytes]:
    """Return the gallery's files, by their names relative to the documentation's folder."""
    files, page = {}, ["# Gallery", "One or two pictures of each lesson, and the question that they help to answer."]
    for lesson in map(Lesson, NOTEBOOKS):
        page += [f"## [{lesson.number} {lesson.title}](../notebooks/{lesson.path.name})", lesson.question]
        for number, picture in enumerate(chosen(lesson), 1):
            name = f"gallery/{lesson.number}_{number}.png"
            files[name] = picture.png
            page.append(f"![{picture.alt}]({name})")
    return files | {"gallery.md": ("\n\n".join(page) + "\n").encode()}


def main() -> None:
    """Replace the gallery."""
    files = gallery()
    (DOCS / "gallery").mkdir(exist_ok=True)
    for stale in {*(DOCS / "gallery").glob("*.png")} - {DOCS / name for name in files}:
        stale.unlink()
    for name, content in files.items():
        (DOCS / name).write_bytes(content)


if __name__ == "__main__":
    main()
