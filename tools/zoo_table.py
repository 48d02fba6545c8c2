"""The zoo in one table for the site: what a model sees, reached, costs, and what bounds its use.

Scores and minutes are those kept in ``benchmarks/planted/scores.csv``; streams and parameters are
of the model at its own size, built without memory or weights.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from traitscope import registry
from traitscope.errors import DataError, MissingError
from traitscope.runs.layers import row_shape
from traitscope.runs.plan import load_run, plan
from traitscope.types import TRAITS, Target

SCORES = Path(__file__).resolve().parents[1] / "benchmarks" / "planted" / "scores.csv"
ABOUT = """\
# The zoo in one table

`traitscope train NAME` trains any of them. What a model is worth on your clips shows only there:
`traitscope benchmark` ranks them. The scores here answer a smaller question, whether a model finds
what is there to be found.

- **R2** is from **rendered faces with planted traits, {clips} clips of {people} people**, on
  people nobody was fitted on, one seed. The networks are reduced in size and start from random
  weights. It says nothing about real people, and a model for large corpora may do badly there.
- **share** is R2 as a share of what a regression reaches on those planted behaviours that the model
  can see or hear: by it a model that hears may be compared with one that sees.
- **minutes** are of training there, by the clock, on one of two cores that others used too:
  orders of magnitude.
- **parameters** are those of the model at its own size; estimators have none, and some are as
  wide as the rows that they are given.
- **licence** names what bounds the use of a *trained* model beside Apache-2.0 of the code. Whatever
  its corpus says comes on top: First Impressions V2 is CC BY-NC 4.0.

An empty cell has not been measured.
"""
NOTES = """
- **face**: MediaPipe's file is Apache-2.0; dlib's 68 landmarks were trained on iBUG 300-W, which
  excludes commercial use.
- **pretrained**: starts from published weights unless `model.pretrained=false`; most are of
  ImageNet, whose terms are for non-commercial research. See the card of the file.
- **openSMILE**: the extractor is free for research; commercial use needs audEERING's licence.
"""
_HONEST = "_out_of_fold"
_FACES = {"faces", "landmarks", "signals", "drawings"}
_OPENSMILE = {"egemaps", "emobase", "compare"}
_TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]


def zoo_page() -> str:
    """The page, as Markdown."""
    scores = _scores()
    clips = max((int(row["clips"]) for row in scores.values()), default=0)
    lines = [
        "| model | takes | R2 | share | minutes | parameters | licence |",
        "|---|---|--:|--:|--:|--:|---|",
        *(_line(name, scores.get(name)) for name in registry.names("models")),
    ]
    return "\n".join([ABOUT.format(clips=clips, people=clips // 4), *lines, NOTES])


def _scores() -> dict[str, dict[str, str]]:
    """Model -> its row on the most clips, with the first seed."""
    with SCORES.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (int(row["clips"]), -int(row["seed"])))
    # A second stage that learnt from scores of clips unknown to the first is the honest one.
    rows.sort(key=lambda row: row["model"].endswith(_HONEST))
    return {row["model"].removesuffix(_HONEST): row for row in rows}


def _line(name: str, score: Mapping[str, str] | None) -> str:
    streams, parameters, marks = _facts(name)
    link = f"[{name}](models.md#{name})"
    measured = "| | |"
    if score is not None:
        share = float(score["r2"]) / float(score["attainable"])
        measured = f"| {float(score['r2']):.2f} | {share:.2f} | {float(score['minutes']):.1f}"
    return f"| {link} | {streams} {measured} | {parameters} | {marks} |"


def _facts(name: str) -> tuple[str, str, str]:
    """Streams, millions of parameters and what bounds its use, as the table has them."""
    module = registry.load("models", name)
    try:
        config = module.Config()
        draws = module.inputs(config)
        marks = [
            *(["face"] if _FACES & set(draws) else []),
            *(["pretrained"] if getattr(config, "pretrained", False) else []),
            *(["openSMILE"] if _OPENSMILE & set(draws) else []),
        ]
    except MissingError:
        return "", "", ""
    return ", ".join(draws), _parameters(name, module, config), ", ".join(marks)


def _parameters(name: str, module: Any, config: Any) -> str:
    if not hasattr(module, "Model"):
        return "-"
    try:
        work = plan(load_run(name))
        shapes = {
            stream: row_shape(work.requests[stream], draw) for stream, draw in work.draws.items()
        }
        with torch.device("meta"):
            model = module.Model(config, shapes, _TARGETS)
    except DataError:  # its width is that of another network's rows
        return "as its rows"
    millions = sum(tensor.numel() for tensor in model.parameters()) / 1e6
    return f"{millions:.1f} M" if millions >= 1 else f"{millions:.2f} M"
