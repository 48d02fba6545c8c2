"""An Explanation as a page, or as a fragment of one that stands in other pages.

`write_explanation` makes one file that asks nothing of the network: video, timeline, evidence per
trait, the deletion test. Another page, as that of a server, takes `fragment`: its ``html`` goes
anywhere into the body of a page that has the styles and the script of `assets`, several of them
side by side, or later than the page; its ``data`` is the same evidence as JSON values
(`Explanation.to_dict`) for whoever draws it otherwise::

    shown = fragment(explain(run, path), preview(clip, seconds))
    style, script = assets()
    f"<style>{style}</style> {shown.html} <script>{script}</script>"

A page that plays the recording itself, in a video whose id is ``player``, says ``played=True``: a
click on a moment goes there.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from traitscope.analysis.evidence import Explanation, span_of
from traitscope.analysis.naming import about, brief, readable
from traitscope.errors import DataError
from traitscope.files import write_text
from traitscope.media.previews import Preview, preview
from traitscope.report import explanation_figures as figures
from traitscope.types import Clip

KIND = {
    "apparent": "apparent traits: what people who watch a clip say of a stranger",
    "self_reported": "self-reported traits: what people say of themselves in a questionnaire",
}
_NAMES = 10  # columns that are drawn; the rest is in the table of parts


@dataclass(frozen=True)
class Fragment:
    """Evidence to be put into a page.

    Attributes:
        html: safe to insert; needs the styles and the script of `assets`.
        data: the same as JSON values.
    """

    html: Markup
    data: Mapping[str, Any]


@dataclass(frozen=True)
class TraitView:
    """The evidence for one score, ready for the template."""

    label: str
    score: str
    words: str
    strips: tuple[tuple[str, Markup], ...]
    streams: tuple[figures.Bar, ...]
    names: tuple[tuple[str, tuple[figures.Bar, ...]], ...]
    texts: tuple[tuple[str, Markup], ...]
    regions: tuple[tuple[str, tuple[figures.Bar, ...]], ...]
    pictures: tuple[figures.Shown, ...]
    curve: Markup
    test: str
    better: bool


def write_explanation(
    explanation: Explanation,
    path: Path,
    *,
    clip: Clip | None = None,
    tested: Mapping[str, Any] | None = None,
) -> Path:
    """Write an explanation as one HTML page.

    Args:
        explanation: of a clip.
        path: of the page; its folder is made.
        clip: whose video is shown; by default the file of the explanation.
        tested: what ``measure_explanations`` found for the run, to be said on the page.

    Raises:
        DataError: ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file, for example {path / 'page.html'}")
    if clip is None and explanation.path:
        clip = Clip(explanation.clip, path=Path(explanation.path))
    shown = None if clip is None else preview(clip, explanation.seconds)
    style, script = assets()
    text = (
        _environment()
        .from_string(_asset("explanation.html"))
        .render(
            body=fragment(explanation, shown, tested=tested).html,
            title=explanation.clip,
            style=Markup(style),
            script=Markup(script),
            # the page's own policy allows this one script, so text from data can never run
            script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        )
    )
    return write_text(path, text)


def fragment(
    explanation: Explanation,
    video: Preview | None = None,
    *,
    tested: Mapping[str, Any] | None = None,
    played: bool = False,
) -> Fragment:
    """Make the evidence of a clip to be put into a page.

    Args:
        explanation: of a clip.
        video: what is shown above the timeline.
        tested: what ``measure_explanations`` found for the run.
        played: the page plays the recording by itself.
    """
    source = None
    if video is not None:
        source = Markup(f"data:video/mp4;base64,{b64encode(video.data).decode()}")
    told = explanation.to_dict()
    traits = [_view(explanation, place, one) for place, one in enumerate(told["targets"])]
    html = (
        _environment()
        .from_string(_asset("explanation_body.html"))
        .render(
            e=explanation,
            kind=KIND.get(explanation.kind, explanation.kind),
            traits=traits,
            video=source,
            shown=0.0 if video is None else video.seconds,
            tested=None if tested is None else _tested(tested),
            played=played,
            # Names in a page are its own: two runs may be explained in one.
            key=f"e{sha256(f'{explanation.run} {explanation.clip}'.encode()).hexdigest()[:8]}",
        )
    )
    return Fragment(Markup(html), told)


