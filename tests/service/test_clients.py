"""The clients of docs/service.md, run as they stand there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.serving import serving
from traitscope.prediction.clips import predict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "service.md"
BLOCKS = dict(
    re.findall(r"^(Python|curl|JavaScript):\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.M | re.S)
)


@pytest.mark.slow
def test_each_client_reads_the_scores(tmp_path: Path) -> None:
    run = train_listener(tmp_path)
    write_sound(tmp_path / "clip.wav", tone(0.5, hertz=300.0))
    (tmp_path / "clip.wav").rename(tmp_path / "clip.mp4")
    score = predict(run, tmp_path / "clip.mp4")[0].scores["warmth"]
    programs = {
        "Python": [sys.executable, "client.py"],
        "curl": ["sh", "client.sh"],
        "JavaScript": ["node", "client.mjs"],
    }
    assert set(BLOCKS) == set(programs)
    with serving(run, folder=tmp_path / "uploads") as served:
        for name, command in programs.items():
            needed = "curl" if name == "curl" else command[0]
            if shutil.which(needed) is None:
                continue
            text = BLOCKS[name].replace("ADDRESS", served.address)
            assert len(text.strip().splitlines()) <= 6
            (tmp_path / command[1]).write_text(text)
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            values = [float(one) for one in re.findall(r"warmth[\"']?: ?([\d.]+)", done.stdout)]
            assert score in values, (name, done.stdout)
        with served.client() as client:
            assert json.loads(client.get("/v1/models").text)["models"][0]["name"] == "run"
