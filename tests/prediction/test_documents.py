"""The published document of predictions, and its schema."""

import json
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from tests.test_answers import full
from traitscope.prediction import documents
from traitscope.types import Prediction


def document(*predictions: Prediction) -> dict[str, Any]:
    """A document as it is written, of any run."""
    facts = {"run": "runs/a", "model": "functionals", "kind": "apparent", "corpus": "fi"}
    target = {"name": "openness", "label": "openness", "low": 0.0, "high": 1.0}
    return {
        **{"schema_version": documents.SCHEMA_VERSION, "backend": None, "targets": [target]},
        **{"note": "no verdict", "covers": "", "left_out": [{"file": "a", "reason": "empty"}]},
        **facts,
        "clips": [one.to_dict() for one in predictions],
    }


def test_the_published_schema_is_that_of_the_classes() -> None:
    assert json.loads(documents.SCHEMA_FILE.read_text(encoding="utf-8")) == documents.schema(), (
        "fields changed; write it again: python tools/prediction_schema.py"
    )


def test_full_and_failed_predictions_keep_to_the_schema() -> None:
    tree = document(full(), Prediction("b", status="no_face", reason="no face"))
    jsonschema.validate(tree, documents.schema())
    documents.Document.model_validate(tree)
    tree["clips"][0]["intervals"]["openness"]["level"] = 9
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, documents.schema())


def test_every_field_of_a_prediction_is_in_the_schema() -> None:
    tree = document(full())["clips"][0]

    def names(part: type[BaseModel]) -> set[str]:
        return set(part.model_fields)

    assert set(tree) == names(documents.ClipPart)
    assert set(tree["person"]) == names(documents.PersonPart)
    assert set(tree["timeline"]) == names(documents.TimelinePart)
    assert set(tree["warnings"][0]) == names(documents.CautionPart)
