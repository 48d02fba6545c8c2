"""Pitch: rows where there is a voice, semitones by hand, pieces of a long sound as one."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from traitscope.errors import ClipError, ConfigError, DataError, MissingError
from traitscope.extract.voice_pitch import Config, Extractor
from traitscope.features.request import make_request
from traitscope.types import Clip, Inputs, Stream, Waveform


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a graph of the tracker's form, that looks at 16 frames to either side.

    Pitch is the lowest one plus what is highest in 33 frames, voicing the loudness of a frame.
    """
    from onnx import TensorProto, helper

    def made(kind: str, inputs: list[str], output: str, **how: object) -> object:
        return helper.make_node(kind, inputs, [output], **how)

    whole = {"kernel_shape": [256], "strides": [256]}
    nodes = [
        made("Unsqueeze", ["audio", "one"], "sound"),
        made("Abs", ["sound"], "level"),
        made("AveragePool", ["level"], "frames", **whole),
        made("Squeeze", ["frames", "one"], "confidence"),
        made("MaxPool", ["frames"], "around", kernel_shape=[33], pads=[16, 16]),
        made("Squeeze", ["around", "one"], "highest"),
        made("Mul", ["highest", "fmax"], "above"),
        made("Add", ["above", "fmin"], "single"),
        made("Cast", ["single"], "pitch", to=TensorProto.DOUBLE),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tracker",
        [
            helper.make_tensor_value_info("audio", floats, [1, "samples"]),
            helper.make_tensor_value_info("fmin", floats, []),
            helper.make_tensor_value_info("fmax", floats, []),
        ],
        [
            helper.make_tensor_value_info("pitch", TensorProto.DOUBLE, [1, "frames"]),
            helper.make_tensor_value_info("confidence", floats, [1, "frames"]),
        ],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    folder = tmp_path_factory.mktemp("tracker")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder


def tracked(tracker: Path | str, samples: np.ndarray, **settings: float) -> Stream:
    inputs = Inputs(Clip("c"), waveform=Waveform(samples.astype(np.float32), 16_000))
    return Extractor(Config(tracker=str(tracker), **settings)).finish(inputs)  # type: ignore[arg-type]


def test_rows_are_16_ms_apart_and_valid_where_there_is_a_voice(tracker: Path) -> None:
    samples = np.concatenate([np.zeros(2560), np.full(2560, 0.75), np.zeros(2660)])
    stream = tracked(tracker, samples)
    assert len(stream.time) == 30
    assert stream.time[:3].tolist() == pytest.approx([0.0, 0.016, 0.032])
    assert np.flatnonzero(stream.mask).tolist() == list(range(10, 20))
    assert stream.values is not None
    assert np.isnan(stream.values[~stream.mask]).all()
    hertz = 65 + 0.75 * 500
    wanted = [hertz, 12 * np.log2(hertz / 55), 0.75]
    assert stream.values[12].tolist() == pytest.approx(wanted, rel=1e-5)
    assert tracked(tracker, samples, low_hz=110, high_hz=200).values[12, 1] == pytest.approx(  # type: ignore[index]
        12 * np.log2((110 + 150) / 55), rel=1e-5
    )


def test_a_long_sound_in_pieces_is_as_in_one(tracker: Path) -> None:
    levels = np.random.default_rng(0).uniform(0.5, 0.9, 5000)
    stream = tracked(tracker, np.repeat(levels, 256))
    around = np.pad(levels, 16, constant_values=0)
    highest = np.lib.stride_tricks.sliding_window_view(around, 33).max(axis=1)
    assert stream.values is not None
    assert np.allclose(stream.values[:, 0], 65 + 500 * highest, rtol=1e-5)


def test_what_has_no_voice_or_is_too_short_says_so(tracker: Path) -> None:
    with pytest.raises(ClipError, match="No voice was heard") as error:
        tracked(tracker, np.zeros(16_000))
    assert error.value.status == "silent"
    with pytest.raises(ClipError, match="shorter than a frame") as error:
        tracked(tracker, np.ones(255))
    assert error.value.status == "too_short"
    with pytest.raises(ConfigError, match=r"low_hz=400.*is not below"):
        make_request("voice_pitch", {"low_hz": 400, "high_hz": 300})


def test_files_of_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match=r"model\.onnx cannot be read"):
        tracked(tmp_path, np.ones(16_000))
    for place in ("TRAITSCOPE_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(place, str(tmp_path))
    with pytest.raises(MissingError, match="weights fetch pypi:swift-f0"):
        tracked("pypi:swift-f0", np.ones(16_000))
