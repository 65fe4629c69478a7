import functools
import math

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads

from claran.ops import sampler
from claran.ops.sampler import roi_transforms, sample_affine, sample_rois

STRIDE = 16
ROIS = jnp.array(
    [
        [10, 20, 60, 70],
        [3.5, 7.25, 21, 100],
        [-40, -30, 30, 10],  # Across the upper left corner.
        [70, 60, 190, 170],  # Across the lower right corner.
        [40, 40, 40, 40],  # A point.
    ],
    jnp.float32,
)
PLACEMENTS = pytest.mark.parametrize("placement", ["aligned", "claran"])
BORDERS = pytest.mark.parametrize("border", ["edge", "zero"])


@pytest.fixture
def features(rng):
    return jnp.asarray(rng.normal(size=(8, 6, 3)), jnp.float32)


def slow_interpolate(features, y, x, border):
    rows, columns, _ = features.shape
    if border == "zero" and not (
        0 <= math.floor(y) < rows - 1 and 0 <= math.floor(x) < columns - 1
    ):
        return np.zeros(features.shape[2])
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    total = np.zeros(features.shape[2])
    for row in range(rows):
        for column in range(columns):
            weight = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            total += weight * features[row, column]
    return total


def slow_places(low, high, length, size, placement):
    """Returns the positions of an RoI's samples along one axis, in cells."""
    low, high = low / STRIDE, high / STRIDE
    if placement == "aligned":  # RoIAlign: the centers of equal bins.
        return [low + (i + 0.5) * (high - low) / size - 0.5 for i in range(size)]
    center = ((low + high) / 2 - 1) * length / max(1, length - 1)
    return [center + (high - low) / 2 * t for t in np.linspace(-1, 1, size)]


def slow_sample(features, rois, size, placement, border):
    features, rois = (np.asarray(a, np.float64) for a in (features, rois))
    rows, columns, channels = features.shape
    out = np.zeros((len(rois), size, size, channels))
    for n, (x1, y1, x2, y2) in enumerate(rois):
        for i, y in enumerate(slow_places(y1, y2, rows, size, placement)):
            for j, x in enumerate(slow_places(x1, x2, columns, size, placement)):
                out[n, i, j] = slow_interpolate(features, y, x, border)
    return out


def slow_scatter(features, rois, cotangent, placement, border):
    """Returns the gradient of the features; the samples are linear in them."""
    total = np.zeros(features.shape)
    for row, column in np.ndindex(features.shape[:2]):
        cell = np.zeros((*features.shape[:2], 1))
        cell[row, column] = 1
        weights = slow_sample(cell, rois, cotangent.shape[1], placement, border)
        total[row, column] = (weights * cotangent).sum((0, 1, 2))
    return total


@PLACEMENTS
@BORDERS
def test_equals_the_loop(wrap, features, placement, border):
    options = {"placement": placement, "border": border}
    run = wrap(functools.partial(sample_rois, size=3, stride=STRIDE, **options))
    expected = slow_sample(features, ROIS, 3, **options)
    np.testing.assert_allclose(run(features, ROIS), expected, atol=1e-5)


@PLACEMENTS
@BORDERS
def test_gradients(rng, features, placement, border):
    # No sample near an integer position, where the interpolation has a kink.
    rois = jnp.array([[11.0, 21.0, 58.0, 67.0], [27.0, 33.0, 50.0, 93.0]])
    sample = functools.partial(
        sample_rois, size=2, stride=STRIDE, placement=placement, border=border
    )
    lengths = features.shape[1::-1] * 2
    for i, roi in enumerate(rois):
        for axis in range(2):
            ends = float(roi[axis]), float(roi[axis + 2])
            for place in slow_places(*ends, lengths[axis], 2, placement):
                assert 0.02 < place % 1 < 0.98, (i, axis, place)
    check_grads(
        jax.jit(sample),
        (features, rois),
        1,
        modes=["rev"],
        atol=0.02,
        rtol=0.02,
        eps=0.1,
    )


@PLACEMENTS
@BORDERS
def test_gradient_of_the_features_equals_the_loop(rng, features, placement, border):
    options = {"placement": placement, "border": border}
    sample = functools.partial(sample_rois, size=3, stride=STRIDE, **options)
    cotangent = jnp.asarray(rng.normal(size=(len(ROIS), 3, 3, 3)), jnp.float32)
    found = jax.jit(jax.grad(lambda f: (sample(f, ROIS) * cotangent).sum()))(features)
    expected = slow_scatter(features, ROIS, cotangent, **options)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_gradient_in_several_chunks(monkeypatch, features):
    def gradient(rois):
        def total(features):
            return (sample_rois(features, rois, size=3, stride=STRIDE) ** 2).sum()

        return jax.jit(jax.grad(total))(features)

    at_once = gradient(ROIS)
    monkeypatch.setattr(sampler, "SCATTER_FLOATS", 2 * 3 * 3 * 3)  # Two RoIs: 3 chunks.
    np.testing.assert_allclose(gradient(ROIS), at_once, atol=1e-5)


