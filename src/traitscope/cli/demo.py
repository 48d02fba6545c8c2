"""``traitscope demo``: the whole job on a generated corpus."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from traitscope.cli._shared import duration, log_to_stderr, progress, say

if TYPE_CHECKING:  # types imports NumPy, and the first words must not wait for it
    from traitscope.types import Hook

app = typer.Typer(rich_markup_mode=None)


@dataclass(frozen=True)
class Step:
    """One step of the demo, in words, and how long two idle cores take for it."""

    about: str
    seconds: float


STEPS = {
    "videos": Step("rendering videos of talking faces, with traits planted in them", 36),
    "features": Step("measuring what faces and voices do in them", 20),
    "functionals": Step("training functionals, a regression on statistics of both", 4),
    "audio_lstm": Step("training audio_lstm, a network that hears the voice alone", 12),
    "evaluation": Step("scoring both on people they have never seen, and writing the page", 6),
}
"""The steps of `experiments.demonstration`, in their order. The seconds only weigh the steps
against each other once the demo runs: what is left is told by the pace of this machine."""
UNSURE_SECONDS = 10.0
"""So much of the plan counts as done at its own pace: what a start takes says little."""


class Countdown:
    """Tell which step of a plan is at work, and when all of them will be done.

    A step that finds its items there from before takes no time, so the plan shrinks by it::

        plan    |== videos ==|= features =|=|== audio_lstm ==|
        spent   |------------|----|                             pace = time gone / spent
                                  |<------- left ----------->|  times that pace
    """

    def __init__(
        self, steps: Mapping[str, Step], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._steps, self._clock, self._begun = steps, clock, clock()
        self._plan = {title: step.seconds for title, step in steps.items()}
        self._spent = dict.fromkeys(steps, 0.0)
        self._at_work = 0.0  # what the step at work still takes, by its own pace

    def left(self) -> float:
        """Seconds until the last step is done, by the pace so far."""
        spent = sum(self._spent.values())
        pace = (self._clock() - self._begun + UNSURE_SECONDS) / (spent + UNSURE_SECONDS)
        # Its own line says how long a step still takes: the whole cannot be done before it.
        return max(pace * (sum(self._plan.values()) - spent), self._at_work)

    @contextmanager
    def stage(self, title: str) -> "Iterator[Hook]":
        """Say that a step begins and show how far it is; yields ``hook(done, total, name)``."""
        number = list(self._steps).index(title) + 1
        about = self._steps[title].about
        say(f"Step {number} of {len(self._steps)}: {about} ({self._told()})")
        before: int | None = None
        start = 0.0
        with progress(title) as show:

            def hook(done: int, total: int, name: str) -> None:
                nonlocal before, start
                if before is None:
                    before, start = done, self._clock()
                if done > before:
                    self._at_work = (self._clock() - start) * (total - done) / (done - before)
                self._plan[title] = self._steps[title].seconds * (total - before) / max(1, total)
                self._spent[title] = self._steps[title].seconds * (done - before) / max(1, total)
                show(done, total, self._told())

            yield hook
        # Whoever had nothing to do calls no hook.
        self._plan[title] = 0.0 if before is None else self._plan[title]
        self._spent[title] = self._plan[title]
        self._at_work = 0.0

    def _told(self) -> str:
        return f"about {duration(self.left())} left in all"


@app.command()
def demo(
    to: Annotated[Path, typer.Option(help="Folder to write; it may be there already.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of corpus and training.")] = 0,
    backend: Annotated[
        Literal["auto", "mediapipe", "dlib"], typer.Option(help="Who finds the faces.")
    ] = "auto",
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Generate talking faces, extract, train two models, evaluate, and write a report.

    traitscope demo

    traitscope demo --to elsewhere --seed 1 --open
    """
    countdown = Countdown(STEPS)
    say(
        f"The whole job on made-up people, in {len(STEPS)} steps: videos, features, two models, "
        f"numbers beside baselines, a page. It takes about {duration(countdown.left())} on two "
        f"cores, goes into {to}, and downloads nothing."
    )
    from traitscope.cli.evaluate import print_reports
    from traitscope.experiments.demonstration import SHAPE, demonstrate

    log_to_stderr()
    shape = SHAPE.model_copy(update={"seed": seed})
    result = demonstrate(to, shape=shape, backend=backend, stage=countdown.stage)
    print_reports(list(result.reports))
    say(f"The page, for a browser: {result.page}")
    say(f"The run that sees faces: {result.run}")
    say(f"Try it: traitscope predict {result.run} YOUR_CLIP.mp4")
    if open_page and typer.launch(result.page.absolute().as_uri()):
        say("No browser was started from here: open the page yourself.")
