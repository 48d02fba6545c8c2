"""The pages' blocks: shell lines as words, and what else a reader would copy from a page."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "decisions" not in path.parts
)


def blocks(page: str, language: str) -> list[str]:
    """The text of a page's blocks of one language, as a reader copies it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def lines(page: str) -> Iterator[str]:
    """The lines of a page's shell blocks, continued ones joined."""
    for block in blocks(page, "sh"):
        yield from block.replace("\\\n", " ").splitlines()


def commands(page: str) -> Iterator[list[str]]:
    """The words of each line that calls us."""
    for line in lines(page):
        words = shlex.split(line, comments=True)
        while words and "=" in words[0] and words[0].split("=")[0].isupper():
            words = words[1:]  # an environment variable
        if words[:1] == ["traitscope"]:
            yield words[1:]
