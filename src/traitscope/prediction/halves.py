"""A clip between extraction and model, what is asked of it, and what a first stage makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from traitscope.data.drawing import Example
from traitscope.errors import ClipError
from traitscope.prediction.doubts import Evidence
from traitscope.prediction.series import FirstStage, series
from traitscope.prediction.windows import Window
from traitscope.statistics.conformal import LEVEL
from traitscope.types import Clip, Prediction, Stream


@dataclass(frozen=True)
class Wishes:
    """What is asked of each clip beside its scores.

    Attributes:
        level: of the intervals.
        timeline: whether long recordings are scored window by window, and the score is the mean.
        least_coverage: share of each stream below which there is no score; None as the run says.
        people: everybody who is seen, or the one whom the run's own rule chooses.
    """

    level: float = LEVEL
    timeline: bool = True
    least_coverage: float | None = None
    people: Literal["one", "all"] = "one"


USUAL = Wishes()
"""What is asked where nobody says otherwise."""


@dataclass
class Half:
    """A clip between extraction and model: what is known of it, and what the model gets.

    Attributes:
        prediction: so far.
        clip: the clip.
        evidence: what is kept of its examples.
        streams: of the clip.
        windows: of a long recording.
        example: of a clip that is scored as a whole.
        errors: of streams that could not be extracted.
    """

    prediction: Prediction
    clip: Clip
    evidence: Evidence
    streams: dict[str, Stream] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    example: Example | None = None
    errors: list[ClipError] = field(default_factory=list)

    def fail(self, error: ClipError) -> None:
        """It has no scores after all."""
        self.prediction = replace(
            self.prediction, status=error.status, reason=str(error), scores={}
        )


def made_by_first_stage(
    stage: FirstStage,
    clip: Clip,
    lacking: Sequence[str],
    outcomes: Mapping[str, Stream | ClipError],
) -> Mapping[str, Stream | ClipError]:
    """Scores of the clip's frames by the first stage, or why there are none.

    Args:
        stage: the networks.
        clip: the clip.
        lacking: names of the series that are wanted.
        outcomes: key of a request -> its stream or failure, of the pictures.
    """
    pictures: dict[str, Stream] = {}
    try:
        for name, request in stage.requests.items():
            outcome = outcomes[request.key]
            if isinstance(outcome, ClipError):
                raise outcome.again()  # with the coverage of those before
            pictures[name] = outcome
        made = series(stage, clip, pictures)
    except ClipError as error:
        return dict.fromkeys(lacking, error)
    return {name: made[name] for name in lacking}
