"""What audits find as frozen types: written, read and checked here and nowhere else.

In: numbers of an audit, or an ``audit-NAME.json``. Out: one of four audits, or the file. Whoever
shows audits reads attributes; a damaged or foreign file is refused here. Numbers are kept to six
digits, and what is not finite is None.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from traitscope.config import Config
from traitscope.errors import DataError
from traitscope.files import read_json, write_json

SCHEMA = 2
"""Raised when a key changes its meaning or goes; audits of other schemas are made again."""
AUDITS = ("fairness", "calibration", "leakage", "perturbation")
_CURE = "Make it again with: traitscope audit"


def _six_digits(value: Any) -> Any:
    """Six digits, as many as an interval of two thousand resamples has; None if not finite."""
    if isinstance(value, (float, np.floating)):
        # JSON has no word for NaN; the one that Python writes is refused by other readers.
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


Number = Annotated[float | None, BeforeValidator(_six_digits)]
Matrix = tuple[tuple[Number, ...], ...]


class Cell(Config):
    """A number with its 95 % interval; None where it is undefined, or has no interval."""

    value: Number
    low: Number = None
    high: Number = None

    def leaves_out(self, null: float) -> bool:
        """Whether there is an interval, and it does not hold this value."""
        # A value without an interval decides nothing, however far it lies.
        return self.low is not None and self.high is not None and not self.low <= null <= self.high


class Outside(Cell):
    """How far a gap in predictions lies outside a range that honest systems keep to."""

    p: Number
    p_holm: Number
    """Corrected over all tests of its kind in the audit."""

    def holds(self, level: float) -> bool:
        """Whether it is outside for sure."""
        return self.p_holm is not None and self.p_holm < level


class Gaps(Config):
    """One group and one target: the group's own numbers, then gaps to all others.

    See ``gaps.MEASURES`` for what each means.
    """

    label: Cell
    prediction: Cell
    residual: Cell
    error: Cell
    label_gap: Cell
    prediction_gap: Cell
    residual_gap: Cell
    given_label: Cell
    given_prediction: Cell
    error_gap: Cell
    constant_error_gap: Cell
    pearson: Cell
    ccc: Cell
    beyond: Outside
    """The range from no gap to the labels' own."""
    follows: Outside | None = None
    """The range from no gap to that of a system that judges persons; null where no two clips
    share a person or source, and in audits of before it was measured."""


class PeopleGroup(Config):
    """Clips of one value of an attribute, or of a pair of values."""

    attribute: str
    value: str
    clips: int
    clusters: int
    reason: str | None = None
    """Why there are no numbers."""
    cells: Mapping[str, Gaps] | None = None
    """Target -> numbers, where the group is large enough."""


class Slopes(Config):
    """One target: how predictions are spread against labels."""

    label_slope: Cell
    label_intercept: Cell
    bias: Cell
    slope: Cell
    intercept: Cell
    label_sd: Cell
    prediction_sd: Cell
    sd_ratio: Cell
    correlation: Cell


class Between(Config):
    """Correlations between targets on clips with all labels, and their means over pairs."""

    clips: int
    labels: Matrix
    predictions: Matrix
    mean_labels: Cell
    mean_predictions: Cell
    mean_difference: Cell


class Coverage(Config):
    """Share of labels inside the intervals that the system states."""

    target: str
    kind: str
    """``sd``, or ``low to high``."""
    nominal: float
    clips: int
    mean_width: Number
    coverage: Cell


class Leak(Config):
    """One way in which fitted clips give scored ones away."""

    kind: str
    clips: int
    shared: tuple[str, ...]
    shared_count: int


class Shift(Config):
    """How far a change moves the scores of one target; see ``shifts.measure_shifts``."""

    mean: Number
    low: Number
    high: Number
    absolute: Number
    largest: Number
    share: Number
    relative: Number
    places: Number
    order: Number
    reasons: tuple[str, ...]
    flagged: bool

    @property
    def cell(self) -> Cell:
        """The mean shift with its interval."""
        return Cell(value=self.mean, low=self.low, high=self.high)


class Lost(Config):
    """A changed copy that could not be scored."""

    clip: str
    reason: str


class Moved(Config):
    """Shifts over the clips that were scored before and after."""

    n: int
    shifts: Mapping[str, Shift]


class Step(Moved):
    """One step of one perturbation."""

    value: float
    failed: tuple[Lost, ...]


class Perturbed(Config):
    """One perturbation with its steps."""

    name: str
    about: str
    unit: str
    neutral: float | None
    """The step that changes nothing, where there is one."""
    steps: tuple[Step, ...]


