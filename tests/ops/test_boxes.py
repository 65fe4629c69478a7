import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from claran.ops import boxes

OFFSETS = pytest.mark.parametrize("offset", [0.0, 1.0], ids=["edges", "inclusive"])

A = jnp.array([[0, 0, 10, 10], [5, 2, 9, 14], [3, 3, 3, 3], [7, 7, 2, 1]], jnp.float32)
B = jnp.array([[0, 0, 10, 5], [8, 8, 30, 21], [3, 3, 3, 3]], jnp.float32)


def pixels(box, offset):
    """Returns the set of pixels that a box with integer corners covers."""
    x1, y1, x2, y2 = (int(value) for value in box)
    end = int(offset)
    return set(itertools.product(range(x1, x2 + end), range(y1, y2 + end)))


def slow_iou(a, b, offset):
    p, q = pixels(a, offset), pixels(b, offset)
    return np.float32(len(p & q)) / np.float32(len(p | q)) if p | q else 0.0


def slow_coverage(a, b, offset):
    p, q = pixels(a, offset), pixels(b, offset)
    return len(p & q) / len(p) if p else 0.0


def slow_encode(box, anchor, offset):
    width, height = (box[i + 2] - box[i] + offset for i in (0, 1))
    anchor_width, anchor_height = (anchor[i + 2] - anchor[i] + offset for i in (0, 1))
    return [
        (box[0] + width / 2 - anchor[0] - anchor_width / 2) / anchor_width,
        (box[1] + height / 2 - anchor[1] - anchor_height / 2) / anchor_height,
        np.log(width / anchor_width),
        np.log(height / anchor_height),
    ]


def slow_decode(delta, anchor, offset):
    width, height = (anchor[i + 2] - anchor[i] + offset for i in (0, 1))
    x, y = anchor[0] + width / 2 + delta[0] * width, anchor[1] + height / 2
    y += delta[1] * height
    half_width, half_height = (
        np.exp(delta[2]) * width / 2,
        np.exp(delta[3]) * height / 2,
    )
    return [x - half_width, y - half_height, x + half_width, y + half_height]


@functools.cache
def compiled(function, **options):
    return jax.jit(functools.partial(function, **options))


def random_boxes(rng, count, dtype=np.float32):
    corner = rng.uniform(0, 50, (count, 2))
    side = rng.uniform(2, 40, (count, 2))
    return jnp.asarray(np.concatenate([corner, corner + side], axis=1), dtype)


whole_boxes = st.lists(
    st.tuples(*[st.integers(0, 12)] * 4).map(
        lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
    ),
    min_size=6,
    max_size=6,
).map(lambda rows: jnp.array(rows, jnp.float32))


@OFFSETS
def test_area_counts_pixels(wrap, offset):
    area = wrap(functools.partial(boxes.area, offset=offset))
    expected = [len(pixels(box, offset)) for box in A]
    np.testing.assert_array_equal(area(A), expected)


@OFFSETS
def test_iou_equals_counted_pixels(wrap, offset):
    iou = wrap(functools.partial(boxes.iou, offset=offset))
    expected = [[slow_iou(a, b, offset) for b in B] for a in A]
    np.testing.assert_array_equal(iou(A, B), np.array(expected, np.float32))


@OFFSETS
@given(a=whole_boxes, b=whole_boxes)
def test_iou_of_integer_boxes_is_exact(offset, a, b):
    expected = [[slow_iou(p, q, offset) for q in b] for p in a]
    iou = compiled(boxes.iou, offset=offset)
    found = iou(a, b)
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    np.testing.assert_array_equal(found, iou(b, a).T)
    np.testing.assert_array_equal(found, iou(a + 7, b + 7))


