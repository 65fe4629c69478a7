import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claran.detection import windows as module
from claran.detection.windows import find_windows, with_islands


def boxes_at(*places, size=6):
    places = np.array(places, float).reshape(-1, 2)
    return np.concatenate([places - size / 2, places + size / 2], axis=1)


@pytest.mark.parametrize("count", [1, 2])
def test_a_small_field_is_shown_whole(count):
    places = [(20, 20), (60, 140)][:count]
    (window,), cluster = find_windows((160, 90), boxes_at(*places))
    assert window.bounds is None
    assert cluster.tolist() == [0] * count


def test_windows_are_shown_where_they_save_half_the_work():
    far = [(60, 60), (300, 60), (60, 300), (300, 300)]
    windows, _ = find_windows((370, 370), boxes_at(*far))
    assert len(windows) == 4  # Of 128 x 128 pixels: 0.48 of the field.
    (window,), cluster = find_windows((360, 360), boxes_at(*far))
    assert window.bounds is None and set(cluster) == {0}


def test_a_field_that_is_too_large_is_never_shown_whole():
    rng = np.random.default_rng(0)
    crowded = boxes_at(*rng.uniform(5, 1195, (2000, 2)))
    windows, cluster = find_windows((1200, 1200), crowded)
    assert len(windows) > 1 and set(cluster) == {0}
    assert all(window.bounds is not None for window in windows)


def test_empty_sky_is_not_shown():
    windows, cluster = find_windows((500, 500), boxes_at())
    assert windows == [] and not len(cluster)


def test_what_is_close_together_is_shown_in_one_window():
    places = [(100, 100), (160, 100), (400, 300)]
    windows, cluster = find_windows((500, 500), boxes_at(*places))
    assert cluster.tolist() == [0, 0, 1]
    assert [window.cluster for window in windows] == [0, 1]
    x0, y0, x1, y1 = windows[0].bounds
    # Both in the middle, with sky around them.
    assert (x0 + x1) / 2 == 130 and (y0 + y1) / 2 == 100
    assert x1 - x0 == y1 - y0 == 192
    assert windows[1].bounds == (368, 268, 432, 332)


def test_islands_are_linked_through_others():
    chain = [(100 + 60 * i, 200) for i in range(6)]
    _, cluster = find_windows((600, 600), boxes_at(*chain))
    assert set(cluster) == {0}


@pytest.mark.parametrize("gap, joined", [(40, True), (60, True), (80, False)])
def test_the_gap_decides(gap, joined):
    boxes = boxes_at((100, 100), (106 + gap, 100))
    _, cluster = find_windows((500, 500), boxes)
    assert (len(set(cluster)) == 1) == joined


def test_a_window_at_the_border_stays_inside():
    windows, _ = find_windows((400, 500), boxes_at((3, 3), (497, 397)))
    assert [window.bounds for window in windows] == [
        (0, 0, 64, 64), (436, 336, 500, 400)
    ]  # fmt: skip


def test_a_narrow_field_is_shown_over_its_width():
    (window,), _ = find_windows((40, 1600), boxes_at((800, 20)))
    assert window.bounds == (768, 0, 832, 40)


def test_a_cluster_larger_than_a_window_is_tiled():
    places = [(50 * i + 20, 50 * j + 20) for i in range(24) for j in range(3)]
    windows, cluster = find_windows((1000, 1300), boxes_at(*places))
    assert set(cluster) == {0} and len(windows) > 1
    assert all(window.cluster == 0 for window in windows)
    for window in windows:
        x0, y0, x1, y1 = window.bounds
        assert x1 - x0 == 512 and y1 - y0 <= 512
        assert 0 <= x0 and x1 <= 1300
    # Every place is in one core, and well inside of its window.
    for x, y in places:
        inside = [
            window
            for window in windows
            if window.core[0] <= x < window.core[2]
            and window.core[1] <= y < window.core[3]
        ]
        (window,) = inside
        x0, _, x1, _ = window.bounds
        assert x - x0 >= min(48, x) and x1 - x >= min(48, 1300 - x)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(4, 896), st.integers(4, 696)), max_size=40),
)
def test_every_island_is_seen_with_its_cluster(places):
    shape = (700, 900)
    boxes = boxes_at(*places)
    windows, cluster = find_windows(shape, boxes)
    assert sorted({window.cluster for window in windows}) == sorted(set(cluster))
    if any(window.bounds is None for window in windows):
        assert len(windows) == 1
        return
    for box, number in zip(boxes, cluster, strict=True):
        center = (box[:2] + box[2:]) / 2
        own = [
            window
            for window in windows
            if window.cluster == number
            and (np.array(window.core[:2]) <= center).all()
            and (center < np.array(window.core[2:])).all()
        ]
        (window,) = own
        assert (np.array(window.bounds[:2]) <= box[:2].clip(min=0)).all()
        assert (box[2:].clip(max=shape[::-1]) <= np.array(window.bounds[2:])).all()
    for window in windows:
        x0, y0, x1, y1 = window.bounds
        assert 0 <= x0 < x1 <= 900 and 0 <= y0 < y1 <= 700


