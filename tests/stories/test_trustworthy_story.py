"""From label files alone to numbers one can trust: the verbs, as a user types them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.evaluated_systems import write_evaluated
from tests.support.label_files import make_first_impressions, write_labels
from tests.support.prepared import make_store
from tests.support.udiva_files import write_udiva
from traitscope import evaluate, load_corpus, train
from traitscope.cli import main
from traitscope.evaluation.baselines import lookup_shrunk
from traitscope.types import TRAITS

Labels = dict[str, dict[str, dict[str, float]]]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Labels]:
    """Label files with transcripts, 500 clips of 100 sources, no videos."""
    folder = tmp_path_factory.mktemp("fi")
    return folder, make_first_impressions(folder, train=300, validation=100, test=100, sources=100)


def icc(labels: pd.Series, sources: pd.Series) -> float:
    """ICC(1) by the textbook, for unequal groups."""
    groups = [group for _, group in labels.groupby(sources)]
    total = len(labels)
    between = sum(len(g) * (g.mean() - labels.mean()) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (total - len(groups))
    size = (total - sum(len(g) ** 2 for g in groups) / total) / (len(groups) - 1)
    return float((between - within) / (between + (size - 1) * within))


def ccc(true: np.ndarray, predicted: np.ndarray) -> float:
    covariance = np.mean((true - true.mean()) * (predicted - predicted.mean()))
    apart = (true.mean() - predicted.mean()) ** 2
    return float(2 * covariance / (true.var() + predicted.var() + apart))


def test_the_check_reproduces_what_label_files_say(
    made: tuple[Path, Labels], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = made
    frame = pd.DataFrame(
        [
            {"clip": clip, "source": clip[:11], "split": split, **values}
            for split, clips in labels.items()
            for clip, values in clips.items()
        ]
    )
    assert run("corpus", "check", f"fi:{folder}", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    parts = {split: frame[frame["split"] == split] for split in labels}
    seen = {name: set(part["source"]) for name, part in parts.items()}
    for name, part in parts.items():
        assert facts["splits"][name]["clips"] == len(part)
        assert facts["splits"][name]["sources"] == len(seen[name])
    shared = len(seen["train"] & seen["test"])
    assert facts["shared"]["train and test"]["sources"] == shared
    unseen = ~parts["test"]["source"].isin(seen["train"])
    both = seen["train"] | seen["validation"]
    assert facts["unseen"]["train"] == {"seen": int((~unseen).sum()), "unseen": int(unseen.sum())}
    fresh = int((~parts["test"]["source"].isin(both)).sum())
    assert facts["unseen"]["train+validation"]["unseen"] == fresh
    for target in facts["targets"]:
        name = target["name"]
        column = parts["train"][name]
        assert target["splits"]["train"]["mean"] == pytest.approx(column.mean())
        assert target["splits"]["train"]["sd"] == pytest.approx(column.std(ddof=0))
        assert target["icc_within_source"] == pytest.approx(icc(frame[name], frame["source"]))
    assert [t["name"] for t in facts["targets"] if t["optional"]] == ["interview"]
    matrix = frame[list(TRAITS)].corr()
    found = facts["structure"]["correlations"]["neuroticism"]["extraversion"]
    assert found == pytest.approx(matrix.loc["neuroticism", "extraversion"])
    share = np.linalg.eigvalsh(matrix.to_numpy())[-1] / 5
    assert facts["structure"]["first_component"] == pytest.approx(share)


def test_the_check_scores_what_needs_no_model(
    made: tuple[Path, Labels], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = made
    assert run("corpus", "check", f"fi:{folder}", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["references"]
    true = np.array([[values[t] for t in TRAITS] for values in labels["test"].values()])
    wanted = [("middle of the range", None, None)]
    for fit in ("train", "train+validation"):
        wanted += [("constant", fit, None), ("look-up", fit, 0), ("look-up, k=1", fit, 1)]
    assert [(r["name"], r["fit"], r["shrinkage"]) for r in rows] == wanted
    for row in rows:
        fitted = {c: v for s in (row["fit"] or "").split("+") if s for c, v in labels[s].items()}
        values = np.full_like(true, 0.5)
        if row["fit"]:
            table = np.array([[v[t] for t in TRAITS] for v in fitted.values()])
            sources = np.array([clip[:11] for clip in fitted])
            for place, clip in enumerate(labels["test"]):
                mine = table[sources == clip[:11]]
                total, count = mine.sum(axis=0), len(mine)
                k = 10**9 if row["shrinkage"] is None else row["shrinkage"]
                mean = table.mean(axis=0)
                values[place] = (total + k * mean) / (count + k) if count + k else mean
        assert row["accuracy"]["macro"] == pytest.approx(1 - abs(true - values).mean(), abs=1e-7)
        first = 1 - abs(true[:, 0] - values[:, 0]).mean()
        assert row["accuracy"]["openness"] == pytest.approx(first, abs=1e-7)
        if row["shrinkage"] is not None:
            macro = np.mean([ccc(true[:, i], values[:, i]) for i in range(5)])
            assert row["ccc_macro"] == pytest.approx(macro)
            assert row["ccc_pooled"] == pytest.approx(ccc(true.ravel(), values.ravel()))
    assert run("corpus", "check", f"fi:{folder}") == 0
    out = capsys.readouterr().out
    for part in [
        "CCC (macro)",
        "CCC (pooled)",
        "neuroticism (high = stable)",
        "interview (on request)",
        "test clips share a source with a fitted clip",
        "decide about people",
        "media: missing for 500 of 500 clips",
        f"{rows[2]['accuracy']['macro']:.4f}",
    ]:
        assert part in out


def frame_of(labels: dict[str, dict[str, float]], noise: float, seed: int) -> pd.DataFrame:
    """Predictions that know the labels up to noise."""
    true = np.array([[values[t] for t in TRAITS] for values in labels.values()])
    values = true + np.random.default_rng(seed).normal(0, noise, true.shape)
    columns = {f"predicted_{name}": values[:, i] for i, name in enumerate(TRAITS)}
    return pd.DataFrame({"clip": list(labels), **columns})


def test_anybodys_table_is_scored_and_every_fault_named(
    made: tuple[Path, Labels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = made
    frame = frame_of(labels["test"], 0.05, 0)
    names = frame["clip"].tolist()
    frame["clip"] = [n.removesuffix(".mp4") if i % 2 else n for i, n in enumerate(names)]
    frame.loc[3, "predicted_openness"] = np.nan
    frame = pd.concat([frame.drop(index=4), frame.loc[[5]].assign(predicted_openness=0.123)])
    frame = frame.sample(frac=1, random_state=0)
    path = tmp_path / "theirs.csv"
    frame.to_csv(path, index=False)
    code = run(
        *("evaluate", "--predictions", path, "--labels", f"fi:{folder}", "--json"),
        *("--fit-on", "train+validation", "--to", tmp_path / "out"),
    )
    report = json.loads(capsys.readouterr().out)
    assert code == 1
    assert {f["clip"]: f["status"] for f in report["failures"]} == {
        names[3]: "nan",
        names[4]: "missing",
        names[5]: "duplicate",
    }
    assert report["counts"]["scored"] == 97
    kept = [i for i in range(100) if i not in (3, 4, 5)]
    whole = frame_of(labels["test"], 0.05, 0)
    true = {name: [labels["test"][clip][name] for clip in names] for name in TRAITS}
    errors = [abs(whole[f"predicted_{t}"][i] - true[t][i]) for i in kept for t in TRAITS]
    model = report["parts"]["all"]["rows"][0]["metrics"]
    assert model["mae"]["macro"]["value"] == pytest.approx(np.mean(errors))
    assert report["fit"] == ["train", "validation"]
    assert (tmp_path / "out/predictions.csv").read_bytes() == path.read_bytes()


def test_a_memoriser_of_sources_is_seen_through_at_first_sight(
    made: tuple[Path, Labels],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = made
    monkeypatch.chdir(tmp_path)
    corpus = load_corpus(f"fi:{folder}")
    test = [clip for clip in corpus.clips if clip.split == "test"]
    fitted = [clip for clip in corpus.clips if clip.split == "train"]
    values = lookup_shrunk(fitted, test, TRAITS, shrinkage=0.5)
    columns = {f"predicted_{name}": values[:, i] for i, name in enumerate(TRAITS)}
    path = Path("memory.csv")
    pd.DataFrame({"clip": [clip.id for clip in test], **columns}).to_csv(path, index=False)
    assert run("evaluate", "--predictions", path, "--labels", f"fi:{folder}") == 0
    out = capsys.readouterr().out
    # the first words that a person reads
    assert out.startswith("- On sources never seen in fitting, memory.csv is worthless: ")
    unseen = out[out.index("test, sources never seen in fitting") :]
    assert re.search(r"memory\.csv\s+\S+ \[.*?\]\s+\.000", unseen)
    assert "macro over 5 targets" in out


def test_the_interview_is_scored_when_it_is_predicted(
    made: tuple[Path, Labels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = made
    path = tmp_path / "theirs.csv"
    frame = frame_of(labels["test"], 0.05, 0)
    frame["predicted_interview"] = [values["interview"] for values in labels["test"].values()]
    frame.to_csv(path, index=False)
    assert run("evaluate", "--predictions", path, "--labels", f"fi:{folder}", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    model = report["parts"]["all"]["rows"][0]["metrics"]
    assert model["mae"]["interview"]["value"] == pytest.approx(0, abs=1e-12)
    assert "Macro scores include interview" in " ".join(report["warnings"])


def test_systems_are_compared_and_fused_by_their_folders(
    made: tuple[Path, Labels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = made
    runs = []
    for name, noise, seed in (("good", 0.05, 1), ("poor", 0.3, 7)):
        frames = {s: frame_of(labels[s], noise, seed + len(s)) for s in ("validation", "test")}
        runs.append(write_evaluated(tmp_path / name, f"fi:{folder}", frames))
    to = tmp_path / "both"
    assert run("fuse", *runs, "--to", to, "--method", "fitted") == 0
    out, err = capsys.readouterr()
    assert "mean of members" in out
    assert f"traitscope report {to}" in re.sub(r"\n", "", err)
    weights = json.loads((to / "fusion.json").read_text())["weights"]
    assert all(weights[str(runs[0])][t] > 5 * weights[str(runs[1])][t] for t in TRAITS)
    assert run("report", to, "--to", tmp_path / "page.html") == 0
    capsys.readouterr()
    table = tmp_path / "theirs.csv"
    frame_of(labels["test"], 0.05, 1 + len("test")).to_csv(table, index=False)
    assert run("compare", to, *runs, table, "--metric", "skill", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    pairs = {(d["first"], d["second"]): d for d in found["differences"] if d["target"] == "macro"}
    assert found["systems"] == [str(to), *map(str, runs), str(table)]
    assert pairs[str(runs[0]), str(runs[1])]["low"] > 0
    assert pairs[str(runs[0]), str(runs[1])]["p_holm"] < 0.01
    assert pairs[str(runs[0]), str(table)]["value"] == 0
    assert run("compare", *runs, "--targets", "--metric", "mae") == 0
    assert "neuroticism (high = stable)" in capsys.readouterr().out


def test_a_text_model_learns_from_label_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "fi"
    make_first_impressions(folder, train=40, validation=10, test=10, sources=30)
    store = tmp_path / "store"
    assert run("prepare", f"fi:{folder}", "--store", store, "--extract", "transcript") == 0
    settings = [f"data.corpus=fi:{folder}", f"data.store={store}", "data.targets=[openness]"]
    small = ["model.components=4", "model.penalties=[1]", "model.boosting.rounds=5"]
    run_folder = train("text_stack", [*settings, *small, "model.folds=3"], to=tmp_path / "run")
    report = evaluate(run_folder)
    assert report.counts.scored == 10
    assert report.corpus.address == f"fi:{folder}"


def test_a_run_on_first_impressions_is_flipped_on_udiva_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for split, clips in (("train", 40), ("validation", 4), ("test", 4)):
        labels = {
            f"{split[:5]:_<5}src{i:03d}.000.mp4": dict(
                zip(TRAITS, rng.uniform(0.2, 0.8, 5).tolist(), strict=True)
            )
            for i in range(clips)
        }
        write_labels(tmp_path / "fi", split, labels)
    sessions = {"train": {"1": [1, 2]}, "valid": {"2": [3, 4]}, "test": {"3": [5, 6]}}
    scores = {str(n): rng.normal(0, 1, 5).tolist() for n in range(1, 7)}
    theirs = f"udiva:{write_udiva(tmp_path / 'udiva', sessions, scores, tasks=('talk', 'lego'))}"
    ours = f"fi:{tmp_path / 'fi'}"
    for place, address in (("store", ours), ("other", theirs)):
        make_store(tmp_path / place, address, streams=["short_term"])
    settings = [f"data.corpus={ours}", f"data.store={tmp_path / 'store'}"]
    settings += ["model.streams=[short_term]", "model.pools=[mean]"]
    trained = train("functionals", settings, to=tmp_path / "run")
    assert run("evaluate", trained, "--corpus", theirs, "--store", tmp_path / "other") == 0
    out, err = capsys.readouterr()
    said = re.sub(r"\s+", " ", err)
    assert "Predictions of neuroticism (high = stable) were flipped" in said
    assert "labels are neuroticism, where a high value means the opposite" in said
    assert "test, all subjects: 2 people" in out
    assert "self-reported" in out
    report = evaluate(trained, corpus=theirs, store=tmp_path / "other")
    model = report.everything.model.metrics
    # features carry the labels, so trusting them without the flip would give -1
    assert model["pearson"]["neuroticism"].value == pytest.approx(-1, abs=0.01)
    assert model["pearson"]["openness"].value == pytest.approx(1, abs=0.01)
    assert "different kinds of range" in model["mae"]["openness"].reason
    elsewhere = ("--corpus", theirs, "--store", tmp_path / "other")
    assert run("evaluate", trained, *elsewhere, "--aggregate", "clip", "--json") == 0
    by_clip = json.loads(capsys.readouterr().out)
    assert (report.everything.clips, by_clip["parts"]["all"]["clips"]) == (2, 4)
