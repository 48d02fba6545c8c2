"""Names and files that a stranger wrote into recipes, addresses, tables and text encoders."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.support.prepared import data, make_corpus, make_store
from tests.support.stranger import PAYLOAD, Stranger, pipe, zeros
from traitscope.corpora import load_corpus, saved_corpus
from traitscope.errors import ConfigError
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.features.request import make_request
from traitscope.models.text_transformer import TINY, Model
from traitscope.nn.pretrained import check_network, timm_backbone
from traitscope.nn.text_encoder import Encoder, byte_encoder, fill, read_encoder
from traitscope.runs.fit import check_fit
from traitscope.runs.layers import row_shape
from traitscope.runs.plan import load_run, plan, requests_for, typed_names
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Draw, Target
from traitscope.weights import find_network

TARGETS = tuple(Target(name, 0.0, 1.0, 1) for name in TRAITS)
ELSEWHERE = f"{PAYLOAD}:/data"


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    return Stranger(tmp_path, monkeypatch)


RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": {"name": PAYLOAD}}, rf"mine\.yaml names.*model\.name={PAYLOAD}"),
    "stream": (
        {"model": {"name": "functionals", "streams": [PAYLOAD]}},
        rf"mine\.yaml names.*--stream {PAYLOAD}",
    ),
    "transform": ({"model": {"name": "audio_lstm"}, "augment": {PAYLOAD: {}}}, PAYLOAD),
    "tracker": (
        {
            "model": {"name": "functionals", "streams": ["signals"]},
            "features": {"signals": {"backend": PAYLOAD}},
        },
        "backend",
    ),
    "options that name a file": (
        {"model": {"name": "image_backbone", "options": {"checkpoint_path": "evil.pth"}}},
        "no setting 'checkpoint_path'",
    ),
    "options that lay over where tensors come from": (
        {"model": {"name": "image_backbone", "options": {"pretrained_cfg_overlay": {"a": 1}}}},
        "no setting 'pretrained_cfg_overlay'",
    ),
    "options beyond all machines": (
        {"model": {"name": "image_backbone", "options": {"embed_dim": 10**9}}},
        "numbers up to",
    ),
}


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("verb", ["show", "prepare"])
def test_a_recipe_that_was_typed_imports_nothing_that_stands_in_it(
    case: str, verb: str, stranger: Stranger
) -> None:
    tree, message = RECIPES[case]
    (stranger.folder / "mine.yaml").write_text(yaml.safe_dump(tree))
    typed = typed_names("mine.yaml")
    verbs: dict[str, Callable[[], Any]] = {
        "show": lambda: plan(load_run("mine.yaml"), typed=typed, source="mine.yaml"),
        "prepare": lambda: requests_for("mine.yaml"),
    }
    stranger.refused(verbs[verb], message)


def test_training_by_a_recipe_asks_for_each_name_by_the_words_of_its_role(
    stranger: Stranger,
) -> None:
    folder = stranger.folder
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    recipe = {"model": {"name": "audio_lstm"}, "data": {"corpus": ELSEWHERE, "store": "store"}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe))
    cure = rf"mine\.yaml names '{PAYLOAD}'.*data\.corpus={ELSEWHERE}"
    stranger.refused(lambda: train("mine.yaml", to="runs/a"), cure)
    recipe = {"model": {"name": "audio_lstm"}, "stages": [{"loss": "evil_lab.payload"}]}
    (folder / "loss.yaml").write_text(yaml.safe_dump(recipe))
    own = [*data(folder), "train.epochs=1"]
    cure = r"type it yourself: train\.loss=evil_lab\.payload"
    stranger.refused(lambda: train("loss.yaml", own, to="runs/b", accelerator="cpu"), cure)


@pytest.mark.parametrize(
    ("name", "overrides", "streams", "expected"),
    [
        ("lab.model", [], [], ({"lab.model"}, set(), set())),
        ("mine.yaml", ["model.name=lab.model"], [], ({"lab.model"}, set(), set())),
        ("crnet", ["data.corpus=lab.clips:/d"], [], ({"crnet"}, set(), {"lab.clips"})),
        ("functionals", ["model.streams=[lab.gaze]"], [], ({"functionals"}, {"lab.gaze"}, set())),
        ("functionals", [], ["lab.gaze"], ({"functionals"}, {"lab.gaze"}, set())),
        ("mine.yaml", ["seed=1"], [], (set(), set(), set())),
    ],
)
def test_what_was_typed_counts_for_its_role(
    name: str, overrides: list[str], streams: list[str], expected: tuple[set[str], ...]
) -> None:
    typed = typed_names(name, overrides, streams)
    assert (typed.models, typed.extract, typed.corpora) == tuple(map(frozenset, expected))


def test_a_folder_with_a_dot_in_its_name_is_no_module_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.run").mkdir()
    monkeypatch.chdir(tmp_path)
    assert typed_names("evil.run").models == frozenset()


PLACES = [
    "hf-hub:a/b",
    "hf_hub:a/b",
    "local-dir:/etc",
    "https://a.example/b",
    "../evil",
    "file:///e",
]


@pytest.mark.parametrize("name", PLACES)
def test_a_network_of_timm_is_one_of_its_list_and_no_place(name: str, stranger: Stranger) -> None:
    embedding = make_request("embedding", {"model": name, "faces": {"backend": "dlib"}})
    works: tuple[Callable[[], Any], ...] = (
        lambda: check_network(name),
        lambda: timm_backbone(name, pretrained=False),
        lambda: timm_backbone(name, pretrained=True),
        lambda: find_network(name, setting="model.pretrained"),
        lambda: row_shape(embedding, Draw()),
    )
    for work in works:
        stranger.refused(work, "no timm model|not on this machine")
    check_network("resnet18.a1_in1k")


ADDRESSES = {
    "table:/dev/zero": "pipe or a device",
    "fi:/dev/zero": "pipe or a device",
    "udiva:/dev/stdin": "pipe or a device|no folder|not",
    "../evil:x": "which corpus",
    "os.path.join:x": "not an entry|no function load|cannot be found",
    f"{'x' * 100_000}:y": "no 'xxx",
}


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda a: a[:20])
def test_an_address_from_a_file_reads_no_device_and_imports_nothing(
    address: str, stranger: Stranger
) -> None:
    stranger.refused(lambda: saved_corpus(address, source="run.yaml"), ADDRESSES[address])


def as_pickle(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return exec, ("open('canary', 'w').write('ran')",)

    (folder / "annotation_training.pkl").write_bytes(pickle.dumps(Evil()))


def endless_pickle(folder: Path) -> None:
    zeros(folder / "annotation_training.pkl")


@pytest.mark.parametrize("write", [as_pickle, endless_pickle])
def test_labels_in_a_pickle_run_nothing_and_end(
    write: Callable[[Path], None], stranger: Stranger
) -> None:
    write(stranger.folder)
    stranger.refused(lambda: load_corpus(f"fi:{stranger.folder}"), "annotation_training.pkl")


@pytest.mark.parametrize("write", [pipe, zeros])
def test_a_table_that_never_ends_is_refused(
    write: Callable[[Path], None], stranger: Stranger
) -> None:
    corpus = load_corpus(make_corpus(stranger.folder / "sound"))
    theirs = stranger.folder / "theirs.csv"
    write(theirs)
    stranger.refused(lambda: evaluate_predictions(theirs, corpus), r"theirs\.csv.*plain file")
    declared = stranger.folder / "sound" / "clips.yaml"
    write(declared)
    table = stranger.folder / "sound" / "clips.csv"
    stranger.refused(lambda: load_corpus(f"table:{table}"), r"clips\.yaml.*plain file")


def encoder_folder(folder: Path, **changes: Any) -> Path:
    place = folder / "encoder"
    place.mkdir()
    config = {**TINY.architecture, "vocab_size": 30, **changes}
    (place / "config.json").write_text(json.dumps(config))
    (place / "evil.py").write_text("open('canary', 'w').write('ran')\n")
    return place


OWN_CODE = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.M"}}


def test_an_encoder_with_code_of_its_own_is_refused(stranger: Stranger) -> None:
    pytest.importorskip("transformers")
    place = encoder_folder(stranger.folder, **OWN_CODE)
    stranger.refused(lambda: read_encoder(str(place)), "brings code of its own")
    stranger.refused(lambda: fill(None, str(place)), "brings code of its own")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("write", [pipe, zeros])
def test_an_encoder_of_files_that_never_end_is_refused(
    file: str, write: Callable[[Path], None], stranger: Stranger
) -> None:
    pytest.importorskip("transformers")
    place = encoder_folder(stranger.folder)
    write(place / file)
    stranger.refused(lambda: read_encoder(str(place)), rf"{file}.*plain file")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "timm_backbone", "backbone": "hf-hub:a/b"},
        {"model_type": "detr", "use_pretrained_backbone": True},
        {"model_type": PAYLOAD},
        {"model_type": ["bert"]},
        {"hidden_size": -1},
        {"hidden_size": "x"},
    ],
    ids=str,
)
def test_an_architecture_in_a_run_is_that_of_a_text_encoder(
    changes: dict[str, Any], stranger: Stranger
) -> None:
    pytest.importorskip("transformers")
    spec = Encoder({**TINY.architecture, **changes}, "{}")
    stranger.refused(spec.network, "No encoder can be built")


def test_an_architecture_names_no_code_and_no_kernels() -> None:
    from traitscope.nn.text_encoder import plain

    foreign = {
        "auto_map": {"AutoModel": "evil.M"},
        "_attn_implementation": "evil/kernels",
        "attn_implementation": "evil/kernels",
        "experts_implementation": "evil/kernels",
        "_name_or_path": "/etc",
        "quantization_config": {"quant_method": "evil"},
    }
    assert plain({**TINY.architecture, **foreign}) == TINY.architecture


def described(case: str) -> bytes:
    """What a run says of its encoder."""
    if case == "no JSON":
        return b"{"
    if case == "no tokenizer":
        return json.dumps([TINY.architecture, "{"]).encode()
    wide = {**TINY.architecture, "hidden_size": 10**6}
    return json.dumps([wide, byte_encoder(TINY.architecture).tokenizer]).encode()


@pytest.mark.parametrize("case", ["no JSON", "no tokenizer", "wider than its tensors"])
def test_an_encoder_inside_a_run_is_checked_before_it_is_built(
    case: str, stranger: Stranger
) -> None:
    pytest.importorskip("transformers")
    state = dict(Model(TINY, {}, TARGETS).state_dict())
    state["described"] = torch.frombuffer(bytearray(described(case)), dtype=torch.uint8).clone()
    fresh = Model(TINY, {}, TARGETS)
    stranger.refused(lambda: fresh.load_state_dict(state), "text encoder cannot be used")


def test_settings_that_ask_for_endless_layers_end(stranger: Stranger) -> None:
    from safetensors.torch import save_file

    path = stranger.folder / "model.safetensors"
    save_file({"weight": torch.zeros(2, 2)}, path)

    def endless() -> torch.nn.Module:
        return torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(10**9))

    stranger.refused(lambda: check_fit(path, endless), "many more layers.*train again")
    stranger.refused(
        lambda: check_fit(path, lambda: torch.nn.LSTM(2, 2, num_layers=10**9)), "train again"
    )


def test_settings_typed_on_the_command_line_are_bounded_too() -> None:
    for setting in ("seed=&a [*a]", "seed=" + "9" * 5000, "model.options=" + "[" * 100):
        with pytest.raises(ConfigError, match="not readable"):
            load_run("audio_lstm", [setting])
