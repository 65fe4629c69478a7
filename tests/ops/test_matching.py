import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claran.ops.matching import IGNORED, NEGATIVE, POSITIVE, match

TINY = 0.125  # Steps that float32 holds exactly, so that equal overlaps are equal.


def slow_match(overlaps, valid, positive, negative, allow_low_quality, candidates):
    found = []
    for i, row in enumerate(overlaps):
        if not candidates[i]:
            found.append((0, IGNORED))
            continue
        best, index = -1.0, 0
        for j, overlap in enumerate(row):
            if valid[j] and overlap > best:
                best, index = overlap, j
        label = IGNORED
        if best < negative:
            label = NEGATIVE
        if best >= positive:
            label = POSITIVE
        if allow_low_quality:
            for j, overlap in enumerate(row):
                rivals = [r[j] for r, c in zip(overlaps, candidates, strict=True) if c]
                if valid[j] and overlap > 0 and overlap == max(rivals):
                    label = POSITIVE
        found.append((index, label))
    return np.array(found, np.int32).reshape(-1, 2).T


@functools.cache
def compiled(**options):
    return jax.jit(functools.partial(match, **options))


@st.composite
def problems(draw, rows=6, columns=3):
    steps = st.integers(0, 8).map(lambda i: i * TINY)
    cells = draw(st.lists(steps, min_size=rows * columns, max_size=rows * columns))
    flags = st.lists(st.booleans(), min_size=rows + columns, max_size=rows + columns)
    drawn = draw(flags)
    overlaps = np.reshape(cells, (rows, columns)).astype(np.float32)
    return overlaps, np.array(drawn[rows:]), np.array(drawn[:rows])


@pytest.mark.parametrize("low_quality", [False, True], ids=["", "low-quality"])
@given(problem=problems())
def test_equals_the_loop(low_quality, problem):
    overlaps, valid, candidates = problem
    options = {"positive": 0.75, "negative": 0.25, "allow_low_quality": low_quality}
    found = compiled(**options)(overlaps, valid, candidates=candidates)
    expected = slow_match(overlaps, valid, candidates=candidates, **options)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "overlaps, low_quality, best, label",
    [
        pytest.param([[0.5]], False, [0], [POSITIVE], id="at-positive"),
        pytest.param([[0.25]], False, [0], [IGNORED], id="at-negative"),
        pytest.param([[0.125]], False, [0], [NEGATIVE], id="below-negative"),
        pytest.param([[0.375, 0.375]], False, [0], [IGNORED], id="first-of-equal"),
        pytest.param(
            [[0.125, 0], [0.125, 0]],
            True,
            [0, 0],
            [POSITIVE] * 2,
            id="low-quality-all-equal",
        ),
        pytest.param([[0.0]], True, [0], [NEGATIVE], id="low-quality-no-overlap"),
        pytest.param(  # Row 0 qualifies by object 1 and is assigned to object 0.
            [[0.375, 0.125], [0.5, 0]],
            True,
            [0, 0],
            [POSITIVE] * 2,
            id="low-quality-other",
        ),
    ],
)
def test_thresholds_and_ties(wrap, overlaps, low_quality, best, label):
    run = wrap(
        functools.partial(
            match, positive=0.5, negative=0.25, allow_low_quality=low_quality
        )
    )
    overlaps = jnp.array(overlaps, jnp.float32)
    found = run(overlaps, jnp.ones(overlaps.shape[1], bool))
    assert [x.tolist() for x in found] == [best, label]
    assert all(x.dtype == jnp.int32 for x in found)


@pytest.mark.parametrize("low_quality", [False, True], ids=["", "low-quality"])
@pytest.mark.parametrize("objects", [0, 2])
def test_without_an_object_all_candidates_are_background(wrap, objects, low_quality):
    run = wrap(
        functools.partial(
            match, positive=0.7, negative=0.3, allow_low_quality=low_quality
        )
    )
    candidates = jnp.array([True, False, True])
    found = run(jnp.ones((3, objects)), jnp.zeros(objects, bool), candidates=candidates)
    assert [x.tolist() for x in found] == [[0] * 3, [NEGATIVE, IGNORED, NEGATIVE]]


def test_no_rows(wrap):
    run = wrap(
        functools.partial(match, positive=0.7, negative=0.3, allow_low_quality=True)
    )
    best, label = run(jnp.zeros((0, 2)), jnp.ones(2, bool))
    assert best.shape == label.shape == (0,)


def test_padded_objects_change_nothing(rng):
    overlaps = jnp.asarray(rng.uniform(0, 1, (20, 3)), jnp.float32)
    run = compiled(positive=0.7, negative=0.3, allow_low_quality=True)
    padded = jnp.pad(overlaps, ((0, 0), (0, 2)), constant_values=1.0)
    for plain, more in zip(
        run(overlaps, jnp.ones(3, bool)),
        run(padded, jnp.arange(5) < 3),
        strict=True,
    ):
        np.testing.assert_array_equal(plain, more)


def test_batches_by_vmap(rng):
    overlaps = jnp.asarray(rng.uniform(0, 1, (4, 8, 3)), jnp.float32)
    valid = jnp.arange(3)[None] < jnp.arange(4)[:, None]
    run = compiled(positive=0.7, negative=0.3, allow_low_quality=True)
    found = jax.vmap(run)(overlaps, valid)
    expected = [run(o, v) for o, v in zip(overlaps, valid, strict=True)]
    np.testing.assert_array_equal(found, np.swapaxes(expected, 0, 1))
