"""Which clips come when, and the batches of them: of this process, where several fit together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import Sampler

from traitscope.data.loader import Loader, reading
from traitscope.runs.settings import Stage
from traitscope.training import pace
from traitscope.training.devices import ALONE, Devices
from traitscope.training.loop import Session


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffled (pass, index) pairs whose order is a pure function of (stage, seed, epoch).

    Workers ask for their first batches as soon as the loader is iterated, which Lightning does
    before it says which epoch it resumes: the sampler of a resumed training is made with that.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        stage: Stage,
        *,
        epoch: int = 0,
        skip: int = 0,
        devices: Devices = ALONE,
    ) -> None:
        self.length, self.seed, self.stage, self.devices = length, seed, stage, devices
        self.epoch = epoch
        self.skip = skip  # clips of the first epoch that the state has seen already

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = range(pace.samples(self.stage, self.length))
        return len(self.devices.part(count, self.stage.batch_size))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = pace.order(self.stage, self.length, seed=self.seed, epoch=self.epoch)
        skip, self.skip = self.skip, 0
        return iter(self.devices.part(order[skip:], self.stage.batch_size))


@contextmanager
def loaders(
    session: Session, stage: Stage, *, epoch: int = 0, batches: int = 0
) -> Iterator[tuple[Loader, Loader | None]]:
    """The batches to fit on, and to select on if there are any; both are read by one crew.

    Args:
        session: what is fitted on.
        stage: its batch size and pace.
        epoch: which one comes first.
        batches: of it, how many have been seen already.
    """
    fitting, selection = session.data.fitting, session.data.selection
    sets = [fitting, selection] if selection else [fitting]
    skip = batches * stage.batch_size
    devices = session.devices
    where: dict[str, Any] = {"epoch": epoch, "skip": skip, "devices": devices}
    sampler = EpochSampler(len(fitting), session.config.seed, stage, **where)
    size = max(devices.batch_size(stage) for stage in session.config.stages)
    with reading(sets, session.workers) as readers:
        own = devices.batch_size(stage)
        first = Loader(fitting, batch_size=own, sampler=sampler, readers=readers)
        first.drop_last = pace.ends_alone(stage, len(fitting), devices.count)
        mine = devices.part(range(len(selection)), devices.count)
        second = Loader(selection, batch_size=size, sampler=mine, readers=readers, which=1)
        yield first, second if selection else None
