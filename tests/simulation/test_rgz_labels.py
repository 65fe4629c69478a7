import csv
import math

import numpy as np
import pytest
from astropy.io import fits

from claran.fields.outlines import owners
from claran.simulation import field_noise
from claran.simulation import radio_sky as radio
from claran.simulation import rgz_labels as labels
from claran.simulation import simulated_field as field
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.simulation.observation import FIRST, FIRST_NATIVE
from claran.simulation.source_drawing import Source
from claran.sky.islands import class_code, find_all_peaks, find_islands
from claran.sky.noise import noise
from claran.sky.peak_counts import RGZ_GRID, count_peaks


def slow_islands(mask, *, corners=True):
    """Returns islands as sets of (y, x), by flood fill over 4 or 8 neighbors."""
    left = {tuple(place) for place in np.argwhere(mask).tolist()}
    islands = []
    while left:
        front = [left.pop()]
        island = set(front)
        while front:
            y, x = front.pop()
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if not corners and dy and dx:
                        continue
                    if (y + dy, x + dx) in left:
                        left.remove((y + dy, x + dx))
                        island.add((y + dy, x + dx))
                        front.append((y + dy, x + dx))
        islands.append(island)
    return islands


def slow_leaves(image, sigma, island):
    """Returns the peaks of an island: of each contour with none inside, the maximum."""
    threshold = 9 / math.sqrt(3) * sigma

    def climb(contour, level):
        mask = np.zeros(image.shape, bool)
        for y, x in contour:
            mask[y, x] = image[y, x] >= threshold * math.sqrt(3) ** (level + 1)
        inside = slow_islands(mask, corners=False)
        if not inside:
            return [max(contour, key=lambda place: image[place])]
        return [leaf for one in inside for leaf in climb(one, level + 1)]

    mask = np.zeros(image.shape, bool)
    mask[tuple(np.transpose(list(island)))] = True
    lowest = slow_islands(mask, corners=False)
    return [leaf for contour in lowest for leaf in climb(contour, 0)]


@pytest.mark.parametrize("seed", range(6))
def test_rule_against_flood_fill(seed):
    one = field.simulate(np.random.default_rng(seed), survey=FIRST_NATIVE)
    image = one.radio.astype(float)
    sigma = noise(image)
    islands = find_islands(image, sigma, min_pixels=4)
    slow = [i for i in slow_islands(image > 9 / 3**0.5 * sigma) if len(i) >= 4]
    peaks = find_all_peaks(image, islands, sigma)
    assert len(islands) == len(slow)
    for index in range(len(islands)):
        pixels = {tuple(p) for p in np.argwhere(islands.labels == index + 1).tolist()}
        assert pixels in slow
        rows, columns = np.array(sorted(pixels)).T
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(islands.boxes[index], expected)
        leaves = slow_leaves(image, sigma, pixels)
        expected = sorted((x + 0.5, y + 0.5) for y, x in leaves)
        own = peaks.positions[peaks.islands == index]
        assert sorted(map(tuple, own.tolist())) == expected


def test_sigma_of_gaussian_noise(rng):
    image = rng.normal(3, 2, (200, 200))
    image[:50, :50] = np.nan
    image[100, 100] = 1e6
    assert noise(image) == pytest.approx(2, rel=0.02)
    assert math.isnan(noise(np.full((4, 4), np.nan)))


def test_small_islands_are_dropped_and_the_rest_renumbered():
    image = np.zeros((10, 10))
    image[0, 0] = image[4:7, 4:7] = image[9, 0:3] = 10
    islands = find_islands(image, 1.0, min_pixels=3)
    assert islands.boxes.tolist() == [[4, 4, 7, 7], [0, 9, 3, 10]]
    assert np.unique(islands.labels).tolist() == [0, 1, 2]


def test_no_island():
    islands = find_islands(np.zeros((5, 5)), 1.0, min_pixels=1)
    assert len(islands) == 0
    assert islands.boxes.shape == (0, 4)
    assert not islands.labels.any()


def point(x, y, flux, family="compact"):
    return Source(family, np.array([[x, y, flux, 0.0]]), np.array([x, y, 15.0]))


def label_sources(sources, noise):
    models = np.array([radio.render(s.blobs, FIRST) for s in sources])
    models = models.reshape(-1, FIRST.size, FIRST.size)
    image = models.sum(axis=0) + noise
    return labels.label(image, models, sources, FIRST, sigma=1e-4)


@pytest.fixture
def quiet(rng):
    return field_noise.draw_noise(rng, FIRST, 1e-4)


