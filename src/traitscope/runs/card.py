"""The model card of a run: what it estimates, from what, how well, and what it is not for."""

from collections.abc import Mapping
from typing import Any

from traitscope.data.protocols import manifest_facts
from traitscope.escaping import markdown
from traitscope.files import write_text
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.reference import read_reference, stated_intervals
from traitscope.types import Corpus

KINDS = {
    "apparent": "apparent traits: what observers perceive in a short video, not what a person is",
    "self_reported": "self-reported traits: answers to a questionnaire, estimated from a video",
}

EXCLUDED = (
    "decisions about people: hiring, admission, credit, insurance, policing, health",
    "ranking or comparing candidates",
    "statements about a person's character, type or mental health",
)


def searched_words(searched: Mapping[str, Any]) -> str:
    """Say that settings were searched on validation, for card and report; empty if they were not.

    Args:
        searched: ``trials`` and ``metric``, as the settings of a run have them.
    """
    if not searched.get("trials"):
        return ""
    return (
        f"Validation was searched: the settings are the best of {searched['trials']} trials by "
        f"macro {markdown(str(searched['metric']))} on the validation clips, so that scores on "
        f"these clips are better than they will be on others."
    )


def write_card(checkpoint: Checkpoint, corpus: Corpus, metrics: Mapping[str, Any]) -> None:
    """Write ``card.md`` into the run."""
    facts, config = checkpoint.facts, checkpoint.config
    lines = [f"# {markdown(config.model['name'])}", "", f"Estimates {KINDS[facts.kind]}.", ""]
    lines += ["## Data", "", f"- Corpus: {markdown(facts.corpus)} ({markdown(facts.kind)})"]
    lines += [f"- {markdown(note)}" for note in corpus.notes]
    # Said in every card, also where it is "no": a reader must not have to know the default.
    sees = "yes" if config.data.allow_attributes else "no"
    if "converted_from" in metrics:
        file = metrics["converted_from"]
        lines.append(f"- Trained by another program: {markdown(file['file'])} ({file['sha256']})")
    lines += [
        f"- Fitted on {facts.fitted_clips} clips; {len(metrics['left_out'])} clips left out",
        f"- Protocol: {config.protocol.kind}, fitted on {config.protocol.fit}",
        *[f"- Manifest: {mark}" for mark in manifest_facts(config.protocol).values()],
        f"- Attributes of people seen by the model: {sees}",
        *[
            f"- Clips weigh in the loss by their {markdown(stage.clip_weights)}"
            for stage in config.stages
            if stage.clip_weights
        ],
        *[
            f"- Labels were drawn anew in each step, with a standard error of {error}"
            for stage in config.stages
            if (error := "their raters" if stage.label_noise == "raters" else stage.label_noise)
        ],
        "",
        "## Targets",
        "",
    ]
    for target in facts.targets:
        # Without the range nobody can tell whether 0.6 is much.
        bounded = f"{target.low} to {target.high}" if target.low is not None else "z-score"
        lines.append(f"- {markdown(target.label)}: {bounded}")
    lines += ["", "## Features", ""]
    for stream, request in facts.requests.items():
        backend = getattr(request.config, "backend", None)
        lines.append(f"- {markdown(stream)} (`{request.key}`{f', {backend}' if backend else ''})")
    lines += ["", "## Validation", ""]
    scores = metrics["validation"]
    # Undefined scores are left out here; metrics.json has them as null.
    shown = ", ".join(f"{k} {v:.4f}" for k, v in scores.items() if v is not None)
    lines.append(shown or "No validation clips. Evaluate with: traitscope evaluate")
    if kept := getattr(checkpoint.fitted, "best_epochs", None):
        each = ", ".join(f"{markdown(target)} {epoch}" for target, epoch in kept.items())
        lines += ["", f"Each target with the weights of its best epoch: {each}."]
    lines += ["", "Selected on validation. For honest numbers: traitscope evaluate.", ""]
    if told := searched_words(config.searched.model_dump()):
        lines += [told, ""]
    lines += _uncertainty(checkpoint)
    lines += ["## Not for", "", *[f"- {use}" for use in EXCLUDED], ""]
    write_text(checkpoint.folder / "card.md", "\n".join(lines))


def _uncertainty(checkpoint: Checkpoint) -> list[str]:
    """How far labels lie from scores, and which clips get none."""
    reference = read_reference(checkpoint.folder)
    lines = ["## Uncertainty", "", reference.explain() or "No intervals: nothing was held out.", ""]
    for name, one in stated_intervals(reference, checkpoint.facts.targets).items():
        lines.append(
            f"- {markdown(name)}: score +/- {one['half_width']:.3f}; intervals that were made "
            f"without a person hold {one['coverage']:.1%} of their labels"
        )
    for stream, share in reference.refused_coverage.items():
        lines.append(f"- No score where less than {share:.0%} of {markdown(stream)} could be read")
    return [*lines, ""]