def test_sizes_hold_a_point_source_with_its_margin():
    assert module.SIZES[0] >= 6 + 2 * module.MARGIN
    assert list(module.SIZES) == sorted(module.SIZES)


def test_links_do_not_depend_on_the_order():
    rng = np.random.default_rng(1)
    boxes = boxes_at(*rng.uniform(5, 995, (60, 2)))
    _, cluster = find_windows((1000, 1000), boxes)
    order = rng.permutation(60)
    _, again = find_windows((1000, 1000), boxes[order])
    same = cluster[:, None] == cluster[None]
    np.testing.assert_array_equal(
        same[np.ix_(order, order)], again[:, None] == again[None]
    )


def naive_clusters(boxes):
    """Links every island with every other one, by the cells they are extended to."""
    grown = (boxes + np.array([-0.5, -0.5, 0.5, 0.5]) * module.LINK) / module.CELL
    low, high = np.floor(grown[:, :2]), np.floor(grown[:, 2:])
    touch = (low[:, None] <= high[None] + 1) & (low[None] <= high[:, None] + 1)
    linked = touch.all(axis=2)
    while not (linked == (more := linked @ linked)).all():
        linked = more
    _, number = np.unique(linked.argmax(axis=1), return_inverse=True)
    return number


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.sampled_from([20, 60, 512]),
    st.sampled_from([30.0, 600.0]),
)
def test_links_do_not_depend_on_the_tiles_of_the_grid(seed, count, tile, longest):
    rng = np.random.default_rng(seed)
    center = rng.uniform(0, [1700, 1300], (count, 2))
    half = np.exp(rng.uniform(0, np.log(longest), (count, 2))) / 2
    boxes = np.concatenate([center - half, center + half], axis=1)
    boxes = np.clip(boxes, 0, [1700, 1300, 1700, 1300])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        _, cluster = find_windows((1300, 1700), boxes)
    np.testing.assert_array_equal(cluster, naive_clusters(boxes))


def test_a_cluster_around_empty_sky_is_shown_where_islands_are():
    # A ring of islands, 4,000 pixels wide.
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    places = 2500 + 2000 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    boxes = boxes_at(*places)
    windows, cluster = find_windows((5000, 5000), boxes)
    assert set(cluster) == {0}
    assert len(windows) < 50  # Of 100 that cover the square.
    bounds = np.array([window.bounds for window in windows])
    seen = (bounds[:, None, :2] < boxes[None, :, 2:]).all(axis=2)
    seen &= (bounds[:, None, 2:] > boxes[None, :, :2]).all(axis=2)
    assert seen.any(axis=1).all()
    for place in places:
        cores = [
            (np.array(window.core[:2]) <= place) & (place < np.array(window.core[2:]))
            for window in windows
        ]
        assert sum(inside.all() for inside in cores) == 1


def test_a_mosaic_has_thousands_of_windows(rng):
    windows, cluster = find_windows(
        (20_000, 20_000), boxes_at(*rng.uniform(4, 19_996, (20_000, 2)))
    )
    assert cluster.max() + 1 == len({window.cluster for window in windows})
    assert cluster[0] == 0 and all(window.bounds is not None for window in windows)


@pytest.mark.parametrize("shape", [(160, 300), (1500, 1400)])
def test_each_window_has_the_islands_of_its_cluster(shape, rng):
    boxes = boxes_at(*rng.uniform(5, min(shape) - 5, (40, 2)))
    windows, cluster = find_windows(shape, boxes)
    seen = with_islands(windows, cluster, boxes)
    assert set(np.concatenate([one.islands for one in seen]).tolist()) == set(range(40))
    for one in seen:
        assert (cluster[one.islands] == one.cluster).all()
        x0, y0, *_ = one.bounds or (0, 0)
        moved = one.island_boxes + np.float32([x0, y0, x0, y0])
        np.testing.assert_allclose(moved, boxes[one.islands], atol=1e-3)
