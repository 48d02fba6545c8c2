# %% [markdown]
# # A model of your own
#
# A model is one file of a package of yours. This script writes one that listens (a layer on each
# second of sound, the mean, a score per trait), trains it, and lays it beside the ridge regression
# that comes along. `docs/own_model.md` has what else a file may say.

# %%
import sys
from pathlib import Path

import traitscope

MODEL = '''
"""The mean of a layer over the sound of a clip."""

from torch import nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.types import Draw


class Config(BaseConfig):
    width: int = 16


TINY = Config(width=4)


def inputs(config):
    return {"mid_term": Draw(standardize=True)}


class Model(nn.Module):
    def __init__(self, config, shapes, targets):
        super().__init__()
        self.look = nn.Sequential(nn.Linear(shapes["mid_term"][0], config.width), nn.ReLU())
        self.score = nn.Linear(config.width, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch):
        mask = batch.masks["mid_term"][..., None]
        rows = self.look(batch.streams["mid_term"]) * mask
        return self.to_range(self.score(rows.sum(1) / mask.sum(1).clamp(min=1)))
'''
Path("my_lab").mkdir(exist_ok=True)
Path("my_lab/listening.py").write_text(MODEL, encoding="utf-8")
sys.path.insert(0, str(Path.cwd()))

# %% [markdown]
# From here on it is named by its dotted path, wherever a model can be named.

# %%
CORPUS, STORE = "table:corpus/clips.csv", "store"
traitscope.prepare(CORPUS, STORE, for_="my_lab.listening", workers=1)
data = {"data.corpus": CORPUS, "data.store": STORE}
settings = {**data, "train.epochs": 5, "train.lr": 1e-2, "train.batch_size": 4}
mine = traitscope.train("my_lab.listening", settings, to="runs/listening")
mine.to_frame()

# %% [markdown]
# `evaluate` asks for the name once more: a run that somebody sent you imports no code by itself.

# %%
report = traitscope.evaluate(mine, model="my_lab.listening")
for verdict in report.verdicts:
    print("-", verdict.text)
report.to_frame()
