"""What each change does to a picture or a sound, by hand; an unchanged copy is exact."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import portrait, tone, write_sound, write_video
from traitscope.audit import distortions as d
from traitscope.audit.person import Person, person_mask
from traitscope.audit.rewriting import Change, rewrite
from traitscope.errors import ClipError
from traitscope.media import probe, read_frames, read_waveform
from traitscope.types import Clip, Frame

GREY = np.full((40, 60, 3), 100, np.uint8)


def test_pictures_change_as_stated() -> None:
    assert (d.brightness(GREY, 1.0) == 200).all()
    assert (d.brightness(GREY, -1.0) == 50).all()
    assert (d.brightness(GREY, 2.0) == 255).all()
    two = GREY.copy()
    two[:, :30] = 60
    assert set(np.unique(d.contrast(two, 0.5))) == {70, 90}
    assert d.crop(two, 50).shape == (20, 30, 3)
    assert (d.crop(two, 50)[:, :15] == 60).all()
    assert (d.mirror(two, 1)[:, 30:] == 60).all()
    blurred = d.blur(two, 2.5)
    assert 60 < blurred[20, 30, 0] < 100
    assert blurred[20, 5, 0] == 60


def test_the_background_changes_and_the_person_does_not() -> None:
    mask = person_mask((200, 200), (80, 40, 120, 90))
    assert mask[65, 100] == pytest.approx(1, abs=0.01)
    assert mask[190, 100] == pytest.approx(1, abs=0.01)
    assert mask[20, 10] < 0.01
    picture = np.full((200, 200, 3), 90, np.uint8)
    changed = d.background(picture, 255, mask)
    assert (changed[65, 100] == 90).all()
    assert (changed[20, 10] == 255).all()


def test_sounds_change_as_stated() -> None:
    rng = np.random.default_rng(0)
    samples = tone(1.0, level=0.4)[0]
    assert np.abs(d.gain(samples, 6.0206, rng)).max() == pytest.approx(0.8, abs=1e-3)
    assert np.abs(d.gain(samples, 20, rng)).max() == 1.0
    added = d.noise(samples, 20, rng) - samples
    ratio = np.sqrt(np.mean(samples**2) / np.mean(added**2))
    assert 20 * np.log10(ratio) == pytest.approx(20, abs=0.2)
    assert np.abs(d.noise(np.zeros(1000, np.float32), 0, rng)).max() < 0.01


def test_every_distortion_has_rising_steps_and_something_to_do() -> None:
    for name, one in d.DISTORTIONS.items():
        assert list(one.steps) == sorted(one.steps), name
        assert (one.of == "file") == (one.picture is None and one.sound is None), name
        assert one.neutral not in one.steps, name


def test_an_unchanged_copy_is_exact_with_its_times_and_interval(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.2, 0.21, 0.4, 0.44, 0.48, 0.6, 0.7]
    path = write_video(tmp_path / "a.mp4", times=times, sound=tone(0.8))
    for start, end in ((None, None), (0.1, 0.6)):
        copy = rewrite(Clip("a", path=path, start=start, end=end), tmp_path / "copy.mov", Change())
        before = list(read_frames(path, rates=["native", 5.0], start=start, end=end))
        after = list(read_frames(copy.path, rates=["native", 5.0]))
        assert [frame.time for frame, _ in after] == pytest.approx([f.time for f, _ in before])
        assert [flags for _, flags in after] == [flags for _, flags in before]
        for (one, _), (other, _) in zip(before, after, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
        sounds = [
            read_waveform(p, start=a, end=b).samples
            for p, a, b in ((path, start, end), (copy.path, None, None))
        ]
        shortest = min(map(len, sounds))
        np.testing.assert_allclose(sounds[0][:shortest], sounds[1][:shortest], atol=1e-6)


def test_changes_reach_the_copy(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", picture=lambda n: portrait(100), frames=5)
    change = Change(picture=lambda frame: d.crop(frame.image, 57))
    copy = rewrite(Clip("a", path=path), tmp_path / "b.mov", change)
    assert (probe(copy.path).width, probe(copy.path).height) == (57, 57)
    smaller = Change(picture=change.picture, crf=43)
    coarse = rewrite(Clip("a", path=path), tmp_path / "c.mov", smaller)
    assert (probe(coarse.path).width, probe(coarse.path).height) == (56, 56)
    assert coarse.path.stat().st_size < copy.path.stat().st_size / 3
    wav = write_sound(tmp_path / "s.wav", tone(0.5, level=0.2))
    louder = rewrite(Clip("s", path=wav), tmp_path / "d.mov", Change(sound=lambda s: s * 2))
    assert not probe(louder.path).has_video
    assert np.abs(read_waveform(louder.path).samples).max() == pytest.approx(0.4, abs=0.01)


def test_a_person_is_found_or_the_clip_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", picture=lambda n: portrait(256), frames=4)
    frame = Frame(0.0, portrait(256))
    mask = Person(Clip("a", path=path), "haar").mask(frame)
    assert mask[128, 128] > 0.99
    assert mask[5, 5] < 0.01
    empty = write_video(tmp_path / "b.mp4", frames=4)
    with pytest.raises(ClipError, match="No face was found in clip 'b'"):
        Person(Clip("b", path=empty), "haar").mask(frame)