def test_nothing_to_label(quiet):
    found, membership = label_sources([], np.zeros_like(quiet))
    assert found == ()
    assert not membership.any()


def test_islands_of_one_source_belong_together(quiet):
    blobs = np.array([[-20, 0, 5e-3, 0.5], [0, 0, 3e-3, 0.5], [20, 0, 5e-3, 0.5]])
    double = Source("triple", blobs, np.array([0.0, 0.0, 14.0]))
    (found, other), membership = label_sources([double, point(0, 40, 4e-3)], quiet)
    assert (found.code, other.code) == ("3_3", "1_1")
    assert found.consensus and not found.ignore
    assert found.component_boxes.shape == (3, 4)
    np.testing.assert_allclose(found.host, FIRST.size / 2)
    assert np.unique(membership).tolist() == [0, 1, 2]
    x, y = found.component_positions.mean(axis=0)
    assert (x, y) == pytest.approx((66, 66), abs=1)


def test_blend_goes_to_the_brighter_source(quiet):
    (found,), _ = label_sources([point(0, 0, 4e-3), point(9, 0, 5e-3)], quiet)
    assert found.code == "1_2"
    assert not found.consensus and not found.ignore
    assert found.host[0] == pytest.approx(66 + 9 / 1.375)


def test_source_below_threshold_is_ignored(quiet):
    (found,), membership = label_sources([point(0, 0, 4e-4)], 0 * quiet)
    assert found.code == "0_0" and found.ignore and found.components == 0
    assert found.box[0] < 66 < found.box[2]
    assert not membership.any()


def test_source_cut_by_the_edge(quiet):
    (found,), _ = label_sources([point(90.5, 0, 9e-3)], quiet)
    assert found.box[2] == FIRST.size
    assert found.ignore and not found.consensus


def test_class_outside_the_six_is_ignored(quiet):
    blobs = np.array([[x, 0, 5e-3, 0.5] for x in (-40, -15, 15, 40)])
    (found,), _ = label_sources([Source("double", blobs, np.full(3, np.nan))], quiet)
    assert found.code == "4_4" and found.ignore
    assert np.isnan(found.host).all()


def test_noise_island_belongs_to_no_source():
    image = np.zeros((FIRST.size, FIRST.size), np.float32)
    image[10:14, 10:14] = 1e-3
    found, membership = label_sources([point(0, 0, 4e-3)], image)
    assert len(found) == 1
    assert not membership[10:14, 10:14].any()


def test_labels_count_peaks_in_the_pixels_of_radio_galaxy_zoo():
    fields = SimulatedFields(40, seed=4, **SIMULATED["simulated/vlass"])
    differ = 0
    for number in range(len(fields)):
        one = fields[number]
        codes = [fields.class_names[label - 1] for label in one.objects.labels]
        own = owners(one.islands.boxes, one.objects.boxes)
        for index in np.flatnonzero(~one.objects.ignored):
            islands = own == index
            counts = one.peak_counts[islands].sum(axis=0).tolist()
            code = class_code(int(islands.sum()), counts[RGZ_GRID])
            assert codes[index] == code
            differ += code != class_code(int(islands.sum()), counts[0])
    assert differ > 0


def test_rule_gives_the_classes_of_real_sources(real_data):
    """Given which islands belong together; in the grids of `count_peaks`.

    In its own pixels it is right for 159 of 168, in Radio Galaxy Zoo's for 158.
    """
    folder = real_data / "rgz_first_dev"
    with (folder / "annotations.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = []
    for row in rows:
        image = fits.getdata(folder / "fits" / f"{row['first_id']}.fits")
        sigma = noise(image)
        islands = find_islands(image, sigma, min_pixels=4)
        box = np.array(
            [[float(row[f"box_{edge}"]) for edge in ("x0", "y0", "x1", "y1")]]
        )
        own = np.flatnonzero(owners(islands.boxes, box.clip(0, 100)) == 0)
        counts = find_all_peaks(image, islands, sigma).counts(len(islands))
        counts = count_peaks(image / sigma, islands, counts, beam=3.0)[own].sum(axis=0)
        codes = [class_code(len(own), int(peaks)) for peaks in counts]
        right.append([code == row["cls"] for code in codes] + [len(set(codes)) == 1])
    right = np.array(right)
    assert len(right) == 168
    assert right[:, 0].mean() > 0.94 and right[:, RGZ_GRID].mean() > 0.93
    right, same = right[:, :-1].mean(axis=1), right[:, -1]
    assert right[same].mean() > 0.96 and 5 < (~same).sum() < 20
    assert 0.4 < right[~same].mean() < 0.7
