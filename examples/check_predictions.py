# %% [markdown]
# # Checking somebody's predictions
#
# Their table `theirs.csv` (a column `clip`, and `predicted_openness` and so on) and the labels
# `corpus/clips.csv` are all that it takes: no model, no features. Their system is laid beside a
# constant, beside what a look-up by recording reaches, and beside another system of the same clips.

# %%
from pathlib import Path

import pandas as pd

import traitscope

corpus = traitscope.load_corpus("table:corpus/clips.csv")
report = traitscope.evaluate_predictions(Path("theirs.csv"), corpus, name="theirs")
report.to_frame()

# %% [markdown]
# First what can be said in sentences, each with the numbers that it rests on.

# %%
for verdict in report.verdicts:
    print("-", verdict.text)

# %% [markdown]
# Skill says more than accuracy: 0 is what one number for everybody reaches, and 1 is perfect.

# %%
print("skill:", report.everything.model.macro("skill"))
print("CCC:", report.everything.model.macro("ccc"))

# %% [markdown]
# Two systems are compared on the clips that both have, pair by pair. Here the other one says of
# everybody the mean of the clips that one may learn from.

# %%
fitted = [clip.targets for clip in corpus.clips if clip.split == "train"]
mean = pd.DataFrame(fitted).mean().add_prefix("predicted_")
tested = [clip.id for clip in corpus.clips if clip.split == "test"]
constant = pd.DataFrame([{"clip": clip, **mean} for clip in tested])
other = traitscope.evaluate_predictions(constant, corpus, name="mean of train")
traitscope.write_report([report, other], Path("checked.html"))
