"""Suffixes of recordings: one list, for everybody who looks for one."""

from pathlib import Path

import traitscope
from traitscope.media.suffixes import MEDIA, SOUND, VIDEO


def test_no_other_file_lists_suffixes_of_recordings() -> None:
    package = Path(traitscope.__file__).parent
    lists = [p.name for p in package.rglob("*.py") if '".avi"' in p.read_text(encoding="utf-8")]
    assert lists == ["suffixes.py"]


def test_pictures_go_before_sound_and_nothing_stands_twice() -> None:
    assert MEDIA == VIDEO + SOUND
    assert MEDIA[0] == ".mp4"
    assert len(set(MEDIA)) == len(MEDIA)
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in MEDIA)
