"""Images and points that somebody else extracted: layouts, coordinates, faults, a model on them."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.prepared import make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.cli import main
from traitscope.corpora import load_corpus
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.extract._folders import read_images, read_points
from traitscope.extract.imported import VERSION
from traitscope.extract.landmarks import TO_68
from traitscope.features.imports import import_images
from traitscope.features.store import Store
from traitscope.media.images import timed_files
from traitscope.prediction.clips import predict
from traitscope.runs.plan import load_run
from traitscope.training.fitting import train
from traitscope.training.training_set import collect

WIDE, HIGH = 48, 36
FRAMES = 5


def write_clip(folder: Path, *, frames: int = FRAMES, seed: int = 0) -> np.ndarray:
    """Write numbered images; give points (frames, 68, 2) in pixels."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(frames):
        picture = rng.integers(0, 255, (HIGH, WIDE, 3)).astype(np.uint8)
        suffix = "jpg" if number % 2 else "png"
        cv2.imwrite(str(folder / f"frame_{number + 1}.{suffix}"), picture)
    return rng.uniform(0, (WIDE, HIGH), (frames, 68, 2)).round(2)


def lines(rows: np.ndarray, separator: str) -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def write_points(points: np.ndarray, folder: Path, layout: str) -> Path:
    """Write points in one of the layouts; give what is passed on."""
    one = folder / "clip"
    shares = points / (WIDE, HIGH)
    mesh = np.full((len(points), 478, 3), -1.0)
    mesh[:, TO_68, :2] = points
    flat = points.reshape(len(points), -1)
    apart = [*(f"x_{n}" for n in range(68)), *(f"y_{n}" for n in range(68))]
    per_clip = {
        "clip.npy": lambda path: np.save(path, points),
        "shares.npy": lambda path: np.save(path, shares),
        "mesh.npy": lambda path: np.save(path, mesh),
        "flat.csv": lambda path: path.write_text(lines(flat, ",")),
        "openface.csv": lambda path: path.write_text(
            "frame, "
            + ", ".join(apart)
            + "\n"
            + lines(np.hstack([np.arange(len(flat))[:, None], flat[:, ::2], flat[:, 1::2]]), ", ")
        ),
    }
    if layout in per_clip:
        path = folder / layout
        per_clip[layout](path)
        return path
    one.mkdir()
    for number, each in enumerate(points, 1):
        path = one / f"frame_{number}.{layout}"
        if layout == "npy":
            np.save(path, each)
        elif layout == "pts":
            path.write_text("version: 1\nn_points: 68\n{\n" + lines(each, " ") + "}\n")
        else:
            path.write_text(("x,y\n" if layout == "csv" else "") + lines(each, ", "))
    return one


@pytest.mark.parametrize(
    "layout",
    ["npy", "csv", "txt", "pts", "clip.npy", "shares.npy", "mesh.npy", "flat.csv", "openface.csv"],
)
def test_every_layout_of_points_is_read_alike(tmp_path: Path, layout: str) -> None:
    points = write_clip(tmp_path / "images")
    stream = read_points(tmp_path / "images", write_points(points, tmp_path, layout), fps=25)
    assert stream.time.tolist() == [n / 25 for n in range(FRAMES)]
    assert stream.coverage == 1
    assert stream.values is not None
    middle = (points - ((WIDE - HIGH) / 2, 0)) / HIGH  # models see the middle square
    np.testing.assert_allclose(stream.values, middle, atol=1e-5)


def test_pixels_by_hand(tmp_path: Path) -> None:
    points = write_clip(tmp_path / "a", frames=1)
    points[0, :3] = (24, 18), (6, 0), (42, 36)  # the middle, and corners of the middle square
    np.save(tmp_path / "a.npy", points)
    stream = read_points(tmp_path / "a", None, fps=1)  # found beside the images
    assert stream.values is not None
    np.testing.assert_allclose(stream.values[0, :3], [(0.5, 0.5), (0, 0), (1, 1)], atol=1e-6)


