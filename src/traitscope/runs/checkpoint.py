"""A trained run as a folder without pickles: what was fitted, on what, and how to use it again.

``run.yaml`` settings · ``features.json`` fingerprints, targets, shapes · ``model.safetensors``
weights or fitted arrays · ``model.json`` facts of an estimator · ``scalers.safetensors`` ·
``best_epochs.json`` which of them for which target ·
``history.csv`` · ``metrics.json`` · ``card.md`` · ``checksums.json``.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from traitscope import registry
from traitscope.config import build, read_yaml
from traitscope.data.batches import to_tensors
from traitscope.data.examples import Examples
from traitscope.data.loader import Loader, reading
from traitscope.data.moved import place_now
from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError, DataError, shown
from traitscope.features.store import Store
from traitscope.files import replacing, write_json
from traitscope.runs.checksums import check_learned, naming_edited, no_run
from traitscope.runs.ensemble import Ensemble, together
from traitscope.runs.exported import Served, is_exported, open_exported, read_inputs
from traitscope.runs.facts import Facts, read_part, run_facts
from traitscope.runs.fit import check_fit, saved_arrays, tensors_in
from traitscope.runs.members import seed_folders
from traitscope.runs.plan import Plan, plan
from traitscope.runs.settings import RunConfig
from traitscope.types import Batch, Clip, Draw, Hook, Target
from traitscope.weights import run_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded run, ready to predict.

    Attributes:
        typed: what the user typed to load it, for other processes that load it too.
    """

    folder: Path
    config: RunConfig
    draws: Mapping[str, Draw]
    facts: Facts
    scalers: Mapping[str, Scaler]
    fitted: Any
    typed: registry.Typed = registry.NOTHING

    def predict(self, batch: Batch) -> NDArray[np.float64]:
        """Predict (clips, targets) from a batch of NumPy arrays."""
        return predict_batch(self.fitted, batch)

    @property
    def states_variance(self) -> bool:
        """Whether the run says of each score how sure it is, and has learnt to."""
        if isinstance(self.fitted, Served | Ensemble):
            return self.fitted.states_variance
        # An output of another loss has a variance, too, which nothing was ever held against.
        stages = self.config.stages
        return bool(stages) and stages[-1].loss == "gaussian" and hasattr(self.fitted, "forward")

    def estimate(self, batch: Batch) -> "Estimate":
        """Predict from a batch of NumPy arrays, with variances where the run states them."""
        if isinstance(self.fitted, Served | Ensemble):
            return Estimate(*self.fitted.estimate(batch))
        if not self.states_variance:
            return Estimate(self.predict(batch))
        return estimate_batch(self.fitted, batch, self.facts.targets)

    def examples(self, clips: Sequence[Clip], store: Store) -> Examples:
        """Examples of prepared clips, drawn as in evaluation."""
        names = [target.name for target in self.facts.targets]
        plain = Examples(clips, store, self.keys, self.draws, targets=names)
        return plain.scaled(self.scalers)

    def predict_examples(
        self, examples: Examples, *, size: int = 32, workers: int = 0, hook: Hook | None = None
    ) -> NDArray[np.float64]:
        """Predict (clips, targets), ``size`` clips at a time, read here or by ``workers``."""
        return self.estimate_examples(examples, size=size, workers=workers, hook=hook).scores

    def estimate_examples(
        self, examples: Examples, *, size: int = 32, workers: int = 0, hook: Hook | None = None
    ) -> "Estimate":
        """The same with variances, where the run states them."""
        parts, done = [], 0
        columns = examples.columns() if len(examples) else {}
        with reading([examples], workers) as readers:
            for batch in Loader(examples, batch_size=size, readers=readers):
                parts.append(self.estimate(replace(batch, columns=columns)))
                done += len(batch.clips)
                if hook:
                    hook(done, len(examples), "")
        nothing = np.empty((0, len(self.facts.targets)))
        variances = [one.variance for one in parts if one.variance is not None]
        return Estimate(
            np.concatenate([one.scores for one in parts]) if parts else nothing,
            np.concatenate(variances) if variances else None,
        )

    @property
    def keys(self) -> dict[str, str]:
        """Stream -> key of its features in a store."""
        return {stream: request.key for stream, request in self.facts.requests.items()}

    @property
    def backend(self) -> str | None:
        """The tracking backend of its face features, if it uses any."""
        requests = self.facts.requests.values()
        return next((r.backend for r in requests if "tracks" in r.needs), None)


