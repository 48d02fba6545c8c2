# %% [markdown]
# # From raw clips to a report
#
# A folder with videos and a table `corpus/clips.csv` (columns `clip`, `path`, `split`, `source`,
# and the five traits) is all that is needed. Open this file as a notebook (jupytext, VS Code), or
# run it as a script: it has no `if __name__ == "__main__"`, and needs none.

# %%
from pathlib import Path

import traitscope

CORPUS, STORE = "table:corpus/clips.csv", "store"
corpus = traitscope.load_corpus(CORPUS)
print(f"{len(corpus.clips)} clips, targets: {', '.join(corpus.target_names)}")

# %% [markdown]
# Features first: every clip is decoded once, and what is finished is not done again. `for_` takes
# the model whose features are wanted.

# %%
summary = traitscope.prepare(CORPUS, STORE, for_="functionals", workers=1)
traitscope.prepare(CORPUS, STORE, for_="audio_lstm", workers=1)
summary.to_frame()

# %% [markdown]
# Two models, one that is fitted in one step and one that is trained. Settings are those of the
# command line, as a dictionary.

# %%
data = {"data.corpus": CORPUS, "data.store": STORE}
ridge = traitscope.train("functionals", data, to="runs/functionals")
lstm = traitscope.train(
    "audio_lstm",
    {**data, "train.epochs": 3, "train.lr": 1e-3, "train.batch_size": 4},
    to="runs/audio_lstm",
    workers=1,
)
lstm.to_frame()

# %% [markdown]
# Numbers stand beside baselines: a constant, look-ups, permuted labels.

# %%
reports = [traitscope.evaluate(run) for run in (ridge, lstm)]
reports[0].to_frame()

# %%
for verdict in reports[0].verdicts:
    print("-", verdict.text)
traitscope.write_report(reports, Path("page.html"))

# %% [markdown]
# And scores of any clip, with the reason where there are none.

# %%
clips = [clip.path for clip in corpus.clips[:2] if clip.path is not None]
predictions = traitscope.predict(ridge, clips)
predictions.to_frame()