class TestBothLowerings:
    """Gathers on a CPU and matrix products elsewhere give the same result."""

    @pytest.fixture
    def as_on_accelerators(self, monkeypatch):
        """Makes the CPU run the accelerators' code; returns the functions called."""
        calls = []

        def choose(*arguments, cpu, default):
            calls.append(default.__name__)
            return default(*arguments)

        monkeypatch.setattr(jax.lax, "platform_dependent", choose)
        return calls

    @PLACEMENTS
    @BORDERS
    def test_values_and_gradients(
        self, as_on_accelerators, rng, features, placement, border
    ):
        options = {"placement": placement, "border": border}
        sample = functools.partial(sample_rois, size=3, stride=STRIDE, **options)
        out, pull = jax.vjp(jax.jit(sample), features, ROIS)
        cotangent = jnp.asarray(rng.normal(size=out.shape), jnp.float32)
        d_features, d_rois = pull(cotangent)
        assert set(as_on_accelerators) == {"by_products"}
        expected = slow_sample(features, ROIS, 3, **options)
        np.testing.assert_allclose(out, expected, atol=1e-5)
        expected = slow_scatter(features, ROIS, cotangent, **options)
        np.testing.assert_allclose(d_features, expected, atol=2e-5)
        assert jnp.isfinite(d_rois).all()

    @pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
    def test_lowering_of_each_platform(self, features, platform):
        def total(features, rois):
            return (sample_rois(features, rois, size=3, stride=STRIDE) ** 2).sum()

        lower = jax.export.export(jax.jit(jax.grad(total)), platforms=[platform])
        text = lower(features, ROIS).mlir_module()
        names = ("stablehlo.gather", "stablehlo.scatter", "stablehlo.dot_general")
        gathers, scatters, products = (name in text for name in names)
        assert [gathers, scatters, products] == (
            [True, True, False] if platform == "cpu" else [False, False, True]
        )


class TestAffine:
    @PLACEMENTS
    @BORDERS
    def test_without_rotation_equals_sample_rois(self, features, placement, border):
        rows, columns, _ = features.shape
        transforms = roi_transforms(
            ROIS, stride=STRIDE, rows=rows, columns=columns, size=3, placement=placement
        )
        options = {"placement": placement, "border": border}
        sample = functools.partial(sample_rois, size=3, stride=STRIDE, **options)
        turned = functools.partial(sample_affine, size=(3, 3), border=border)
        found = jax.jit(turned)(features, transforms)
        expected = jax.jit(sample)(features, ROIS)
        # Sample positions may differ in the last digit.
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_quarter_turns(self, features):
        rois = jnp.tile(jnp.array([[16.0, 32.0, 64.0, 80.0]]), (5, 1))

        @jax.jit
        def sample(features, angles):
            transforms = roi_transforms(
                rois, stride=STRIDE, rows=8, columns=6, size=4, angles=angles
            )
            return sample_affine(features, transforms, size=(4, 4))

        found = sample(features, jnp.arange(5) * jnp.pi / 2)
        for turns in range(5):
            expected = np.rot90(found[0], turns)
            np.testing.assert_allclose(found[turns], expected, atol=1e-5)

    def test_output_that_is_not_square(self, wrap, features):
        # The output grid coincides with that of the map, so the map is returned.
        whole = jnp.array([[[2.5, 0, 2.5], [0, 3.5, 3.5]]])
        found = wrap(functools.partial(sample_affine, size=(8, 6)))(features, whole)
        np.testing.assert_allclose(found[0], features, atol=2e-6)

    @BORDERS
    def test_gradients(self, features, border):
        transforms = jnp.array([[[1.1, 0.3, 2.35], [-0.4, 1.7, 3.4]]])
        sample = jax.jit(functools.partial(sample_affine, size=(2, 3), border=border))
        check_grads(
            sample, (features, transforms), 1, modes=["rev"], atol=0.02, rtol=0.02
        )

    def test_gradient_of_the_angle(self, features):
        rois = jnp.array([[13.0, 21.0, 58.0, 67.0]])

        @jax.jit
        def sample(angles):
            transforms = roi_transforms(
                rois, stride=STRIDE, rows=8, columns=6, size=2, angles=angles
            )
            return sample_affine(features, transforms, size=(2, 2))

        check_grads(sample, (jnp.array([0.4]),), 1, modes=["rev"], atol=0.02, rtol=0.02)


