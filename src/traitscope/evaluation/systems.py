"""The folder of an evaluated system -> its table, its report, and where its labels are.

A system is a run (``RUN/evaluation/SPLIT``) or any folder with ``predictions.csv`` and
``report.json``, such as ``evaluate --predictions ... --to`` and ``fuse`` write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope.config import build
from traitscope.data.protocols import Protocol
from traitscope.errors import DataError
from traitscope.files import read_json
from traitscope.types import Target


@dataclass(frozen=True)
class Evaluated:
    """One evaluated system.

    Attributes:
        name: as the user wrote it.
        table: its predictions.
        address: of the corpus with the labels.
        split: which split was predicted.
        protocol: how the clips were split.
        targets: what was predicted, with the meaning of the predictions.
        failures: ``clip``, ``status``, ``reason`` of clips without a prediction.
    """

    name: str
    table: Path
    address: str
    split: str
    protocol: Protocol
    targets: tuple[Target, ...]
    failures: tuple[Mapping[str, str], ...] = ()

    @property
    def corpus(self) -> str:
        """The address with its path written out, to tell whether two are the same."""
        kind, _, path = self.address.partition(":")
        return f"{kind}:{Path(path).expanduser().resolve()}"


def read_evaluated(system: Path | str, *, split: str = "test") -> Evaluated:
    """Find what was evaluated in a folder.

    Raises:
        DataError: it was not evaluated on that split, or by an older version.
    """
    folder = Path(system)
    places = [folder / "evaluation" / split, folder]
    place = next((p for p in places if (p / "report.json").is_file()), None)
    if place is None or not (place / "predictions.csv").is_file():
        raise DataError(
            f"{folder} has no predictions of {split}. Make them with: traitscope evaluate "
            f"{folder} --split {split}"
        )
    report = read_json(place / "report.json", damaged="Evaluate again.")
    address = report["corpus"].get("address")
    if address is None or "predicted" not in report:
        raise DataError(
            f"{place / 'report.json'} does not say where its labels are. Evaluate again, or name "
            f"them: --labels CORPUS"
        )
    if report["split"] != split:
        raise DataError(f"{folder} was evaluated on {report['split']}, not on {split}.")
    return Evaluated(
        name=str(system),
        table=place / "predictions.csv",
        address=address,
        split=split,
        protocol=build(Protocol, report["protocol"], where=str(place / "report.json")),
        targets=_targets(report),
        failures=tuple(report["failures"]),
    )


def same_corpus(systems: Sequence[Evaluated]) -> str:
    """The address of the labels that all systems were evaluated on.

    Raises:
        DataError: they differ.
    """
    first = systems[0]
    for other in systems[1:]:
        if other.corpus != first.corpus:
            raise DataError(
                f"{first.name} was evaluated on {first.address}, {other.name} on {other.address}. "
                f"Evaluate them on the same corpus: traitscope evaluate {other.name} --corpus ..."
            )
    return first.address


def _targets(report: Mapping[str, Any]) -> tuple[Target, ...]:
    """What was predicted: the targets of the corpus, or of the one that a run was trained on."""
    predicted = {target["name"]: target for target in report["predicted"] or ()}
    named = [predicted.get(target["name"], target) for target in report["corpus"]["targets"]]
    keys = ("name", "low", "high", "direction")
    return tuple(Target(**{key: target[key] for key in keys}) for target in named)