@OFFSETS
def test_coverage_equals_counting_pixels(offset, rng):
    a, b = (rng.integers(0, 12, (9, 4)).astype(np.float32) for _ in "ab")
    expected = [[slow_coverage(p, q, offset) for q in b] for p in a]
    found = compiled(boxes.coverage, offset=offset)(a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("m, n", [(0, 3), (3, 0), (0, 0)])
def test_iou_with_no_boxes(wrap, m, n):
    assert wrap(boxes.iou)(jnp.zeros((m, 4)), jnp.zeros((n, 4))).shape == (m, n)


@pytest.mark.parametrize(
    "function",
    [boxes.area, lambda b: boxes.encode(b, b), lambda b: boxes.decode(b, b)],
    ids=["area", "encode", "decode"],
)
def test_no_boxes(wrap, function):
    assert len(wrap(function)(jnp.zeros((0, 4)))) == 0


@OFFSETS
def test_encode_and_decode_equal_the_loop(wrap, rng, offset):
    box, anchor = random_boxes(rng, 9), random_boxes(rng, 9)
    deltas = jnp.asarray(rng.normal(0, 0.5, (9, 4)), jnp.float32)
    encode = wrap(functools.partial(boxes.encode, offset=offset))
    decode = wrap(functools.partial(boxes.decode, offset=offset))
    rows = [np.asarray(x, np.float64) for x in (box, anchor, deltas)]
    encoded = [slow_encode(b, a, offset) for b, a, _ in zip(*rows, strict=True)]
    decoded = [slow_decode(d, a, offset) for _, a, d in zip(*rows, strict=True)]
    np.testing.assert_allclose(encode(box, anchor), encoded, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(decode(deltas, anchor), decoded, rtol=1e-5, atol=2e-5)


sides = st.floats(0.5, 500, width=32)
solid_boxes = st.tuples(*[st.floats(-500, 500, width=32)] * 2, sides, sides).map(
    lambda v: jnp.array([[v[0], v[1], v[0] + v[2], v[1] + v[3]]], jnp.float32)
)


@given(box=solid_boxes, anchor=solid_boxes)
def test_decode_undoes_encode(box, anchor):
    deltas = compiled(boxes.encode)(box, anchor)
    found = compiled(boxes.decode, max_log_ratio=None)(deltas, anchor)
    np.testing.assert_allclose(found, box, atol=5e-3)  # 10 ulp at 1,000 px, twice.


def test_a_zero_delta_of_inclusive_boxes_adds_one_as_in_claran(wrap):
    decode = wrap(functools.partial(boxes.decode, offset=1.0))
    found = decode(jnp.zeros((1, 4)), jnp.array([[2.0, 3.0, 9.0, 20.0]]))
    assert found.tolist() == [[2, 3, 10, 21]]


def test_max_log_ratio_keeps_a_huge_delta_finite():
    deltas, anchor = jnp.full((1, 4), 1000.0), jnp.array([[0.0, 0.0, 16.0, 16.0]])
    found = boxes.decode(deltas * jnp.array([[0, 0, 1, 1]]), anchor)
    np.testing.assert_allclose(found, [[-492, -492, 508, 508]], rtol=1e-5)
    assert not jnp.isfinite(boxes.decode(deltas, anchor, max_log_ratio=None)).all()


def test_empty_boxes_encode_to_finite_numbers_and_gradients():
    nothing = jnp.zeros((1, 4))
    run = jax.jit(jax.value_and_grad(lambda x, y: boxes.encode(x, y).sum()))
    for box, anchor in [(nothing, A[:1]), (A[:1], nothing), (nothing, nothing)]:
        value, gradient = run(box, anchor)
        assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_iou_of_empty_boxes_is_zero_with_zero_gradient():
    run = jax.jit(jax.value_and_grad(lambda x: boxes.iou(x, x).sum()))
    value, gradient = run(B[2:])
    assert value == 0
    assert gradient.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    "box, expected",
    [
        pytest.param([1, 2, 3, 4], [1, 2, 3, 4], id="inside"),
        pytest.param([-5, -6, 30, 40], [0, 0, 20, 10], id="around"),
        pytest.param([25, 12, 30, 40], [20, 10, 20, 10], id="outside"),
        pytest.param([-9, -8, -7, -6], [0, 0, 0, 0], id="outside-low"),
        pytest.param([0, 0, 20, 10], [0, 0, 20, 10], id="on-the-border"),
    ],
)
@OFFSETS
def test_clip(wrap, box, expected, offset):
    clip = wrap(functools.partial(boxes.clip, offset=offset))
    limit = np.array([20, 10, 20, 10]) - offset
    found = clip(jnp.array([box], jnp.float32), jnp.array(10.0), jnp.array(20.0))
    np.testing.assert_array_equal(found[0], np.minimum(expected, limit))


@given(box=solid_boxes, height=sides, width=sides)
def test_clip_is_idempotent_and_keeps_the_order_of_ends(box, height, width):
    clip = compiled(boxes.clip)
    once = clip(box, jnp.float32(height), jnp.float32(width))
    again = clip(once, jnp.float32(height), jnp.float32(width))
    np.testing.assert_array_equal(once, again)
    assert (once[:, :2] <= once[:, 2:]).all()
    assert (once >= 0).all() and (once <= jnp.array([[width, height] * 2])).all()


@OFFSETS
@pytest.mark.parametrize("name", ["area", "iou", "encode", "decode", "clip"])
def test_gradients(rng, name, offset):
    functions = {
        "area": lambda a, b: boxes.area(a, offset=offset),
        "iou": lambda a, b: boxes.iou(a, b, offset=offset),
        "encode": lambda a, b: boxes.encode(a, b, offset=offset),
        "decode": lambda a, b: boxes.decode((a - b) / 50, b, offset=offset),
        "clip": lambda a, b: boxes.clip(a - b, 20.0, 15.0, offset=offset),
    }
    arguments = random_boxes(rng, 5), random_boxes(rng, 5)
    function = jax.jit(functions[name])
    check_grads(function, arguments, 1, modes=["rev"], atol=0.02, rtol=0.02)


@pytest.fixture
def vectors(golden):
    return np.load(golden / "pieces" / "boxes.npz")


class TestGolden:
    """Results of the original's own functions, all of them with inclusive pixels."""

    def test_overlaps(self, wrap, golden):
        vectors = np.load(golden / "pieces" / "bbox_overlaps.npz")
        iou = wrap(functools.partial(boxes.iou, offset=1.0))
        arguments = (jnp.asarray(vectors[k], jnp.float32) for k in ("boxes", "query"))
        # The original computes in float64; ours rounds the corners to float32.
        np.testing.assert_allclose(iou(*arguments), vectors["out"], atol=2e-6)

    def test_encode(self, wrap, vectors):
        encode = wrap(functools.partial(boxes.encode, offset=1.0))
        box, anchor = (jnp.asarray(vectors[f"transform_f4__{k}"]) for k in ("gt", "ex"))
        # Logarithms differ in the last digits from library to library.
        found, expected = encode(box, anchor), vectors["transform_f4__out"]
        # For an anchor without width the original gives infinities, ours large numbers.
        solid = np.isfinite(expected).all(axis=1)
        assert jnp.isfinite(found).all() and solid.sum() > 60
        np.testing.assert_allclose(found[solid], expected[solid], rtol=1e-6, atol=5e-7)

    @pytest.mark.parametrize("classes", [1, 7])
    def test_decode(self, wrap, vectors, classes):
        decode = functools.partial(boxes.decode, offset=1.0, max_log_ratio=None)
        deltas = vectors[f"inv_f4__deltas{4 * classes}"].reshape(-1, classes, 4)
        anchors = np.repeat(vectors["inv_f4__boxes"][:, None], classes, axis=1)
        found = wrap(decode)(jnp.asarray(deltas), jnp.asarray(anchors))
        expected = vectors[f"inv_f4__out{4 * classes}"].reshape(found.shape)
        # Exponentials differ between libraries too; 2e-4 px are 3 ulp at 600 px.
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-4)

    def test_clip(self, wrap, vectors):
        rows, columns, _ = vectors["clip__im_shape"].tolist()
        clip = functools.partial(boxes.clip, height=rows, width=columns, offset=1.0)
        found = wrap(clip)(jnp.asarray(vectors["clip__boxes"].reshape(-1, 4)))
        np.testing.assert_array_equal(found, vectors["clip__out"].reshape(-1, 4))
