"""Weights that another program saved in, a run folder that `evaluate` and `predict` load out.

The run says what was not learned here: it has no history and no record of the clips it was fitted
on, and its card names the file with its checksum.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from traitscope import registry
from traitscope.config import save_config
from traitscope.corpora import saved_corpus
from traitscope.corpora.first_impressions import NOTES, TARGETS
from traitscope.errors import ConfigError, DataError, some
from traitscope.files import checksum, refuse_used, write_json
from traitscope.runs.card import write_card
from traitscope.runs.checkpoint import (
    build_fitted,
    open_run,
    save_fitted,
)
from traitscope.runs.checksums import write_checksums
from traitscope.runs.facts import Facts, save_facts
from traitscope.runs.foreign import read_foreign
from traitscope.runs.layers import row_shape
from traitscope.runs.plan import Plan, load_run, plan, typed_names
from traitscope.runs.settings import RunConfig
from traitscope.runs.transfer import Account, take_over, target_axes
from traitscope.types import Corpus

log = logging.getLogger(__name__)


def convert(
    file: Path | str, *, model: str, to: Path | str, settings: Sequence[str] = ()
) -> Account:
    """Make a run of a file of weights.

    Args:
        file: what ``torch.save`` wrote of a network's state, or ``.safetensors``.
        model: recipe or model that the weights are of.
        to: folder of the run.
        settings: ``key=value``: those of the model that the file was trained with;
            ``data.corpus=`` whose targets it estimates (First Impressions otherwise), and
            ``train.start.rename={theirs: ours}`` for beginnings of names that we do not know.

    Returns:
        What became of each tensor.

    Raises:
        ConfigError: there is no such model or file, or nothing of the file fits.
        DataError: the file is damaged or holds code, or the model lacks tensors after it.
    """
    file, folder = Path(file), Path(to)
    refuse_used(folder)
    typed = typed_names(model, settings)
    config = load_run(model, settings)
    run_plan = plan(config, typed=typed, source=model)
    if run_plan.is_estimator:
        raise ConfigError(
            f"{model} is no network: it is fitted in one step, and holds no tensors of others."
        )
    corpus = _corpus(config, typed)
    facts = _facts(run_plan, corpus)
    # Nothing random is left in the end, but what is refused should be refused alike each time.
    torch.manual_seed(config.seed)
    network = build_fitted(run_plan, facts)
    origin = read_foreign(file, network, run_plan.module, rename=config.start.rename)
    axes = target_axes(run_plan, facts)
    account = take_over(network, origin, facts.targets, axes=axes, start=config.start)
    _check_whole(account, network, file, model)
    for stream in (name for name, draw in run_plan.draws.items() if draw.standardize):
        log.warning("%s is taken as it is: the file does not say how it was standardised", stream)
    folder.mkdir(parents=True, exist_ok=True)
    save_config(_resolved(config, run_plan, facts), folder / "run.yaml")
    save_facts(folder, facts, {})
    save_fitted(folder, network)
    _write_about(folder, file, corpus, account, typed)
    return account


def _corpus(config: RunConfig, typed: registry.Typed) -> Corpus:
    """What the numbers mean: that of a corpus that was named, or First Impressions."""
    if config.data.corpus:
        return saved_corpus(config.data.corpus, typed, words="data.corpus=").with_clips(())
    # All five systems were trained on it, with these keys in this direction.
    return Corpus("first_impressions", "apparent", TARGETS, (), NOTES)


def _facts(run_plan: Plan, corpus: Corpus) -> Facts:
    requests = run_plan.requests
    shapes = {s: row_shape(requests[s], draw) for s, draw in run_plan.draws.items()}
    columns = {s: tuple(getattr(requests[s].module, "COLUMNS", ())) for s in requests}
    fitting = {s: names for s, names in columns.items() if shapes[s][-1:] == (len(names),)}
    return Facts(corpus.name, corpus.kind, corpus.targets, requests, shapes, fitting)


def _check_whole(account: Account, network: Any, file: Path, model: str) -> None:
    """A run is for predictions: of random tensors they would be noise that looks like scores."""
    if account.fresh:
        lacking = some(list(account.fresh), 6)
        # Of what is left, why: the tensors that are lacking may be there under other names.
        reasons = some(list(dict.fromkeys(account.left.values())), 2)
        lacking = f"{lacking} (of what it has: {reasons})" if reasons else lacking
        raise DataError(
            f"{file} lacks {len(account.fresh)} tensors of {model}: {lacking}. "
            f"Name the settings it was trained with, or say what they are called there "
            f"(train.start.rename={{theirs: ours}}), or train them: traitscope train {model} ... "
            f"--from {file}"
        )
    odd = [n for n, t in network.state_dict().items() if not torch.isfinite(t.float()).all()]
    if odd:
        raise DataError(f"{file} holds NaN or infinity in {some(odd, 3)}: it is damaged.")


def _resolved(config: RunConfig, run_plan: Plan, facts: Facts) -> RunConfig:
    """Write every default out, so that the run means the same later."""
    update = {
        "model": {"name": config.model["name"], **run_plan.options.model_dump(mode="json")},
        "features": {s: r.config.model_dump(mode="json") for s, r in run_plan.requests.items()},
        "data": config.data.model_copy(update={"targets": tuple(t.name for t in facts.targets)}),
    }
    return config.model_copy(update=update)


def _write_about(
    folder: Path, file: Path, corpus: Corpus, account: Account, typed: registry.Typed
) -> None:
    about: dict[str, Any] = {
        "fitted_clips": 0,
        "validation_clips": 0,
        "left_out": [],
        "validation": {},
        "started_from": None,
        "converted_from": {"file": file.name, "sha256": checksum(file)},
    }
    write_json(folder / "start.json", account.as_json())
    write_json(folder / "metrics.json", about)
    write_card(open_run(folder, typed), corpus, about)
    write_checksums(folder)
