"""Model files are looked for, verified and never fetched behind anyone's back."""

import json
from pathlib import Path

import pytest
import timm

from tests.support.command_line import type_in
from traitscope import weights
from traitscope.errors import MissingError, TraitscopeError

NAME = "face_landmarker.task"


def test_a_missing_file_names_the_command_that_brings_it() -> None:
    with pytest.raises(MissingError, match=f"traitscope weights fetch {NAME}"):
        weights.find(NAME)


def test_a_wrong_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    (tmp_path / NAME).write_bytes(b"not the model")
    assert weights.locate(NAME) == tmp_path / NAME
    with pytest.raises(TraitscopeError, match="not the published file"):
        weights.find(NAME)


def test_the_given_folder_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights.folders() == (tmp_path / "given", tmp_path / "cache" / "traitscope")
    monkeypatch.delenv("TRAITSCOPE_WEIGHTS")
    assert weights.folders() == (tmp_path / "cache" / "traitscope",)


def test_an_unknown_file_lists_those_known() -> None:
    with pytest.raises(TraitscopeError, match=f"There are: .*{NAME}"):
        weights.find("other.task")


def test_a_failed_download_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    with pytest.raises(TraitscopeError, match="Copy the file from another machine"):
        weights.fetch(NAME)  # there is no network in tests
    assert not list(tmp_path.iterdir())


@pytest.mark.shared
def test_the_real_file_is_the_published_one(shared_weights: Path) -> None:
    assert weights.find(NAME) == shared_weights / NAME


def test_a_network_is_fetched_from_where_timm_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return "/cache/model.safetensors"

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert weights.fetch("timm:resnet50.tv_in1k") == Path("/cache/model.safetensors")
    assert asked == [("timm/resnet50.tv_in1k", "model.safetensors")]
    with pytest.raises(TraitscopeError, match="no weights for 'resnet51'"):
        weights.fetch("timm:resnet51")


def test_a_failed_download_of_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def download(repository: str, file: str) -> str:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(TraitscopeError, match=r"huggingface.co/timm/resnet50.tv_in1k: no route"):
        weights.fetch("timm:resnet50.tv_in1k")


def test_tensors_that_models_start_from_are_listed_with_their_licence() -> None:
    rows = {row["name"]: row for row in json.loads(type_in("weights", "list", "--json").stdout)}
    vgg = rows["timm:vgg16_bn.tv_in1k"]
    assert (vgg["licence"], vgg["found"]) == ("BSD-3-Clause", None)
    assert vgg["purpose"].startswith("starts cam_dan, dan: ImageNet-1k")
    for name in (one for one in rows if one.startswith(weights.TIMM)):
        published = timm.get_pretrained_cfg(name.removeprefix(weights.TIMM))
        assert published.hf_hub_id == f"timm/{name.removeprefix(weights.TIMM)}"
        assert published.license.lower() == rows[name]["licence"].lower()
