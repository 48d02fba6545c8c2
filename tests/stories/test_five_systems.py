"""Each of the five systems in at most five commands: from raw videos, and from its own folders."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stories.test_benchmark_story import Command
from tests.support.label_files import name_of, write_labels
from tests.support.openface_tables import clip_name, write_table
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.features.exports import find_key
from traitscope.features.store import Store
from traitscope.types import TRAITS, Clip, Corpus

pytestmark = pytest.mark.slow

QUICK = ["trainer.tensorboard=false", "train.epochs=2"]
DLIB = ["faces.backend=dlib"]

S2D = ["model.size=32", "model.patch=8", "model.frames=3", "model.dim=32", "model.depth=2"]
S2D += ["model.heads=2", "model.prompt_dim=4", "model.temporal_dim=16", "model.temporal_heads=2"]
S2D += ["model.pretrained=false"]
PASCALMI = ["model.backbone=resnet18", "model.pretrained=false", "model.width=0.125"]
PASCALMI += ["model.size=64", "model.images=3", "model.hidden=[16]", "model.dropouts=[0.3]"]
BENCHMARK = ["model.backbone=test_resnet", "model.size=64", "model.evaluation_images=all"]
MOTION = ["model.width=16", "model.units=8", "model.channels=[16,16]", "model.kernels=[4,3]"]
MOTION += ["model.squeeze=4", "model.hidden=[16,8]", "model.longest=60"]
RESNET_LSTM = ["model.backbone=resnet18", "model.pretrained=false", "model.width=0.125"]
RESNET_LSTM += ["model.size=32", "model.hidden=16", "model.segments=4", "model.windows=2"]
RESNET_LSTM += ["model.face_pixels=120"]

RAW = {
    "S2D thesis": ("s2d_112", S2D, [*DLIB, "drawings.backend=dlib"], ["train.passes=2"]),
    "pascalmi": ("face_cnn", PASCALMI, DLIB, []),
    "DeepPersonality": ("senet", BENCHMARK, [], []),
    "Head Motion": ("au_hybrid", MOTION, ["signals.backend=dlib", "signals.rate=5"], []),
    "Characteristic_Prediction": ("resnet_lstm", RESNET_LSTM, [], ["train.steps_per_epoch=3"]),
}
"""System -> its recipe, a small model, settings of features, settings of training."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of 1.2 seconds, as videos and as a corpus of First Impressions' layout."""
    folder = tmp_path_factory.mktemp("five")
    small = Config(subjects=7, sources_per_subject=1, clips_per_source=2, seconds=1.2, size=256)
    generate(folder / "corpus", config=small)
    corpus = load_corpus(f"synthetic:{folder / 'corpus'}")
    for split in ("train", "validation", "test"):
        own = list(named(corpus, split))
        write_labels(folder / "fi", split, {name: dict(clip.targets) for name, clip in own})
        (folder / "fi" / split).mkdir()
        for name, clip in own:
            assert clip.path is not None
            (folder / "fi" / split / name).symlink_to(clip.path)
    return folder


