# %% [markdown]
# # Explanations, and whether to believe them
#
# What in a clip moved its scores: streams, seconds, columns. It is a statement about the model, not
# about the person, so it comes with a test: what is called important is taken away, and the score
# has to change faster than when as much is taken away at random.

# %%
from pathlib import Path

import traitscope

CORPUS, STORE = "table:corpus/clips.csv", "store"
data = {"data.corpus": CORPUS, "data.store": STORE}
traitscope.prepare(CORPUS, STORE, for_="functionals", workers=1)
run = traitscope.train("functionals", data, to="runs/explained")

# %% [markdown]
# One clip first; the page has the video, with the curves of both ways below it.

# %%
corpus = traitscope.load_corpus(CORPUS)
clip = next(clip.path for clip in corpus.clips if clip.split == "test" and clip.path is not None)
made = traitscope.explain(run, clip, to=Path("explained.html"))
top = made.top("extraversion")
print(f"extraversion rests most on {top.stream} {top.name}, seconds {top.seconds}")
made.to_frame()

# %% [markdown]
# What is evidence in one clip may be chance. Over many clips the test says whether this model's
# explanations are better than random ones at all: `traitscope analyse explanations runs/explained`.