class Estimate(NamedTuple):
    """What a model says of some clips.

    Attributes:
        scores: (clips, targets).
        variance: (clips, targets) the model's own, in squared units; None where it has none.
    """

    scores: NDArray[np.float64]
    variance: NDArray[np.float64] | None = None


def estimate_batch(fitted: Any, batch: Batch, targets: Sequence[Target]) -> Estimate:
    """Predict with a Model whose output has a ``log_variance``, in squared shares of the ranges."""
    output = _output(fitted, batch)
    # Of several epochs' weights, each for its target, there are scores alone.
    if not hasattr(output, "log_variance"):
        return Estimate(_doubles(predicted(output)))
    variance = _doubles(output.log_variance.exp()) * np.square([t.span for t in targets])
    return Estimate(_doubles(output.prediction), variance)


def predict_batch(fitted: Any, batch: Batch) -> NDArray[np.float64]:
    """Predict (clips, targets) with a fitted Model or Estimator from NumPy arrays."""
    if not hasattr(fitted, "forward"):
        return np.asarray(fitted.predict(batch), dtype=np.float64)
    return _doubles(predicted(_output(fitted, batch)))


def _output(fitted: Any, batch: Batch) -> Any:
    """What a network returns for a batch of NumPy arrays."""
    import torch

    # Where the network is, not where the machine has room: training may still hold the GPU.
    device = next(fitted.parameters()).device
    was_training = fitted.training  # it goes back as it came
    fitted.eval()
    # Faster than no_grad, and nothing of a prediction is ever learnt from.
    with torch.inference_mode():
        output = fitted(to_tensors(batch, device))
    fitted.train(was_training)
    return output


def _doubles(tensor: Any) -> NDArray[np.float64]:
    # Double from here on: means over thousands of clips are taken of it.
    values: NDArray[np.float64] = tensor.double().cpu().numpy()
    return values


def predicted(output: Any) -> Any:
    """The (clips, targets) predictions inside what a model returned."""
    return getattr(output, "prediction", output)


def save_fitted(folder: Path, fitted: Any, *, tensors: Mapping[str, Any] | None = None) -> None:
    """Write what was learned; the file appears whole or not at all.

    Args:
        folder: the run.
        fitted: a Model or an Estimator.
        tensors: other tensors than those the Model has now, such as their running mean.
    """
    path = folder / "model.safetensors"
    if hasattr(fitted, "forward"):
        from safetensors.torch import save_file as save_tensors

        # safetensors refuses tensors that share memory, as tied weights do: each gets its own.
        state = tensors or fitted.state_dict()
        with replacing(path) as draft:
            save_tensors({name: t.contiguous().clone() for name, t in state.items()}, draft)
    else:
        arrays, facts = fitted.state()
        write_json(folder / "model.json", facts)  # first: model.safetensors says that all is there
        with replacing(path) as draft:
            save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, draft)


def load(
    folder: Path | str, *, model: str | None = None, streams: Iterable[str] = ()
) -> Checkpoint:
    """Load a run for evaluation or prediction.

    Args:
        folder: the run; or ``hf:owner/name@revision``, which was fetched before.
        model: the dotted path of an outside model, typed by the user; must equal the saved name.
        streams: dotted paths of outside extractors that it reads, typed by the user.

    Raises:
        DataError: files are missing or damaged, or were made with another extractor version.
        ConfigError: the run names a model or extractor from outside that the user did not type.
    """
    folder = run_folder(folder)
    config = read_run(folder)
    # Typing another name must not load a network of one kind as another.
    if model is not None and model != config.model["name"]:
        raise ConfigError(
            f"{folder} was trained with {shown(config.model['name'])}, not {model!r}."
        )
    return open_run(folder, registry.typed(model=model, streams=streams))


def read_run(folder: Path) -> RunConfig:
    """Read the settings of a run.

    Raises:
        DataError: it is no run.
        ConfigError: its settings are damaged.
    """
    path = (folder := run_folder(folder)) / "run.yaml"
    if not path.is_file():
        raise no_run(folder)
    return as_it_lies(folder, build(RunConfig, read_yaml(path), where=str(path)))


def as_it_lies(folder: Path, config: RunConfig) -> RunConfig:
    """The settings of a run with what they name where that lies now, see `moved`."""
    places = {what: getattr(config.data, what) for what in ("corpus", "store", "first_stage")}
    now = {what: place_now(folder, what, saved) for what, saved in places.items()}
    if now == places:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update=now)})