def named(corpus: Corpus, split: str) -> Iterator[tuple[str, Clip]]:
    """Clips of a split under names of First Impressions."""
    for number, clip in enumerate(corpus.clips):
        if clip.split == split:
            yield name_of(number // 2, number % 2), clip


@pytest.fixture
def command(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line, beside the corpus."""
    monkeypatch.chdir(place)
    return Command(capsys)


def trained(
    command: Command,
    recipe: str,
    run: str,
    corpus: str,
    settings: Sequence[str],
    store: str = "store",
) -> None:
    """Train, evaluate, report: three commands."""
    data = [f"data.corpus={corpus}", f"data.store={store}", *QUICK]
    command("train", recipe, *data, *settings, "--to", run)
    report = json.loads(command("evaluate", run, "--json"))
    assert report["counts"]["scored"] >= 4
    assert {row["role"] for row in report["parts"]["all"]["rows"]} >= {"model", "constant"}
    command("report", run, "--to", f"{run}.html")
    assert "neuroticism" in Path(f"{run}.html").read_text(encoding="utf-8")


def predicted(command: Command, run: str, what: Path) -> None:
    """The last command: a clip scores by itself as it did in evaluation."""
    table = Path(run, "evaluation", "test", "predictions.csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["clip"].removesuffix(".mp4"): row for row in csv.DictReader(file)}
    row = rows[what.name.removesuffix(".mp4")]
    told = json.loads(command("predict", run, what))["clips"][0]["scores"]
    assert set(told) == set(TRAITS)
    for trait, score in told.items():
        assert score == pytest.approx(float(row[f"predicted_{trait}"]), abs=1e-4)


def last_of_test(place: Path) -> str:
    """The name of a test clip."""
    return sorted(path.name for path in (place / "fi" / "test").iterdir())[-1]


@pytest.mark.parametrize("system", RAW)
def test_from_raw_videos(command: Command, place: Path, system: str) -> None:
    recipe, model, features, training = RAW[system]
    run, chosen = f"raw-{recipe}", [f"features.{setting}" for setting in features]
    prepare = ["prepare", "fi:fi", "--store", "store", "--for", recipe, "--workers", 0]
    command(*prepare, *model, *features)
    trained(command, recipe, run, "fi:fi", [*model, *training, *chosen, "protocol.kind=official"])
    predicted(command, run, place / "fi" / "test" / last_of_test(place))


def pictures(place: Path, name: str) -> dict[str, list[bytes]]:
    """Pictures of every clip, made once as the system's own program would have."""
    from traitscope.features.preparation import prepare

    store = Store(place / "own")
    prepare(f"fi:{place / 'fi'}", {name: {"backend": "dlib", "size": 64}}, store=store)
    key = find_key(store, name)
    clips = load_corpus(f"fi:{place / 'fi'}").clips
    return {clip.id: list(store.read(key, clip.id).images or ()) for clip in clips}


def test_from_the_folders_of_the_thesis(command: Command, place: Path) -> None:
    faces, drawn = pictures(place, "faces"), pictures(place, "drawings")
    for clip, images in faces.items():
        folder = place / "thesis" / clip
        folder.mkdir(parents=True)
        (folder / "fps.txt").write_text("5")
        for number, (face, drawing) in enumerate(zip(images, drawn[clip], strict=True)):
            (folder / f"face_{number}.jpg").write_bytes(face)
            (folder / f"face_landmark_{number}.jpg").write_bytes(drawing)
    given = ["--name", "faces", "--corpus", "fi:fi"]
    told = command("features", "import", "thesis-store", "thesis", *given)
    assert "drawings: images for 14 clips" in told
    settings = [*S2D, "train.passes=2", "protocol.kind=official"]
    trained(command, "s2d_112", "thesis-run", "fi:fi", settings, store="thesis-store")
    (clip,) = (c for c in faces if c.removesuffix(".mp4") == last_of_test(place)[:-4])
    predicted(command, "thesis-run", place / "thesis" / clip)


def test_from_the_folders_of_the_benchmark(command: Command, place: Path) -> None:
    splits = {"train": "train_data_face", "validation": "valid_data_face", "test": "test_data_face"}
    faces = pictures(place, "faces")
    for clip in load_corpus(f"fi:{place / 'fi'}").clips:
        folder = place / "disk" / splits[clip.split or ""] / clip.id
        folder.mkdir(parents=True)
        for number, face in enumerate(faces[clip.id]):
            (folder / f"face_{number}.jpg").write_bytes(face)
    (place / "image_data").mkdir()
    for name in splits.values():  # often links to another disk
        (place / "image_data" / name).symlink_to(place / "disk" / name, target_is_directory=True)
    given = ["--name", "faces", "--corpus", "fi:fi", "--fps", 5]
    command("features", "import", "benchmark-store", "image_data", *given)
    settings = [*BENCHMARK, "model.input=faces"]
    trained(command, "senet", "benchmark-run", "fi:fi", settings, store="benchmark-store")
    one = Path("image_data", "test_data_face")
    folder = next(path for path in sorted(one.iterdir()) if last_of_test(place)[:-4] in path.name)
    (folder / "fps.txt").write_text("5")
    predicted(command, "benchmark-run", folder)


def test_from_the_table_of_head_motion(command: Command, place: Path) -> None:
    write_table(place / "rows.csv", clips=24)
    signals = "features.signals.backend=openface"
    command(
        *("prepare", "openface:rows.csv", "--store", "store", "--for", "au_hybrid"),
        "signals.backend=openface",
    )
    trained(command, "au_hybrid", "motion", "openface:rows.csv", [*MOTION, signals])
    command("predict", "motion", "rows.csv", "--label-rows", "labelled.csv")
    with (place / "labelled.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 * 45
    assert clip_name(0) in {row["File"] for row in rows}
    assert all(0 <= float(rows[0][f"predicted_{trait}"]) <= 1 for trait in TRAITS)
