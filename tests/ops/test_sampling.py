import functools
import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claran.ops.matching import IGNORED, NEGATIVE, POSITIVE
from claran.ops.sampling import choose_balanced

SIZE = 8
LABELS = [POSITIVE] * 6 + [NEGATIVE] * 9 + [IGNORED] * 5


def chosen(found):
    index, valid = found
    return np.asarray(index)[np.asarray(valid)]


@functools.cache
def compiled(size, positive_fraction):
    return jax.jit(
        functools.partial(
            choose_balanced, size=size, positive_fraction=positive_fraction
        )
    )


@given(
    labels=st.lists(
        st.sampled_from([POSITIVE, NEGATIVE, IGNORED]), min_size=20, max_size=20
    ),
    seed=st.integers(0, 2**31 - 1),
    fraction=st.sampled_from([0.25, 1.0]),
)
def test_counts(labels, seed, fraction):
    index, valid = compiled(SIZE, fraction)(jax.random.key(seed), jnp.array(labels))
    assert index.shape == valid.shape == (SIZE,)
    assert (index[~valid] == 0).all()
    rows = chosen((index, valid)).tolist()
    assert len(set(rows)) == len(rows)
    positives = min(labels.count(POSITIVE), round(SIZE * fraction))
    negatives = min(labels.count(NEGATIVE), SIZE - positives)
    # Positive rows come first; ignored rows are never chosen.
    expected = [POSITIVE] * positives + [NEGATIVE] * negatives
    assert [labels[row] for row in rows] == expected


@pytest.mark.parametrize(
    "labels, expected",
    [
        pytest.param([], [], id="no-row"),
        pytest.param([IGNORED] * 3, [], id="all-ignored"),
        pytest.param([NEGATIVE, IGNORED, POSITIVE], [0, 2], id="fewer-than-size"),
        pytest.param([POSITIVE] * 3, [0, 1, 2], id="only-positive"),
    ],
)
def test_few_candidates(wrap, labels, expected):
    choose = functools.partial(choose_balanced, size=SIZE, positive_fraction=0.5)
    found = wrap(choose)(jax.random.key(0), jnp.array(labels, jnp.int32))
    assert found[0].shape == (SIZE,)
    assert sorted(chosen(found).tolist()) == expected


def test_the_key_decides(wrap):
    choose = functools.partial(choose_balanced, size=SIZE, positive_fraction=0.5)
    run = functools.partial(wrap(choose), labels=jnp.array(LABELS))
    first, again, other = (run(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert sorted(chosen(first)) != sorted(chosen(other))


def test_eager_and_compiled_choose_alike():
    arguments = jax.random.key(3), jnp.array(LABELS)
    eager = choose_balanced(*arguments, size=SIZE, positive_fraction=0.5)
    np.testing.assert_array_equal(eager, compiled(SIZE, 0.5)(*arguments))


def test_old_style_keys_work():
    found = compiled(SIZE, 0.5)(jax.random.PRNGKey(0), jnp.array(LABELS))
    assert len(chosen(found)) == SIZE


@pytest.mark.parametrize("label", [POSITIVE, NEGATIVE], ids=["positive", "negative"])
def test_all_choices_are_equally_likely(label):
    labels = jnp.where(jnp.arange(6) < 5, label, IGNORED)
    fraction = 1.0 if label == POSITIVE else 0.0
    choose = functools.partial(choose_balanced, size=2, positive_fraction=fraction)
    keys = jax.random.split(jax.random.key(0), 3000)
    index, valid = jax.jit(jax.vmap(choose, in_axes=(0, None)))(keys, labels)
    assert valid.all()
    counts = Counter(tuple(sorted(pair)) for pair in index.tolist())
    pairs = list(itertools.combinations(range(5), 2))
    assert set(counts) == set(pairs)
    expected = len(keys) / len(pairs)
    chi_square = sum((counts[pair] - expected) ** 2 / expected for pair in pairs)
    assert chi_square < 27.9  # One fair draw in a thousand exceeds this (9 freedoms).
