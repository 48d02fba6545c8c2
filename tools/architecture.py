"""Draw docs/architecture.svg from the code: which room imports from which, in the order data walks.

Run with ``python tools/architecture.py`` after a room was added or began to import from another;
tests/test_architecture.py compares the drawing with the code.
"""

import ast
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "traitscope"
PICTURE = ROOT / "docs" / "architecture.svg"

STEP, LEFT, TOP, WORDS = 22, 110, 46, 560
"""Pixels: of a row, beside the names, above the first row, for what a room says of itself."""

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 font-family="system-ui, sans-serif" font-size="13">
<title>Rooms of traitscope and what each imports from</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{left}" y="20" font-weight="600">Each row is a room; a dot is a room that it imports from.
 All dots lie to the left: data walks down, imports point up.</text>
"""


def order() -> list[str]:
    """The rooms in the order data walks, as the tests of the architecture have it."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ORDER":
            return list(ast.literal_eval(node.value))
    raise SystemExit("tests/test_architecture.py has no ORDER")


def files_of(room: str) -> list[Path]:
    """The Python files of a room, or of one module of the hall."""
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def imported_by(room: str) -> set[str]:
    """Rooms from which the files of a room import, wherever in a file."""
    rooms = set()
    for path in files_of(room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                home, _, rest = node.module.partition(".")
                if home == "traitscope":
                    rooms |= {rest.split(".")[0]} if rest else {a.name for a in node.names}
    return rooms - {room}


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    folder = PACKAGE / room
    face = folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{room}.py"
    text = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split()).replace("``", "").replace("`", "")
    return first if len(first) <= 92 else first[:91].rsplit(" ", 1)[0] + " …"


def draw(rooms: list[str]) -> str:
    """The dependency matrix as SVG."""
    width = LEFT + STEP * len(rooms) + WORDS
    parts = [HEAD.format(width=width, height=TOP + STEP * len(rooms) + 10, left=8)]
    for row, room in enumerate(rooms):
        middle = TOP + STEP * row + STEP // 2
        if row % 2:
            parts.append(
                f'<rect x="0" y="{middle - STEP // 2}" width="{width}" height="{STEP}" '
                f'fill="#f4f6f9"/>'
            )
        used = imported_by(room)
        parts.append(f'<text x="8" y="{middle + 4}" font-weight="600">{escape(room)}</text>')
        for column, other in enumerate(rooms[: row + 1]):
            x = LEFT + STEP * column + STEP // 2
            if other == room:
                parts.append(
                    f'<rect x="{x - 7}" y="{middle - 7}" width="14" height="14" fill="#0072b2"/>'
                )
            elif other in used:
                parts.append(f'<circle cx="{x}" cy="{middle}" r="4" fill="#d55e00"/>')
            else:
                parts.append(f'<circle cx="{x}" cy="{middle}" r="1" fill="#c3c9d2"/>')
        x = LEFT + STEP * (row + 1) + 10
        parts.append(f'<text x="{x}" y="{middle + 4}" fill="#555">{escape(purpose(room))}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(order()), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
