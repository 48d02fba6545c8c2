"""Packages that are left to those who need them, and what Lightning leaves so."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from traitscope.training import _on_demand
from traitscope.training._on_demand import leave


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Leaves ``toy_left``, whose part can be imported only after the package; gives it."""
    home = tmp_path / "toy_left"
    home.mkdir()
    (home / "__init__.py").write_text(
        "ready = 'yes'\nfrom toy_left import part\nwhole = part.word\n"
    )
    (home / "part.py").write_text(
        "from toy_left import ready\nword = 'ran ' + ready\ntimes = [1]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def given(*, init: str = "", **options: Any) -> Any:
        code = f"ready = 'yes'\n{init}from toy_left import part\nwhole = part.word\n"
        (home / "__init__.py").write_text(code)
        assert leave("toy_left", {"passing": lambda: "by"}, **options)
        return import_module("toy_left")

    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield given
    for name in ("toy_left", "toy_left.part"):
        sys.modules.pop(name, None)


def test_a_package_runs_when_something_else_is_asked_of_it(package: Callable[..., Any]) -> None:
    ran: list[str] = []
    toy = package(after=lambda: ran.append(toy.whole))
    assert toy.passing == "by"
    assert not hasattr(toy, "__wrapped__")  # as inspect asks every module
    assert not ran
    assert toy.whole == "ran yes"
    assert ran == ["ran yes"]
    assert type(toy) is type(sys)
    assert not hasattr(toy, "passing")
    with pytest.raises(AttributeError, match="nothing"):
        toy.nothing  # noqa: B018


def test_a_part_of_a_package_comes_after_it_and_once(package: Callable[..., Any]) -> None:
    toy = package(whole=True)
    part = import_module("toy_left.part")
    assert toy.part is part
    assert part is sys.modules["toy_left.part"]
    assert toy.whole == part.word


def test_a_thread_waits_for_a_package_that_runs(
    package: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    other = threading.Thread(target=lambda: words.append(sys.modules["toy_left"].whole))
    monkeypatch.setitem(sys.modules, "toy_other", other)  # started while the package runs
    toy = package(init="import toy_other\ntoy_other.start()\ntoy_other.join(0.01)\n")
    assert toy.whole == "ran yes"
    other.join()
    assert words == ["ran yes"]


def test_what_is_imported_or_not_there_is_not_left() -> None:
    assert not leave("json", {})
    assert not leave("toy_that_nobody_has", {})
    assert not leave("toy_that_nobody_has.part", {})
    assert _on_demand._located("concurrent.futures.thread") is not None


LEFT = """
import sys, torch, traitscope.training.stages, lightning.pytorch.core.module as module
from lightning.pytorch.utilities.compile import OptimizedModule
heavy = {"transformers", "scipy", "sympy", "matplotlib", "torch._dynamo.utils"} & set(sys.modules)
assert not heavy, heavy

network = torch.nn.Linear(2, 1)
steps = torch.optim.AdamW(network.parameters())
def step(model):
    steps.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    steps.step()
step(network)
assert "torch._dynamo.utils" not in sys.modules  # an optimiser asks for nothing else
assert not isinstance(network, OptimizedModule)

compiled = torch.compile(network, backend="eager")
step(compiled)
assert isinstance(compiled, OptimizedModule) and not isinstance(network, OptimizedModule)
import torch._dynamo.config as config
assert torch._dynamo.config is config
def both(x):
    return kept(x) + 1
kept = torch.compiler.disable(lambda x: x * 2 if not torch.compiler.is_compiling() else x)
assert torch.compile(both, backend="eager")(torch.ones(1)).item() == 3

import torchmetrics
assert torchmetrics.Metric is module.Metric
assert issubclass(torchmetrics.MeanMetric, module.Metric)
from torchmetrics.functional import accuracy
mean = torchmetrics.MeanMetric()
mean.update(1.0)
assert mean.plot()
"""


@pytest.mark.slow
def test_what_lightning_leaves_is_there_when_it_is_wanted() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
