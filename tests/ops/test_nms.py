import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claran.ops.nms import TILE, nms

SHIPPED = pytest.mark.parametrize("golden", ["shipped"], indirect=True)
BIG = 6000  # Boxes of the largest golden set.


def slow_nms(boxes, scores, *, threshold, inclusive=False, offset=0, labels=None):
    """Sequential NMS in exact fractions, for boxes with integer corners."""

    def overlap(a, b):
        sides = [
            max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + offset) for i in (0, 1)
        ]
        shared = sides[0] * sides[1]
        both = sum((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
        return Fraction(shared, both - shared) if both > shared else Fraction(0)

    boxes = [[int(value) for value in box] for box in np.asarray(boxes).tolist()]
    scores = np.asarray(scores).tolist()
    limit, kept = Fraction(threshold), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        for j in kept:
            if labels is not None and labels[i] != labels[j]:
                continue
            found = overlap(boxes[i], boxes[j])
            if found > limit or (inclusive and found == limit):
                break
        else:
            kept.append(i)
    return kept


def kept(found):
    index, valid = found
    index, valid = np.asarray(index), np.asarray(valid)
    assert not index[~valid].any()
    assert (np.diff(valid.astype(int)) <= 0).all()  # Invalid rows come last.
    return index[valid].tolist()


@functools.cache
def compiled(**options):
    return jax.jit(functools.partial(nms, **options))


def whole_boxes(rng, count, field=60):
    corner = rng.integers(0, field, (count, 2))
    side = rng.integers(1, 30, (count, 2))
    boxes = np.concatenate([corner, corner + side], axis=1)
    # Few different scores, so that many tie.
    return jnp.asarray(boxes, jnp.float32), jnp.asarray(rng.integers(0, 9, count) / 8.0)


cases = st.lists(
    st.tuples(*[st.integers(0, 8)] * 4, st.integers(0, 3)), min_size=12, max_size=12
).map(np.array)


@pytest.mark.parametrize("inclusive", [False, True], ids=["above", "at"])
@given(case=cases, offset=st.sampled_from([0, 1]))
def test_equals_the_loop(inclusive, offset, case):
    low, high = (
        np.minimum(case[:, :2], case[:, 2:4]),
        np.maximum(case[:, :2], case[:, 2:4]),
    )
    boxes = jnp.asarray(np.concatenate([low, high], axis=1), jnp.float32)
    scores = jnp.asarray(case[:, 4], jnp.float32)
    options = {"threshold": 0.5, "inclusive": inclusive, "offset": offset}
    found = compiled(max_outputs=12, **options)(boxes, scores)
    assert kept(found) == slow_nms(boxes, scores, **options)


@pytest.mark.parametrize("count", [1, TILE - 1, TILE, TILE + 1, 2 * TILE + 1])
def test_any_number_of_boxes(rng, count):
    boxes, scores = whole_boxes(rng, count)
    found = compiled(threshold=0.25, max_outputs=count)(boxes, scores)
    assert kept(found) == slow_nms(boxes, scores, threshold=0.25)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_extreme_thresholds(rng, threshold):
    boxes, scores = whole_boxes(rng, 40)
    run = compiled(threshold=threshold, max_outputs=40)
    assert kept(run(boxes, scores)) == slow_nms(boxes, scores, threshold=threshold)


def test_inclusive_threshold_of_zero_keeps_one_box(rng):
    boxes, scores = whole_boxes(rng, 40)
    run = compiled(threshold=0.0, max_outputs=5, inclusive=True)
    assert kept(run(boxes, scores)) == [int(scores.argmax())]


@pytest.mark.parametrize("max_outputs", [0, 4], ids=["no-output", "four-outputs"])
def test_no_boxes(wrap, max_outputs):
    run = wrap(functools.partial(nms, threshold=0.5, max_outputs=max_outputs))
    index, valid = run(jnp.zeros((0, 4)), jnp.zeros(0))
    assert index.tolist() == [0] * max_outputs
    assert valid.tolist() == [False] * max_outputs


@pytest.mark.parametrize("max_outputs", [0, 3, 30])
def test_best_boxes_are_returned_first(rng, max_outputs):
    boxes, scores = whole_boxes(rng, 20)
    found = compiled(threshold=0.25, max_outputs=max_outputs)(boxes, scores)
    assert found[0].shape == (max_outputs,)
    expected = slow_nms(boxes, scores, threshold=0.25)[:max_outputs]
    assert kept(found) == expected


@pytest.mark.parametrize("max_inputs", [1, 7, 50])
def test_only_the_best_inputs_take_part(rng, max_inputs):
    boxes, scores = whole_boxes(rng, 20)
    run = compiled(threshold=0.25, max_outputs=20, max_inputs=max_inputs)
    best = np.argsort(-np.asarray(scores), kind="stable")[:max_inputs]
    expected = slow_nms(boxes[best], scores[best], threshold=0.25)
    assert kept(run(boxes, scores)) == best[expected].tolist()


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["none-valid", "half-valid"])
def test_invalid_boxes_take_no_part(wrap, rng, share):
    boxes, scores = whole_boxes(rng, 40)
    valid = rng.uniform(size=40) < share
    run = wrap(functools.partial(nms, threshold=0.25, max_outputs=40, max_inputs=30))
    rows = np.flatnonzero(valid)
    expected = slow_nms(boxes[rows], scores[rows], threshold=0.25)
    assert kept(run(boxes, scores, valid=jnp.asarray(valid))) == rows[expected].tolist()


def test_boxes_are_suppressed_within_their_label_only(wrap, rng):
    boxes, scores = whole_boxes(rng, 40)
    labels = jnp.asarray(rng.integers(0, 3, 40))
    run = wrap(functools.partial(nms, threshold=0.25, max_outputs=40))
    expected = slow_nms(boxes, scores, threshold=0.25, labels=labels.tolist())
    assert kept(run(boxes, scores, labels=labels)) == expected


def test_the_first_of_identical_boxes_is_kept():
    boxes = jnp.tile(jnp.array([[2.0, 3.0, 9.0, 9.0]]), (2 * TILE, 1))
    found = compiled(threshold=0.5, max_outputs=9)(boxes, jnp.zeros(2 * TILE))
    assert kept(found) == [0]


@pytest.mark.parametrize("count", [TILE, 300])
def test_a_chain_of_suppressions(count):
    """Each box overlaps only its neighbors: each decision depends on the last one."""
    left = 2.0 * jnp.arange(count)
    boxes = jnp.stack([left, jnp.zeros(count), left + 3, jnp.ones(count)], axis=1)
    found = compiled(threshold=0.125, max_outputs=count)(boxes, -left)
    assert kept(found) == list(range(0, count, 2))


@pytest.mark.parametrize("inclusive", [False, True], ids=["above", "at"])
@pytest.mark.parametrize(
    "height, threshold, at",
    [
        pytest.param(5, 0.5, True, id="half"),
        pytest.param(2, 0.2, True, id="fifth-rounds-up"),
        pytest.param(3, 0.3, True, id="three-tenths-rounds-up"),
        # ClaRAN compares in double, and float32(0.7) < 0.7: below the threshold.
        pytest.param(7, 0.7, False, id="seven-tenths-rounds-down"),
    ],
)
def test_an_overlap_at_the_threshold(height, threshold, at, inclusive):
    boxes = jnp.array([[0, 0, 10, 10], [0, 0, 10, height]], jnp.float32)
    run = compiled(threshold=threshold, max_outputs=2, inclusive=inclusive)
    expected = [0] if inclusive and at else [0, 1]
    assert kept(run(boxes, jnp.array([2.0, 1.0]))) == expected


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_refuses_thresholds_outside_0_to_1(threshold):
    message = rf"`threshold` must be between 0 and 1, got {threshold}\."
    with pytest.raises(ValueError, match=message):
        nms(jnp.zeros((1, 4)), jnp.zeros(1), threshold=threshold, max_outputs=1)


def test_batches_by_vmap(rng):
    boxes, scores = (
        jnp.stack(part)
        for part in zip(*[whole_boxes(rng, 40) for _ in range(4)], strict=True)
    )
    # All run as many rounds as the slowest; that must not change the others.
    valid = jnp.arange(40)[None] < jnp.array([0, 1, 17, 40])[:, None]
    run = functools.partial(nms, threshold=0.25, max_outputs=12)
    found = jax.jit(jax.vmap(lambda b, s, v: run(b, s, valid=v)))(boxes, scores, valid)
    single = jax.jit(lambda b, s, v: run(b, s, valid=v))
    for i, one in enumerate(zip(boxes, scores, valid, strict=True)):
        np.testing.assert_array_equal([part[i] for part in found], single(*one))


def test_new_boxes_do_not_compile_again(rng):
    traces = []

    @jax.jit
    def run(boxes, scores):
        traces.append(boxes)
        return nms(boxes, scores, threshold=0.5, max_outputs=5)

    for _ in range(3):
        run(*whole_boxes(rng, 20))
    assert len(traces) == 1


@SHIPPED
class TestGolden:
    """The same indices as the original's two loops; boxes include their last pixel."""

    @pytest.fixture
    def vectors(self, golden):
        return np.load(golden / "pieces" / "nms.npz")

    @pytest.fixture
    def run(self, vectors):
        def run(number, threshold, inclusive):
            name = f"set{number:02d}"
            boxes, order = vectors[f"{name}__dets"][:, :4], vectors[f"{name}__order"]
            # The original's sort decides the order of ties, so the rank is the score.
            scores = np.empty(len(order), np.float32)
            scores[order] = -np.arange(len(order))
            padding = BIG - len(order)  # To compile only once.
            nms = compiled(
                threshold=threshold, max_outputs=BIG, inclusive=inclusive, offset=1.0
            )
            found = nms(
                jnp.asarray(np.pad(boxes, ((0, padding), (0, 0)))),
                jnp.asarray(np.pad(scores, (0, padding))),
                valid=jnp.arange(BIG) < len(order),
            )
            loop = "cpu_nms" if inclusive else "py_cpu_nms"
            return kept(found), vectors.get(f"{name}__{loop}_{threshold}")

        return run

    @pytest.mark.parametrize("inclusive", [False, True], ids=["py_cpu_nms", "cpu_nms"])
    @pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
    def test_every_set(self, vectors, run, threshold, inclusive):
        numbers = {int(name[3:5]) for name in vectors if name.startswith("set")}
        assert len(numbers) in (7, 20)  # Shipped sets, or all.
        for number in sorted(numbers - {7}):
            found, expected = run(number, threshold, inclusive)
            np.testing.assert_array_equal(found, expected, err_msg=f"set {number}")

    @pytest.mark.parametrize("threshold, dropped", [(0.3, [8]), (0.5, []), (0.7, [])])
    def test_boxes_without_area(self, run, threshold, dropped):
        """Set 7: boxes 4 and 5 are the same empty box (IoU 0/0); box 3 is inverted.

        Cython raises ZeroDivisionError; NumPy's nan drops box 5. Here an empty box
        overlaps nothing, not even itself, so both stay.
        """
        found, expected = run(7, threshold, inclusive=False)
        assert [i for i in found if i != 5] == expected.tolist()
        assert set(range(16)) - set(found) == set(dropped)
        assert run(7, threshold, inclusive=True)[0] == found

    def test_scores_order_as_in_the_original(self, vectors):
        dets, expected = vectors["set14__dets"], vectors["set14__cpu_nms_0.5"]
        run = compiled(threshold=0.5, max_outputs=300, inclusive=True, offset=1.0)
        found = run(jnp.asarray(dets[:, :4]), jnp.asarray(dets[:, 4]))
        assert kept(found) == expected.tolist()
