"""Every shipped recipe is a valid run of a model that exists, with losses that exist."""

import pytest

from traitscope import registry
from traitscope.errors import ConfigError
from traitscope.runs.plan import load_run, plan, requests_for
from traitscope.training import losses


@pytest.mark.parametrize("name", registry.names("recipes"))
def test_a_recipe_is_a_valid_run(name: str) -> None:
    config = load_run(name)
    made = plan(config)
    assert made.draws
    for stage in config.stages:
        assert losses.find(stage.loss)


def test_the_stages_of_crnet_are_named_and_can_be_changed_by_name() -> None:
    config = load_run("crnet", ["train.ranges.epochs=2", "train.regression.lr=0.1"])
    assert [(s.name, s.epochs, s.lr) for s in config.stages] == [
        ("ranges", 2, 0.002),
        ("regression", 98, 0.1),
    ]


def test_short_forms_belong_to_the_streams_of_the_model_as_it_is_set() -> None:
    faces = requests_for("image_backbone", ["model.input=faces", "faces.backend=dlib"])
    assert [(request.name, request.backend) for request in faces] == [("faces", "dlib")]
    late = ["embedding.faces.backend=dlib", "model.embeddings=true", "model.pretrained=false"]
    (embedding,) = requests_for("face_cnn", late)
    assert [below.backend for below in embedding.upstream] == ["dlib"]
    with pytest.raises(ConfigError, match="unknown key 'faces'"):
        requests_for("image_backbone", ["faces.backend=dlib"])
    with pytest.raises(ConfigError, match="unknown key 'frames'"):
        requests_for("image_backbone", ["model.input=faces", "frames.rate=2"])