class Flag(Config):
    """A step that moves a target further than it should."""

    perturbation: str
    step: float
    unit: str
    target: str
    absolute: Number
    half_width: Number
    reasons: tuple[str, ...]


class Named(Config):
    """A target, and how tables write it."""

    name: str
    label: str


class Head(Config):
    """What every audit says of where its numbers come from."""

    name: str
    created: str
    corpus: str
    kind: str
    split: str
    clips: int
    clusters: int
    lost: int
    """Clips that were asked for and have no usable prediction."""
    targets: tuple[Named, ...]
    notes: tuple[str, ...] = ()

    def label_of(self, name: str) -> str:
        """What a target is called."""
        return next((t.label for t in self.targets if t.name == name), name)


class Fairness(Head):
    """Groups of people held against all others."""

    audit: Literal["fairness"] = "fairness"
    minimum: int
    """Clips below which a group gets no numbers."""
    attributes: Mapping[str, int]
    """Attribute -> clips it is known of."""
    tests: int
    groups: tuple[PeopleGroup, ...]

    @property
    def measured(self) -> list[tuple[PeopleGroup, Mapping[str, Gaps]]]:
        """Groups that are large enough, with their numbers."""
        return [(group, group.cells) for group in self.groups if group.cells is not None]


class Calibration(Head):
    """Spread of predictions against labels, and coverage of stated intervals."""

    audit: Literal["calibration"] = "calibration"
    cells: Mapping[str, Slopes]
    between: Between | None
    """Null with one target."""
    coverage: tuple[Coverage, ...]


class Leakage(Head):
    """What scored clips share with fitted ones."""

    audit: Literal["leakage"] = "leakage"
    fitted_clips: int
    findings: tuple[Leak, ...]
    sentences: tuple[str, ...]


class Perturbation(Head):
    """Scores of clips whose recording was changed."""

    audit: Literal["perturbation"] = "perturbation"
    level: float = 0.95
    half_widths: Mapping[str, Number]
    """Target -> half width of the model's own interval."""
    spreads: Mapping[str, Number]
    """Target -> sd of its predictions."""
    control: Moved
    """Unchanged copies."""
    perturbations: tuple[Perturbed, ...]
    flagged: tuple[Flag, ...]

    @property
    def steps(self) -> list[tuple[Perturbed, Step]]:
        """Every step with its perturbation."""
        return [(entry, step) for entry in self.perturbations for step in entry.steps]


Audit = Fairness | Calibration | Leakage | Perturbation
# The key tells the type first: a damaged file is then faulted as that type alone, not as all four.
_ANY: TypeAdapter[Audit] = TypeAdapter(Annotated[Audit, Field(discriminator="audit")])


def to_json(audit: Audit) -> dict[str, Any]:
    """Write an audit as JSON values; a group has either numbers or a reason."""
    tree = {"schema": SCHEMA, **audit.model_dump(mode="json")}
    # A null reads like a number that came out undefined; these were never asked for.
    for group in tree.get("groups", ()):
        for key in ("reason", "cells"):
            if group[key] is None:
                del group[key]
        for cells in group.get("cells", {}).values():
            if cells["follows"] is None:
                del cells["follows"]
    return tree


def from_json(tree: Any, *, where: str) -> Audit:
    """Check JSON values and make an audit of them.

    Args:
        tree: what the file holds.
        where: what the values came from, for the message.

    Raises:
        DataError: they are no audit, or one of another version.
    """
    # Before the fields are looked at: a file of another schema is old, not damaged.
    if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
        raise DataError(f"{where} was not written by this version. {_CURE}")
    try:
        return _ANY.validate_python({k: v for k, v in tree.items() if k != "schema"})
    except ValidationError as error:
        # The first fault says where to look. Input stays out of the message: it may be a table.
        first, *others = error.errors(include_url=False, include_input=False)
        place = ".".join(map(str, first["loc"]))
        more = f" (and {len(others)} more faults)" if others else ""
        raise DataError(f"{where} is damaged: {place}: {first['msg']}{more}. {_CURE}") from error


def save(audit: Audit, folder: Path) -> Path:
    """Write an audit as ``audit-NAME.json`` into a folder, where ``report`` looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"audit-{audit.audit}.json"
    write_json(path, to_json(audit))
    return path


def read_audits(folder: Path) -> list[Audit]:
    """Read the audits that were saved in a folder, in the order of AUDITS."""
    paths = [folder / f"audit-{name}.json" for name in AUDITS]
    return [
        from_json(read_json(path, damaged=_CURE), where=str(path))
        for path in paths
        # An audit that was not made is no fault; one that was has to be whole.
        if path.is_file()
    ]