def open_run(folder: Path, typed: registry.Typed) -> Checkpoint:
    """Load a run; nothing from outside is imported but what the user typed, see `load`."""
    folder = run_folder(folder)
    config = read_run(folder)
    if places := seed_folders(folder, config):
        return together([open_run(place, typed) for place in places], folder, config)
    if config.protocol.fold == "all":
        raise ConfigError(f"{folder} holds a run per fold. Name one, such as {folder / 'fold-0'}.")
    if is_exported(folder):
        check_learned(folder)
        # Its scalers are part of the graph, and its model's file would load PyTorch.
        inputs, facts = read_inputs(folder), run_facts(folder, typed)
        draws = {one.stream: one.draw for one in inputs}
        widths: Any = {one.stream: one.plain for one in inputs if one.draw.optional}
        return Checkpoint(folder, config, draws, facts, widths, open_exported(folder), typed)
    with naming_edited(folder):
        # To predict with it, nobody needs the transforms it was trained with.
        plain = config.model_copy(update={"augment": {}})
        run_plan = plan(plain, typed=typed, source=str(folder / "run.yaml"))
    # Settings say what the model takes, features.json what it was given: both must agree.
    facts = run_facts(folder, typed)
    if set(facts.requests) != set(run_plan.draws):
        raise DataError(f"{folder}: features.json does not fit run.yaml. Train again.")
    scalers = saved_scalers(folder)
    if hasattr(run_plan.module, "as_saved"):  # it gets what it stands on from the run itself
        run_plan = replace(run_plan, options=run_plan.module.as_saved(run_plan.options))
    else:
        check_fit(folder / "model.safetensors", partial(build_fitted, run_plan, facts))
    fitted = build_fitted(run_plan, facts)
    _restore(folder, fitted)
    check_learned(folder)
    if hasattr(fitted, "forward"):  # an estimator stays where it is
        import torch

        if config.stages and config.stages[-1].keep == "per_target":
            from traitscope.runs.best_epochs import best_of_each

            fitted = best_of_each(folder, fitted, [target.name for target in facts.targets])
        fitted.to("cuda" if torch.cuda.is_available() else "cpu")
    return Checkpoint(folder, config, run_plan.draws, facts, scalers, fitted, typed)


def build_fitted(run_plan: Plan, facts: Facts) -> Any:
    """Make the run's untrained Model or Estimator."""
    if run_plan.is_estimator:
        return run_plan.module.Estimator(run_plan.options, facts.targets)
    return run_plan.module.Model(run_plan.options, facts.shapes, facts.targets)


def load_weights(folder: Path, model: Any) -> None:
    """Put a run's saved tensors into a network of the same architecture.

    Raises:
        DataError: names or shapes differ.
    """
    try:
        model.load_state_dict(saved_tensors(folder))
    except (RuntimeError, TypeError) as error:
        path = folder / "model.safetensors"
        raise DataError(f"{path} does not fit its run: {error}") from error


def saved_tensors(folder: Path) -> dict[str, Any]:
    """The tensors of a run's network, by name."""
    return tensors_in(folder / "model.safetensors")


def _restore(folder: Path, fitted: Any) -> None:
    if hasattr(fitted, "forward"):
        load_weights(folder, fitted)
        fitted.eval()
    else:
        arrays, facts = (
            saved_arrays(folder / "model.safetensors"),
            read_part(folder / "model.json"),
        )
        try:
            fitted.restore(arrays, facts)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{folder / 'model.json'} is damaged ({error!r}). Train again."
            ) from error


def saved_scalers(folder: Path) -> dict[str, Scaler]:
    """The scalers of a run; none where it standardises nothing."""
    path = folder / "scalers.safetensors"
    if not path.is_file():
        return {}
    arrays = saved_arrays(path)
    scalers = {}
    for stream in sorted({name.rpartition("/")[0] for name in arrays}):
        mean, sd = (arrays.get(f"{stream}/{part}") for part in ("mean", "sd"))
        # The scaler would broadcast a wrong shape without a word.
        if mean is None or sd is None or mean.ndim != 1 or mean.shape != sd.shape:
            raise DataError(f"{path} is damaged (no mean and sd of {stream}). Train again.")
        scalers[stream] = Scaler(mean=mean, sd=sd)
    return scalers
