"""Runs that stay open between calls: media in, predictions out, nothing loaded twice."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from traitscope.interface import Place, Predictions, plain_path, predict

if TYPE_CHECKING:  # whoever only imports the package waits for none of them
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Hook


class Predictor:
    """A run, or several, kept open: the second call costs what its clips cost.

    Use it as a context, or close it: trackers hold memory and threads.

    Example:
        ``with Predictor("runs/a") as predictor: predictor("one.mp4")[0].intervals``
    """

    def __init__(self, *runs: "Checkpoint | Place", level: float = 0.9) -> None:
        """Load runs.

        Args:
            runs: a run or its folder, or a loaded checkpoint; scores are the mean of several.
            level: share of labels that intervals cover.

        Raises:
            DataError: a run is damaged or unfinished.
        """
        from traitscope.features.extraction import Extraction
        from traitscope.prediction.ensembles import open_members
        from traitscope.prediction.halves import Wishes

        self.runs = open_members([plain_path(one) for one in runs])
        self._extraction, self._wishes = Extraction(), Wishes(level)

    def __call__(
        self,
        *media: Place | Iterable[Place],
        text: Place | None = None,
        people: Literal["one", "all"] = "one",
        timeline: bool = True,
        hook: "Hook | None" = None,
    ) -> Predictions:
        """Estimate the traits of clips.

        Args:
            media: files, folders of images or tables, one by one or in lists.
            text: a file with the words of the one clip.
            people: everybody who is seen, or the one whom the run's rule chooses.
            timeline: score long recordings in windows.
            hook: called as hook(done, total, name); a notebook shows progress without one.
        """
        wishes = replace(self._wishes, people=people, timeline=timeline)
        how = {"wishes": wishes, "extraction": self._extraction, "workers": 0}
        return predict(self.runs, *media, text=text, hook=hook, **how)

    def close(self) -> None:
        """Free what the trackers hold."""
        self._extraction.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
