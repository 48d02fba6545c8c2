"""The stack on words: planted traits, nothing from noise, other streams, equal after loading."""

import json

import numpy as np
import pytest

from tests.support.text_corpus import TARGETS, Texts, correlations, make_texts
from traitscope.errors import DataError
from traitscope.evaluation import baselines
from traitscope.learners.folds import expansion, grouped_folds
from traitscope.learners.trees import Boosting
from traitscope.learners.words import Vocabulary, count_terms, tfidf
from traitscope.models.text_stack import TINY, Config, Estimator, inputs
from traitscope.statistics import metrics
from traitscope.types import TRAITS, Batch

QUICK = Config(components=20, folds=3, boosting=Boosting(rounds=60))


def halves(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit and to score, of different sources."""
    number = np.array([int(source[1:]) for source in texts.sources])
    return np.flatnonzero(number % 4), np.flatnonzero(number % 4 == 0)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return make_texts(600, 200, planted=4)


@pytest.fixture(scope="module")
def fitted(texts: Texts) -> Estimator:
    estimator, (train, _) = Estimator(QUICK, TARGETS), halves(texts)
    estimator.fit(texts.batch(train), texts.groups(train))
    return estimator


def test_planted_traits_are_found(texts: Texts, fitted: Estimator) -> None:
    _, test = halves(texts)
    reached = correlations(fitted.predict(texts.batch(test)), texts.labels[test])
    attainable = correlations(texts.planted[test], texts.labels[test])
    assert (reached / attainable).mean() > 0.75


def test_equal_after_saving_and_loading(texts: Texts, fitted: Estimator) -> None:
    batch = texts.batch(np.arange(40))
    batch.streams["transcript"][3, 0] = ""
    arrays, facts = fitted.state()
    again = Estimator(QUICK, TARGETS)
    again.restore(arrays, json.loads(json.dumps(facts)))
    np.testing.assert_allclose(again.predict(batch), fitted.predict(batch), atol=1e-9)


def test_an_empty_transcript_is_scored_near_the_mean(texts: Texts, fitted: Estimator) -> None:
    batch = texts.batch(np.arange(2))
    batch.streams["transcript"][:] = ""
    scores = fitted.predict(batch)
    assert np.isfinite(scores).all()
    assert np.abs(scores - texts.labels.mean(axis=0)).max() < 0.25


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("char/idf", lambda a: a[:-1]),
        ("char/terms", lambda a: np.append(a, [10, 97]).astype(np.uint8)),  # one term too many
        ("word/terms", lambda a: a[::-1].copy() * 0 + 255),  # not text
        ("word/terms", lambda a: np.repeat(a, 60)),  # a vocabulary that fills the memory
        ("word/idf", lambda a: a * np.nan),
        ("word/weights", lambda a: a.T),
        ("table/weights", lambda a: a[:, :-1]),
        ("components", lambda a: a[:-1]),
        ("mean", lambda a: a[:-1]),
        ("trees/feature", lambda a: np.where(a >= 0, 10**6, a)),
        ("trees/left", lambda a: a * 0),
        ("stack/weights", lambda a: a[:-1]),
        ("stack/factor", lambda a: a * np.nan),
        ("char/shift", lambda a: a.astype(str).view(np.uint8)),
    ],
)
def test_damage_is_told(fitted: Estimator, name: str, change) -> None:
    arrays, facts = fitted.state()
    for damaged in ({**arrays, name: change(arrays[name])}, {**arrays}):
        if damaged[name] is arrays[name]:
            del damaged[name]
        with pytest.raises(DataError, match="cannot be used"):
            Estimator(QUICK, TARGETS).restore(damaged, facts)


def test_a_vocabulary_that_is_too_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Vocabulary("word", tuple("abc"), np.ones(3)).state()
    assert Vocabulary.restore(state, "word").terms == ("a", "b", "c")
    monkeypatch.setattr("traitscope.learners.words.LARGEST", 2)
    with pytest.raises(DataError, match="more than 2 terms"):
        Vocabulary.restore(state, "word")


def test_a_fold_knows_no_word_of_the_clips_it_holds_out() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    said = ["a b c", "a a b", "a c d", "d d e", "e e a"] * 2
    rows = np.array([True, True, True, False, False] * 2)
    counts = count_terms("word", said, 4)
    vocabulary, kept = counts.fit(rows)
    expected = TfidfVectorizer(
        token_pattern=r"\w", ngram_range=(1, 2), min_df=4, sublinear_tf=True
    ).fit([text for text, row in zip(said, rows, strict=True) if row])
    assert list(vocabulary.terms) == expected.get_feature_names_out().tolist()
    assert "e" in counts.terms
    assert "e" not in vocabulary.terms
    table = tfidf(counts.counts[:, kept], vocabulary.idf).toarray()
    np.testing.assert_allclose(table, expected.transform(said).toarray())
    np.testing.assert_allclose(vocabulary.table(said).toarray(), table)


def test_pauses_marks_and_questions_are_words() -> None:
    terms = count_terms("word", ["Well... I -- [UNKNOWN] why?"], 1).terms
    assert {"...", "--", "[unknown]", "?", "well ..."} <= set(terms)


def test_folds_keep_groups_whole_and_nearly_equal() -> None:
    groups = [str(number) for number in np.random.default_rng(0).integers(40, size=300)]
    folds = grouped_folds(groups, 5)
    for group in set(groups):
        assert len({fold for fold, g in zip(folds, groups, strict=True) if g == group}) == 1
    counts = np.bincount(folds)
    assert counts.max() - counts.min() <= 12
    assert set(grouped_folds(["a", "a", "b"], 5)) == {0, 1}


def test_expansion_gains_concordance_at_no_loss_of_accuracy() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=4000)
    labels = 0.5 + 0.1 * (0.4 * signal + np.sqrt(1 - 0.16) * rng.normal(size=4000))
    predictions = 0.5 + 0.1 * 0.16 * signal
    factor = expansion(predictions, labels, centre=0.5, target=TARGETS[0])
    assert factor > 1.2
    spread = 0.5 + factor * (predictions - 0.5)
    loss = np.abs(spread - labels).mean() - np.abs(predictions - labels).mean()
    assert loss <= 1e-4
    noise = 0.5 + 0.01 * rng.normal(size=4000)
    assert expansion(noise, 1 - labels, centre=0.5, target=TARGETS[0]) < 2.0
    assert expansion(1 - predictions, labels, centre=0.5, target=TARGETS[0]) == 1.0


def test_other_streams_stand_beside_the_words(texts: Texts) -> None:
    config = TINY.model_copy(update={"streams": ("mine",)})
    assert set(inputs(config)) == {"transcript", "mine"}
    rows = np.arange(120)
    plain = texts.batch(rows)
    known = np.column_stack([texts.labels[rows, 0], np.zeros(len(rows))])
    known[::5] = np.nan
    batch = Batch(
        clips=plain.clips,
        streams={**plain.streams, "mine": known},
        masks=plain.masks,
        targets=plain.targets,
        target_mask=plain.target_mask,
        columns={"mine": ("a", "b")},
    )
    estimator = Estimator(config, TARGETS)
    estimator.fit(batch, texts.groups(rows))
    assert estimator.columns[-2:] == ("a", "b")
    assert correlations(estimator.predict(batch), texts.labels[rows])[0] > 0.6
    with pytest.raises(DataError, match="columns beside the words and was given"):
        estimator.predict(
            Batch(plain.clips, {**plain.streams, "mine": known[:, :1]}, plain.masks, None, None)
        )


def test_texts_without_a_word_fit_the_mean() -> None:
    texts = make_texts(30, 10)
    batch = texts.batch(np.arange(30))
    batch.streams["transcript"][:] = ""
    estimator = Estimator(TINY, TARGETS)
    estimator.fit(batch, texts.groups(np.arange(30)))
    scores = estimator.predict(batch)
    np.testing.assert_allclose(scores, np.tile(texts.labels.mean(axis=0), (30, 1)), atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_thousand_texts_reach_nine_tenths_of_the_attainable() -> None:
    texts = make_texts()
    train, test = halves(texts)
    estimator = Estimator(Config(), TARGETS)
    estimator.fit(texts.batch(train), texts.groups(train))
    reached = correlations(estimator.predict(texts.batch(test)), texts.labels[test])
    attainable = correlations(texts.planted[test], texts.labels[test])
    assert (reached / attainable > 0.9).all(), reached / attainable
    clips = texts.corpus().clips
    seen, unseen = [clips[row] for row in train], [clips[row] for row in test]
    look_up = baselines.lookup(seen, unseen, TRAITS)
    np.testing.assert_allclose(look_up, baselines.constant(seen, unseen, TRAITS))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_labels_permuted_across_sources_teach_nothing() -> None:
    texts = make_texts(noise=0.5)
    train, test = halves(texts)
    rng = np.random.default_rng(1)
    number = np.array([int(source[1:]) for source in texts.sources])
    places = np.unique(number[train], return_inverse=True)[1]
    mean = np.array(
        [texts.labels[train][places == p].mean(axis=0) for p in range(places.max() + 1)]
    )
    # A source gets the mean of another source; what sets its clips apart is dealt out, too.
    apart = texts.labels[train] - mean[places]
    labels = texts.labels.copy()
    labels[train] = rng.permutation(mean)[places] + rng.permutation(apart)
    estimator = Estimator(Config(), TARGETS)
    estimator.fit(texts.batch(train, labels), texts.groups(train))
    predictions = estimator.predict(texts.batch(test))
    found = metrics.macro_scores(texts.labels[test], predictions)
    assert abs(found["ccc"]) < 0.03, found
