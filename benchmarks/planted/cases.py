"""Every model of the zoo at reduced size, and what each can know, in the order of the table.

How they are trained stands in the suite ``zoo_planted``. What it lacks is added here: a model on an
encoder that is made here, one on ages and genders, and second stages out of fold.
"""

from dataclasses import replace

from benchmarks.planted.case import Case, Knowledge
from traitscope.experiments.suites import load_suite

VOICE = ("pitch", "pitch_range", "loudness")
"""What no picture shows; pauses and the rate of speech move the mouth."""
FACE = ("smile", "mouth", "blink", "brow", "turn", "gaze", "nod", "tilt", "bow")
"""What nobody hears."""
ORDER = ("rate", "pauses")
"""What the spectrum of a whole clip has no trace of."""
WORDS = (*FACE, *VOICE, "rate")
"""What the transcripts say nothing of: they are words at random, more of them with fewer pauses."""

_SIGNALS, _FACES = Knowledge(("signals",), VOICE), Knowledge(("faces",), VOICE)
_SOUND, _WORDS = Knowledge(hidden=FACE), Knowledge(hidden=WORDS)
_SECOND = Knowledge(hidden=VOICE)
_BOTH = {name: Knowledge(("faces",)) for name in ("bimodal_lstm", "crnet", "crnet_etr")}
_PICTURES = (
    *("face_cnn", "vat", "dan", "cam_dan", "image_backbone", "persemon", "resnet3d", "slowfast"),
    *("tpn", "video_backbone", "s2d_without_landmarks"),
)

KNOWN: dict[str, Knowledge] = {
    "functionals": Knowledge(("signals",)),
    "fusion_transformer": Knowledge(("signals",)),
    "au_hybrid": _SIGNALS,
    "au_conv": _SIGNALS,
    "au_spectrum_mlp": replace(
        _SIGNALS,
        faint=(*(name for name in FACE if name != "smile"), *ORDER),
        why="one action unit, AU12, and no other: the smile alone is counted",
    ),
    **dict.fromkeys(_PICTURES, _FACES),
    "s2d": Knowledge(("faces", "landmarks"), VOICE),
    "ambfac": Knowledge(
        hidden=VOICE,
        why="its backbone is frozen, and has random weights here instead of ImageNet's",
    ),
    **_BOTH,
    **dict.fromkeys(("bimodal_resnet18", "resnet_lstm"), Knowledge()),
    **dict.fromkeys(("audio_linear", "audio_lstm", "audio_resnet18", "functional_mlp"), _SOUND),
    "audio_spectrum_cnn": Knowledge(hidden=(*FACE, *ORDER)),
    **dict.fromkeys(("text_stack", "text_transformer"), _WORDS),
    **dict.fromkeys(("average", "statistics_mlp", "linear_series"), _SECOND),
    "spectrum_cnn": replace(
        _SECOND,
        why="kernels shared over frequencies and averaged at the end lose which bin the mean is, "
        "and a few hundred clips are learnt by heart from their phases",
    ),
}
"""What the models of the suite can know."""

_ADAM = (
    *("train.optimizer=adamw", "train.schedule=cosine", "train.milestones=[]"),
    *("train.warmup_epochs=2", "train.batch_size=16"),
)
FOLDED = "image_backbone_in_folds"
"""A first stage whose scores are out of fold."""
_FOLDS = ("protocol.kind=kfold", "protocol.folds=5", "protocol.fold=all")


def _added(suite: dict[str, Case]) -> dict[str, Case]:
    """What the suite lacks; one network has no features that several folds would share."""
    backbone = suite["image_backbone"]
    honest = {
        f"{name}_out_of_fold": replace(case, first=FOLDED, out_of_fold=True)
        for name, case in suite.items()
        if case.first
    }
    return {
        FOLDED: replace(backbone, settings=(*backbone.settings, *_FOLDS)),
        **honest,
        "metadata_fusion": Case(
            "metadata_fusion",
            ("train.lr=0.0005", "train.epochs=40"),
            _SECOND,
            first="image_backbone",
        ),
        "audio_embedding_mlp": Case(
            "audio_embedding_mlp",
            (
                "features.audio_embedding.encoder={folder}/encoder",
                *("features.audio_embedding.row_seconds=0.5", "model.rows=8"),
                *("model.hidden=[128,64]", *_ADAM, "train.lr=0.001", "train.epochs=60"),
                "train.weight_decay=0.05",
            ),
            replace(_SOUND, why="its encoder is frozen, and has random weights here"),
        ),
    }


_SUITE = {
    one.title: Case(one.recipe, one.settings, KNOWN[one.title], one.start, one.first_stage)
    for one in load_suite("zoo_planted").entries
}
CASES = _SUITE | _added(_SUITE)
