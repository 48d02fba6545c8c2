"""A run that listens, on tones: small enough to be trained and used many times."""

import json
from pathlib import Path

from tests.support.media_files import tone, write_sound
from traitscope.corpora import load_corpus
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.training.fitting import train


def train_listener(folder: Path) -> Path:
    """Train a run in ``folder/run`` on ten tones of half a second."""
    (folder / "sounds").mkdir()
    rows = ["clip,path,split,warmth"]
    for number, split in enumerate(["train"] * 8 + ["validation"] * 2):
        path = folder / "sounds" / f"{number}.wav"
        write_sound(path, tone(0.5, hertz=200.0 + 50 * number))
        rows.append(f"{number},{path},{split},{number / 10}")
    (folder / "clips.csv").write_text("\n".join(rows))
    target = {"warmth": {"low": 0, "high": 1, "direction": 1}}
    facts = {"name": "tones", "kind": "apparent", "targets": target}
    (folder / "clips.yaml").write_text(json.dumps(facts))
    address = f"table:{folder / 'clips.csv'}"
    prepare(load_corpus(address), [make_request("short_term", {})], store=folder / "s", workers=0)
    settings = [f"data.corpus={address}", f"data.store={folder / 's'}"]
    return train("functionals", [*settings, "model.streams=[short_term]"], to=folder / "run")
