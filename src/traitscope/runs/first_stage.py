"""A first-stage run -> the settings that make a second stage read its series, and no others.

``traitscope predict RUN CORPUS --frames --store S`` writes scores and features of frames under the
fingerprint of the run's weights; ``data.first_stage=RUN`` finds them by it.
"""

import hashlib
import logging
from pathlib import Path

from traitscope.errors import ConfigError, DataError
from traitscope.files import checksum
from traitscope.runs.checkpoint import read_run
from traitscope.runs.checksums import EPOCH_FILES
from traitscope.runs.settings import RunConfig

SCORES, FEATURES = "frame_scores", "frame_features"
"""Names of the streams: a series per target, and a series per feature of the last layer."""
KNOWN = (
    "%s has learnt from clips that are fitted on here: its scores of them are better than they "
    "will be of new clips, and a second stage trusts them too much. Honest scores are those of a "
    "run with folds: protocol.fold=all for the first stage, data.out_of_fold=true here."
)
SEEN = (
    "first-stage: it has learnt from this clip, so that its scores are better than of new ones; a "
    "run with folds (protocol.fold=all) scores out of fold"
)
"""What stands in the notes of a clip whose frames were scored by a network that knows it."""

log = logging.getLogger(__name__)


def member_folders(folder: Path) -> list[Path]:
    """The run itself, or its folds in order.

    Raises:
        DataError: it is no run, or has no folds yet.
    """
    config = read_run(folder)
    if config.seeds > 1:
        raise ConfigError(
            f"{folder} holds {config.seeds} trainings, whose features differ. Name one, such as "
            f"{folder / f'seed-{config.seed}'}."
        )
    if config.protocol.fold != "all":
        return [folder]
    folds = sorted(folder.glob("fold-*"), key=lambda path: int(path.name.removeprefix("fold-")))
    if not folds:
        raise DataError(f"{folder} has no folds yet. Finish it with: traitscope train --resume")
    return folds


def content_of(folder: Path) -> str:
    """Fingerprint of a run's weights, which names the series that it makes.

    Raises:
        DataError: it is no finished run.
    """
    digest = hashlib.sha256()
    for member in member_folders(folder):
        path = member / "model.safetensors"
        if not path.is_file():
            raise DataError(f"{member} is not finished: it has no model.safetensors.")
        for each in (path, *sorted(member.glob(EPOCH_FILES))):
            digest.update(checksum(each).encode())
    return digest.hexdigest()[:16]


def find_first_stage(named: str, content: str, *, beside: Path) -> Path:
    """The run that made the series of a second stage, where it says or beside it.

    Args:
        named: ``data.first_stage`` of the second stage, as it was typed when that was trained.
        content: fingerprint of the weights that made the series.
        beside: the run of the second stage; both may have been moved together.

    Raises:
        DataError: it is not there, or has other weights now.
    """
    places = (Path(named), beside.parent / Path(named).name)
    folder = next((place for place in places if (place / "run.yaml").is_file()), None)
    if folder is None:
        raise DataError(
            f"{beside} learnt from scores of frames by {named}, which is not there, so that no new "
            f"recording can be scored. Put that run back, or beside {beside}."
        )
    if content_of(folder) != content:
        raise DataError(
            f"{beside} learnt from scores of frames by {named}, and {folder} has other weights "
            f"now (their fingerprint was {content}). Put the old run back, or train both anew."
        )
    return folder


def on_first_stage(config: RunConfig, streams: frozenset[str]) -> RunConfig:
    """Say of which run the series are that a second stage reads.

    Args:
        config: with ``data.first_stage``, if any.
        streams: that the model draws.

    Raises:
        ConfigError: the model reads no series; or out of fold is asked of a run without folds.
        DataError: the first stage is no finished run.
    """
    read = sorted(streams & {SCORES, FEATURES})
    if not config.data.first_stage:
        if config.data.out_of_fold:
            raise ConfigError("data.out_of_fold=true has no effect without data.first_stage=RUN.")
        return config
    folder = Path(config.data.first_stage)
    if not read:
        raise ConfigError(
            f"data.first_stage={folder} has no effect: {config.model['name']} reads no series of "
            f"frames. Models that do: average, linear_series, spectrum_cnn, statistics_mlp."
        )
    folds = len(member_folders(folder)) > 1
    if config.data.out_of_fold and not folds:
        raise ConfigError(
            f"{folder} has no folds, so that all its scores of the clips it learnt from are of "
            f"clips it knows. Train it with protocol.kind=kfold protocol.fold=all, or leave "
            f"data.out_of_fold out."
        )
    if not folds:
        log.warning(KNOWN, folder)
    given = {
        name: {"content": content_of(folder), **config.features.get(name, {})} for name in read
    }
    return config.model_copy(update={"features": {**config.features, **given}})
