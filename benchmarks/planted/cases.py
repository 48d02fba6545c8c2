"""Every model of the zoo at reduced size, in the order in which the table is filled.

Networks start from random weights here (`case.adam`). Second stages learn from the scores of
``image_backbone``: once of the network that has learnt from the clips, once out of fold.
"""

from dataclasses import replace

from benchmarks.planted.case import VOICE, Case, adam
from benchmarks.planted.images import IMAGES, SEEN_AND_HEARD
from benchmarks.planted.series import FUSION, SIGNALS, SOUND, TEXT, VIDEO

_SECOND = {
    "average": Case("average"),
    "statistics_mlp": Case("statistics_mlp", ("train.lr=0.001", "train.epochs=60")),
    "spectrum_cnn": Case(
        "spectrum_cnn",
        ("model.bins=16", "model.width=8", *adam(0.001, 40, 16, decay=0.05)),
        why="kernels shared over frequencies and averaged at the end lose which bin the mean is, "
        "and a few hundred clips are learnt by heart from their phases",
    ),
    "linear_series": Case("linear_series", ("model.rows=25",)),
    "metadata_fusion": Case("metadata_fusion", ("train.lr=0.0005", "train.epochs=40")),
}
"""How a second stage is fitted; one network has no features that several folds would share."""
FOLDED = "image_backbone in folds"
_FOLDS = ("protocol.kind=kfold", "protocol.folds=5", "protocol.fold=all")


def _second_stages() -> dict[str, Case]:
    naive = {
        name: replace(case, hidden=VOICE, first="image_backbone") for name, case in _SECOND.items()
    }
    honest = {
        f"{name} out of fold": replace(naive[name], first=FOLDED, out_of_fold=True)
        for name in naive
        if name != "metadata_fusion"
    }
    return naive | honest


_EVERY = {
    **SIGNALS,
    **FUSION,
    **SOUND,
    **TEXT,
    **IMAGES,
    **SEEN_AND_HEARD,
    **VIDEO,
    FOLDED: replace(
        IMAGES["image_backbone"], settings=(*IMAGES["image_backbone"].settings, *_FOLDS)
    ),
    **_second_stages(),
}
# Those of the other systems first, then second stages, then what the benchmark adds in video.
_FIRST = (
    *("functionals", "au_hybrid", "face_cnn", "audio_spectrum_cnn", "audio_linear", "audio_lstm"),
    *("bimodal_lstm", "bimodal_resnet18", "vat", "dan", "crnet", "crnet_etr", "resnet_lstm"),
    *("audio_resnet18", "s2d", "image_backbone", FOLDED, *_second_stages()),
)
CASES = {name: _EVERY[name] for name in (*_FIRST, *_EVERY)}