def test_images_stay_as_they_are_and_lost_ones_are_missing_rows(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    points = write_clip(folder)
    (folder / "fps.txt").write_text("12.5")
    np.save(tmp_path / "a.npy", points)
    (folder / "frame_3.png").write_bytes(b"no image")
    stream = read_images(folder)
    assert stream.images is not None
    assert stream.images[1] == (folder / "frame_2.jpg").read_bytes()
    assert stream.mask.tolist() == [True, True, False, True, True]
    assert stream.time.tolist() == [0, 0.08, 0.16, 0.24, 0.32]
    assert read_points(folder, None).mask.tolist() == stream.mask.tolist()
    inside = tmp_path / "points"
    inside.mkdir()
    np.save(inside / "frame_4.npy", points[3])
    assert read_points(folder, inside).mask.tolist() == [False, False, False, True, False]


def test_times_in_names_are_those_of_exported_images(tmp_path: Path) -> None:
    for name in ("0000_00.200s", "0002_00.600s", "0003_11.000s"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((8, 8, 3), np.uint8))
    assert read_images(tmp_path).time.tolist() == [0.2, 0.6, 11.0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", np.zeros((FRAMES, 5, 2)), r"the shape \(5, 5, 2\); 5 images need 68 or 478"),
        ("a.npy", np.zeros((4, 68, 2)), r"the shape \(4, 68, 2\); 5 images"),
        ("a.npy", np.array(["x"]), "not readable as points"),
        ("a.txt", "1 2\n3\n", "not readable as points"),
        ("b.npy", np.zeros((FRAMES, 68, 2)), r"no points .* nor beside it as a\.npy"),
        ("a/other.npy", np.zeros((68, 2)), r"has the name of an image, such as frame_1\.npy"),
    ],
)
def test_points_that_do_not_fit_are_named(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    write_clip(tmp_path / "a")
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        np.save(tmp_path / name, np.asarray(content))
    with pytest.raises(ClipError, match=message):
        read_points(tmp_path / "a", None, fps=5)


def test_a_clip_without_rate_or_images_says_so(tmp_path: Path) -> None:
    write_clip(tmp_path / "a")
    with pytest.raises(ClipError, match=r"how many images .* per second"):
        read_images(tmp_path / "a")
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(ClipError, match=r"No image in .* can be decoded"):
        read_images(tmp_path / "a", fps=5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty clips as folders of images with points per image, and a corpus without media."""
    folder = tmp_path_factory.mktemp("given")
    address = make_corpus(folder, clips=20)
    for number, clip in enumerate(load_corpus(address).clips):
        part = ("train", "rest")[number % 2]
        points = write_clip(folder / "frames" / part / clip.id, seed=number)
        kept = folder / "points" / clip.id
        kept.mkdir(parents=True)
        for row, each in enumerate(points[1:], 2):  # none for the first image
            np.save(kept / f"frame_{row}.npy", each)
    return folder


def settings(place: Path, store: Path) -> list[str]:
    return [f"data.corpus=table:{place / 'clips.csv'}", f"data.store={store}"]


def test_s2d_learns_from_folders_without_detection_and_scores_new_ones(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, corpus = tmp_path / "store", f"table:{place / 'clips.csv'}"
    words = ["features", "import", store, place / "frames", "--name", "faces", "--corpus", corpus]
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words), "--landmarks", str(place / "points"), "--fps", "5"])
    assert caught.value.code in (None, 0)
    shown = capsys.readouterr().out
    assert "faces: images for 20 clips" in shown
    assert "landmarks: 2 columns for 20 clips" in shown
    tiny = [*settings(place, store), *tiny_settings("s2d"), "augment.flip.probability=0.5"]
    data = collect(load_run("s2d", tiny))
    example = data.fitting[0]
    assert example.streams["faces"].shape == (3, 32, 32, 3)  # cut and resized for the model
    assert example.streams["landmarks"].shape == (3, 68, 2)
    run = train("s2d", [*tiny, "train.epochs=2", "train.batch_size=4"], to=tmp_path / "run")
    again = train(str(run / "run.yaml"), to=tmp_path / "again")
    assert (run / "history.csv").read_text() == (again / "history.csv").read_text()

    clip = tmp_path / "new"
    np.save(tmp_path / "new.npy", write_clip(clip))
    (clip / "fps.txt").write_text("5")
    scored, refused = predict(run, clip, tmp_path / "video.mp4")
    assert len(scored.scores) == 5
    assert scored.coverage == {"faces": 1, "landmarks": 1}
    assert refused.status == "missing"
    assert "Give a folder of such images" in refused.reason


def test_clips_that_are_lacking_or_broken_keep_a_status_row(place: Path, tmp_path: Path) -> None:
    points = write_clip(tmp_path / "frames" / "c000")
    write_clip(tmp_path / "frames" / "c001")
    write_clip(tmp_path / "frames" / "stranger")
    (tmp_path / "points").mkdir()
    np.save(tmp_path / "points" / "c000.npy", points)
    np.save(tmp_path / "points" / "c001.npy", points[:2])
    how = {"name": "faces", "corpus": f"table:{place / 'clips.csv'}", "fps": 5.0}
    faces, marks = import_images(
        tmp_path / "s", tmp_path / "frames", points=tmp_path / "points", **how
    )
    assert (faces.clips, marks.clips, faces.ignored) == (2, 1, ("stranger",))
    statuses = Store(tmp_path / "s").statuses(marks.request.key)
    assert {s.status for s in statuses.values()} == {"ok", "undecodable", "missing"}
    assert "5 images need" in statuses["c001"].reason
    assert marks.without[0] == "c001"
    write_clip(tmp_path / "frames" / "more" / "c001")
    with pytest.raises(DataError, match=r"Clip 'c001' may be .* and .*Remove or rename"):
        import_images(tmp_path / "s", tmp_path / "frames", **how)
    with pytest.raises(DataError, match="none of the 20 clips"):
        import_images(tmp_path / "s", tmp_path / "nowhere", **how)
    with pytest.raises(ConfigError, match="Images are taken as faces or frames, not as 'mine'"):
        import_images(tmp_path / "s", tmp_path / "frames", **{**how, "name": "mine"})


def test_other_bytes_are_another_content(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames" / "c000"
    write_clip(folder)
    how = {"name": "faces", "corpus": f"table:{place / 'clips.csv'}", "fps": 5.0}
    keys = [import_images(tmp_path / "s", tmp_path / "frames", **how)[0].request.key]
    keys += [import_images(tmp_path / "s", tmp_path / "frames", **how)[0].request.key]
    (folder / "frame_1.png").write_bytes((folder / "frame_3.png").read_bytes())
    keys += [import_images(tmp_path / "s", tmp_path / "frames", **how)[0].request.key]
    assert keys[0] == keys[1] != keys[2]


def test_points_of_other_images_are_refused(place: Path, tmp_path: Path) -> None:
    address, tiny = f"table:{place / 'clips.csv'}", tiny_settings("s2d")
    store = fill_store(tmp_path / "store", address, "s2d", tiny)
    how = {"name": "faces", "corpus": address, "fps": 5.0, "points": place / "points"}
    found = import_images(store, place / "frames", **how)
    both = [*settings(place, store.folder), *tiny]
    assert (
        collect(load_run("s2d", both)).plan.requests["faces"].name == "faces"
    )  # extracted ones first
    content = found[0].request.config.model_dump()["content"]
    with pytest.raises(DataError, match="faces and landmarks do not belong together"):
        collect(load_run("s2d", [*both, f"features.landmarks.content={content}"]))
    chosen = [f"features.{name}.content={content}" for name in ("faces", "landmarks")]
    data = collect(load_run("s2d", [*both, *chosen]))
    assert {request.name for request in data.plan.requests.values()} == {"imported"}


@pytest.mark.parametrize(
    ("given", "option", "message"),
    [
        ("frames", ["--columns", "x"], "--columns goes with a table"),
        ("clips.csv", ["--fps", "5"], "--landmarks and --fps go with a folder of images"),
    ],
)
def test_options_of_the_other_kind_of_import_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], given: str, option: list[str], message: str
) -> None:
    words = ["features", "import", "store", str(place / given), "--name", "faces"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--corpus", f"table:{place / 'clips.csv'}", *option])
    assert caught.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def split_folders(folder: Path, clips: list[str], *, kind: str = "_face") -> None:
    """The folders of the DeepPersonality benchmark: links to where the pictures are."""
    splits = ("train", "valid", "test")
    for place, clip in enumerate(clips):
        real = folder.parent / f"disk{kind}" / splits[place % 3]
        write_clip(real / clip, frames=2 if kind else 3, seed=place)
        link = folder / f"{splits[place % 3]}_data{kind}"
        if not link.exists():
            folder.mkdir(exist_ok=True)
            link.symlink_to(real, target_is_directory=True)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_split_folders_behind_links_are_one_import(tmp_path: Path) -> None:
    address = make_corpus(tmp_path / "corpus")
    corpus = load_corpus(address)
    ids = [f"{clip.id}.mp4" for clip in corpus.clips]
    split_folders(tmp_path / "image_data", ids)
    split_folders(tmp_path / "image_data", ids, kind="")
    store = Store(tmp_path / "store")
    for name, rows in (("faces", 2), ("frames", 3)):
        (found,) = import_images(store, tmp_path / "image_data", name=name, corpus=corpus, fps=1)
        assert (found.clips, found.without) == (len(ids), ())
        assert len(store.read(found.request.key, corpus.clips[0].id).time) == rows


def write_drawn(folder: Path, names: tuple[str, str]) -> list[bytes]:
    """Faces and drawings of their landmarks, called after each other; gives the faces."""
    write_clip(folder, frames=3)
    faces = []
    for number, path in enumerate(sorted(folder.iterdir()), 1):
        drawing = np.zeros((HIGH, WIDE, 3), np.uint8)
        cv2.imwrite(str(folder / f"{names[1].format(number)}.jpg"), drawing)
        faces.append(path.rename(folder / f"{names[0].format(number)}{path.suffix}").read_bytes())
    return faces


@pytest.mark.parametrize(
    "names",
    [
        ("face_{}", "face_landmark_{}"),
        ("face_{}", "Face_Landmarks_{}"),
        ("{}", "{}_landmarks"),
        ("frame{}", "frame{}_lmk"),
    ],
)
def test_drawings_of_landmarks_beside_faces_are_no_faces(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    faces = write_drawn(tmp_path / "clip", names)
    stream = read_images(tmp_path / "clip", fps=25)
    assert list(stream.images) == faces
    assert len(timed_files(tmp_path / "clip", fps=25)) == 3


def test_drawings_beside_faces_come_in_as_a_stream_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = make_corpus(tmp_path / "corpus", clips=8)
    for clip in load_corpus(address).clips:
        write_drawn(tmp_path / "given" / clip.id, ("face_{}", "face_landmark_{}"))
    command = ["features", "import", str(tmp_path / "store"), str(tmp_path / "given")]
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--name", "faces", "--corpus", address, "--fps", "5"])
    assert not stopped.value.code
    assert "drawings: images for 8 clips" in capsys.readouterr().out
    store, clip = Store(tmp_path / "store"), load_corpus(address).clips[0].id
    faces, drawn = (
        store.read(store.matching("imported", {"name": name}, version=VERSION)[0], clip)
        for name in ("faces", "drawings")
    )
    assert np.array_equal(faces.time, drawn.time)
    assert faces.images is not None
    assert drawn.images is not None
    assert not set(faces.images) & set(drawn.images)


def test_pictures_of_landmarks_alone_are_pictures(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip", frames=2)
    for path in (tmp_path / "clip").iterdir():
        path.rename(path.with_name(f"landmark_{path.name}"))
    assert len(read_images(tmp_path / "clip", fps=25).images) == 2
