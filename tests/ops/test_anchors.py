import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.ops.anchors import base_anchors, grid_anchors

SHIPPED = pytest.mark.parametrize("golden", ["shipped"], indirect=True)
INCLUSIVE = np.array([0, 0, 1, 1])  # The original's boxes include their last pixel.


def slow_grid(base, rows, columns, stride):
    return [
        [
            x1 + column * stride,
            y1 + row * stride,
            x2 + column * stride,
            y2 + row * stride,
        ]
        for row in range(rows)
        for column in range(columns)
        for x1, y1, x2, y2 in base.tolist()
    ]


@SHIPPED
@pytest.mark.parametrize("name", ["claran", "class_default", "four_scales"])
def test_base_anchors_equal_the_original(golden, name):
    vectors = np.load(golden / "pieces" / "anchors.npz")
    sizes, ratios = 16 * vectors[f"{name}__scales"], vectors[f"{name}__ratios"]
    found = base_anchors(sizes.tolist(), ratios.tolist(), stride=16, rounded=True)
    np.testing.assert_array_equal(found - INCLUSIVE, vectors[name])


@SHIPPED
def test_grid_equals_the_original(golden):
    expected = np.load(golden / "pieces" / "anchors.npz")["claran_tiled_3x5"]
    base = base_anchors([16, 32, 64, 128, 256, 512], [1], stride=16)
    found = grid_anchors(base, rows=3, columns=5, stride=16)
    np.testing.assert_array_equal(found - INCLUSIVE, expected)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("stride", [8, 16])
def test_area_ratio_and_center_of_an_anchor(ratio, stride):
    ((x1, y1, x2, y2),) = base_anchors([48], [ratio], stride=stride)
    assert (x2 - x1) * (y2 - y1) == pytest.approx(48**2)
    assert (y2 - y1) / (x2 - x1) == pytest.approx(ratio)
    assert [(x1 + x2) / 2, (y1 + y2) / 2] == pytest.approx([stride / 2] * 2)


def test_rounding_leaves_square_anchors_unchanged():
    sizes = [16, 32, 160]
    exact, rounded = (
        base_anchors(sizes, [1], stride=16, rounded=flag) for flag in (False, True)
    )
    np.testing.assert_array_equal(exact, rounded)


@pytest.mark.parametrize(
    "rows, columns, sizes",
    [
        pytest.param(2, 3, [16, 40], id="two-sizes"),
        pytest.param(1, 1, [16], id="one-cell"),
        pytest.param(0, 3, [16], id="no-row"),
        pytest.param(2, 2, [], id="no-size"),
    ],
)
def test_grid_equals_the_loop(rows, columns, sizes):
    base = base_anchors(sizes, [1, 2], stride=16, rounded=True)
    found = grid_anchors(base, rows=rows, columns=columns, stride=16)
    expected = np.reshape(slow_grid(base, rows, columns, 16), (-1, 4))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_grid_inside_jit():
    base = base_anchors([16], [1], stride=16)

    @jax.jit
    def total(features):
        rows, columns = features.shape
        return features.sum() + jnp.sum(
            grid_anchors(base, rows=rows, columns=columns, stride=16)
        )

    assert total(jnp.zeros((1, 2))) == (0 + 0 + 16 + 16) + (16 + 0 + 32 + 16)