def assets() -> tuple[str, str]:
    """Styles (those of reports and of evidence) and script that a fragment needs."""
    return _asset("page.css") + _asset("explanation.css"), _asset("explanation.js")


def _asset(name: str) -> str:
    return files("traitscope.report").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _view(e: Explanation, place: int, told: Mapping[str, Any]) -> TraitView:
    names, texts = [], []
    for stream in e.alone:
        sums = {name: float(one[place]) for name, one in e.names(stream).items()}
        if not sums:
            continue
        if stream == "transcript":
            texts.append((stream, figures.marked(e.parts, e.values[:, place], stream)))
        strongest = dict(sorted(sums.items(), key=lambda item: -abs(item[1]))[:_NAMES])
        # Words are what they are; columns have names that only programs read.
        named = str if stream == "transcript" else readable
        title = "Words" if stream == "transcript" else f"Measured in {about(stream)}"
        names.append((title, figures.bars(strongest, named=named)))
    return TraitView(
        label=told["label"],
        score=f"{told['score']:.2f}",
        words=_words(e, told),
        strips=tuple(
            (
                brief(stream, e.strips),
                figures.strip(one, place, e.seconds, label=f"{stream} over time"),
            )
            for stream, one in e.strips.items()
        ),
        streams=figures.bars(
            {name: float(one[place]) for name, one in e.alone.items()}, named=about
        ),
        names=tuple(names),
        texts=tuple(texts),
        regions=tuple(
            (
                about(stream),
                figures.bars({name: float(one[place]) for name, one in regions.items()}),
            )
            for stream, regions in e.regions.items()
        ),
        pictures=figures.key_pictures(e, place),
        curve=figures.deletion_curve(e.deletion, place),
        test=_test(e, place, told),
        better=told["verdict"] == "better than random",
    )


def _words(e: Explanation, told: Mapping[str, Any]) -> str:
    """One sentence about what holds a score where it is."""
    gap = told["score"] - told["reference"]
    side = "above" if gap >= 0 else "below"
    span = span_of(e.targets[e.target(told["target"])])
    if abs(gap) < 0.01 * span:
        far = f"about that of {e.against} ({told['reference']:.2f})"
    else:
        far = f"{abs(gap):.2f} {side} that of {e.against} ({told['reference']:.2f})"
    when = ""
    if told["seconds"] is not None:
        when = ", seconds {:.1f} to {:.1f}".format(*told["seconds"])
    name = told["name"] if told["stream"] == "transcript" else readable(told["name"])
    what = ", ".join(filter(None, (told["region"], name)))
    return (
        f"The score is {far}. What holds it there most: {about(told['stream'])}{when}"
        f"{f' ({what})' if what else ''}."
    )


def _test(e: Explanation, place: int, told: Mapping[str, Any]) -> str:
    one = told["deletion"]
    gain = f"{one['value']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]".replace("-", "−")
    return (
        f"Deleting the strongest evidence moves the score farther than deleting as much at random "
        f"by {gain} (mean over the steps; 95 % of random orders): {told['verdict']}."
    )


def _tested(found: Mapping[str, Any]) -> str:
    """What the test over a split says of this model, in one sentence."""
    row = found["rows"][-1]
    lost = row["lost"]
    ends = "" if lost["low"] is None else f" [{lost['low']:+.3f}, {lost['high']:+.3f}]"
    number = "undefined" if lost["value"] is None else f"{lost['value']:+.3f}{ends}"
    number = number.replace("-", "−")
    return (
        f"Over {found['clips']} clips of {found['split']}, held against the labels: deleting the "
        f"strongest evidence costs {number} more of the agreement with them than deleting as much "
        f"at random: {found['verdict']}."
    )