class TestEdges:
    @BORDERS
    def test_no_rois(self, features, border):
        def total(features, rois):
            sample = sample_rois(features, rois, size=3, stride=STRIDE, border=border)
            return sample.sum()

        none = jnp.zeros((0, 4))
        value, gradients = jax.jit(jax.value_and_grad(total, (0, 1)))(features, none)
        assert value == 0
        np.testing.assert_array_equal(gradients[0], jnp.zeros_like(features))
        assert gradients[1].shape == (0, 4)

    @BORDERS
    def test_rois_outside(self, features, border):
        rois = [[-200, -200, -100, -100], [300, -200, 400, -99], [300, 300, 1e9, 1e9]]
        sample = functools.partial(sample_rois, size=2, stride=STRIDE, border=border)
        found, pull = jax.vjp(jax.jit(sample), features, jnp.array(rois))
        corners = features[jnp.array([0, 0, -1]), jnp.array([0, -1, -1])]
        expected = np.broadcast_to(corners[:, None, None], found.shape)
        np.testing.assert_array_equal(found, expected if border == "edge" else 0)
        _, d_rois = pull(jnp.ones_like(found))
        assert not d_rois.any()

    @BORDERS
    @PLACEMENTS
    def test_a_map_of_one_cell(self, placement, border):
        sample = functools.partial(
            sample_rois, size=2, stride=STRIDE, placement=placement, border=border
        )
        one = jnp.array([[[3.0, 4.0]]])
        found, pull = jax.vjp(jax.jit(sample), one, ROIS)
        expected = np.broadcast_to([3.0, 4.0], found.shape)
        np.testing.assert_array_equal(found, expected if border == "edge" else 0)
        _, d_rois = pull(jnp.ones_like(found))
        assert not d_rois.any()

    def test_one_sample_is_the_center(self, features):
        # Pixels 32 to 48 are cell 2, whose center is at 40.
        sample = functools.partial(sample_rois, size=1, stride=STRIDE)
        found = jax.jit(sample)(features, ROIS[4:])
        np.testing.assert_allclose(found[0, 0, 0], features[2, 2], atol=1e-6)

    def test_zero_border_drops_the_last_cell(self):
        """As in ClaRAN: a sample on the last cell is outside, on the first inside."""
        ramp = jnp.broadcast_to(jnp.arange(1.0, 5.0)[None, :, None], (3, 4, 1))
        places = jnp.array([-0.25, 0.0, 2.75, 3.0])
        transforms = jnp.stack(
            [jnp.array([[0.0, 0.0, x], [0.0, 0.0, 1.0]]) for x in places]
        )
        edge, zero = (
            jax.jit(functools.partial(sample_affine, size=(1, 1), border=border))(
                ramp, transforms
            ).ravel()
            for border in ("edge", "zero")
        )
        assert edge.tolist() == [1, 1, 3.75, 4]
        assert zero.tolist() == [0, 1, 3.75, 0]


@pytest.mark.parametrize("function", ["rois", "affine"])
def test_half_precision_features_are_sampled_at_full_precision(features, function):
    rows, columns, _ = features.shape
    transforms = roi_transforms(ROIS, stride=STRIDE, rows=rows, columns=columns, size=7)
    sample = {
        "rois": lambda f: sample_rois(f, ROIS, size=7, stride=STRIDE),
        "affine": lambda f: sample_affine(f, transforms, size=(7, 7)),
    }[function]
    half = features.astype(jnp.bfloat16)
    found, pull = jax.vjp(jax.jit(sample), half)
    expected = jax.jit(sample)(half.astype(jnp.float32))
    np.testing.assert_allclose(
        np.asarray(found, np.float32), expected, rtol=2**-8, atol=1e-6
    )
    (gradient,) = pull(jnp.ones_like(found))
    assert gradient.dtype == jnp.bfloat16


def test_batches_by_vmap(rng):
    features = jnp.asarray(rng.normal(size=(3, 5, 6, 2)), jnp.float32)
    rois = jnp.stack([ROIS, ROIS + 5, ROIS / 2])
    sample = functools.partial(sample_rois, size=3, stride=STRIDE)

    def gradient(features, rois):
        return jax.grad(lambda *a: (sample(*a) ** 2).sum(), (0, 1))(features, rois)

    for function in (sample, gradient):
        found = jax.jit(jax.vmap(function))(features, rois)
        for i in range(3):
            jax.tree.map(
                lambda many, one, i=i: np.testing.assert_allclose(
                    many[i], one, atol=1e-5
                ),
                found,
                jax.jit(function)(features[i], rois[i]),
            )


@pytest.mark.parametrize(
    "option, message",
    [
        ({"border": "wrap"}, r"`border` must be one of 'edge', 'zero', got 'wrap'\."),
        (
            {"placement": "corner"},
            r"`placement` must be one of 'aligned', 'claran', got 'corner'\.",
        ),
    ],
    ids=["border", "placement"],
)
def test_refuses_unknown_options(monkeypatch, features, option, message):
    # Otherwise the type checks, which only tests switch on, would refuse it first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        sample_rois(features, ROIS, size=2, stride=STRIDE, **option)
