import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from claran.ops import boxes as box_ops
from claran.ops.anchors import base_anchors, grid_anchors
from claran.ops.targets import (
    HeadOptions,
    Objects,
    RpnOptions,
    head_targets,
    rpn_targets,
)

KEY = jax.random.key(0)
SHIPPED = pytest.mark.parametrize("golden", ["shipped"], indirect=True)
SIZE = 64.0
ANCHORS = jnp.asarray(
    grid_anchors(base_anchors([16, 32], [1], stride=16), rows=4, columns=4, stride=16)
)
# Room for all anchors, so that none is drawn at random.
ALL_ANCHORS = RpnOptions(size=2 * len(ANCHORS))


def some_objects(*boxes, slots=None):
    """Labels count from one; further `slots` are invalid and hold rubbish."""
    count, slots = len(boxes), slots or len(boxes)
    rows = np.full((slots, 4), -7.0, np.float32)
    rows[:count] = np.reshape(boxes, (-1, 4))
    return Objects(jnp.asarray(rows), 1 + jnp.arange(slots), jnp.arange(slots) < count)


@functools.cache
def compiled(function, **options):
    return jax.jit(functools.partial(function, **options))


def by_anchor(targets, count):
    """Returns label and deltas of every anchor; -1 and 0 where it was not drawn."""
    labels, deltas = np.full(count, -1), np.zeros((count, 4), np.float32)
    rows = np.asarray(targets.rows[targets.valid])
    labels[rows] = targets.labels[targets.valid]
    deltas[rows] = targets.deltas[targets.valid]
    return labels, deltas


class TestRpn:
    def run(self, objects, options=ALL_ANCHORS, shape=(SIZE, SIZE), key=KEY):
        run = compiled(rpn_targets, options=options)
        return run(key, ANCHORS, objects, jnp.array(shape))

    def test_object_that_equals_an_anchor(self):
        targets = self.run(some_objects([16, 16, 32, 32]))
        labels, deltas = by_anchor(targets, len(ANCHORS))
        (positive,) = np.flatnonzero(labels == 1)
        assert ANCHORS[positive].tolist() == [16, 16, 32, 32]
        np.testing.assert_allclose(deltas[positive], 0, atol=1e-6)

    def test_anchors_across_the_border_are_ignored(self):
        # The lower third is padding; anchors that reach into it are ignored too.
        targets = self.run(some_objects(), shape=(40.0, SIZE))
        labels, _ = by_anchor(targets, len(ANCHORS))
        inside = [
            0 <= x1 and 0 <= y1 and x2 <= SIZE and y2 <= 40
            for x1, y1, x2, y2 in ANCHORS.tolist()
        ]
        assert (labels >= 0).tolist() == inside

    def test_decoded_deltas_give_the_object(self):
        box = [18.0, 20.0, 40.0, 41.0]
        targets = self.run(some_objects(box))
        positive = targets.valid & (targets.labels == 1)
        assert positive.any()
        found = box_ops.decode(targets.deltas, ANCHORS[targets.rows])[positive]
        np.testing.assert_allclose(found, jnp.tile(jnp.array([box]), (len(found), 1)))

    @pytest.mark.parametrize("slots", [0, 3], ids=["no-slot", "invalid-slots"])
    def test_without_objects_all_is_background(self, slots):
        """The original raises ValueError: argmax of an empty sequence."""
        labels, deltas = by_anchor(self.run(some_objects(slots=slots)), len(ANCHORS))
        assert set(labels) == {-1, 0}
        assert np.isfinite(deltas).all()

    def test_invalid_objects_change_nothing(self):
        boxes = [[16, 16, 32, 32], [20, 28, 50, 60]]
        plain, padded = (
            self.run(some_objects(*boxes, slots=slots)) for slots in (2, 5)
        )
        jax.tree.map(np.testing.assert_array_equal, plain, padded)

    def test_sample_is_balanced(self):
        options = RpnOptions(size=6, positive_fraction=0.5)
        objects = some_objects(*ANCHORS[:8:2].tolist())
        targets = self.run(objects, options)
        assert targets.labels.tolist() == [1, 1, 1, 0, 0, 0]
        assert targets.valid.all()

    def test_no_anchor(self):
        run = functools.partial(rpn_targets, options=RpnOptions(size=4))
        shape = jnp.array([9.0, 9.0])
        targets = run(KEY, jnp.zeros((0, 4)), some_objects([1, 1, 5, 5]), shape)
        assert targets.deltas.shape == (4, 4)
        assert not targets.valid.any()

    def test_batches_by_vmap(self):
        boxes = jnp.array([[[16.0, 16, 32, 32]], [[20, 28, 50, 60]]])
        objects = Objects(boxes, jnp.ones((2, 1), int), jnp.array([[True], [False]]))
        keys, shapes = jax.random.split(KEY), jnp.full((2, 2), SIZE)
        run = functools.partial(rpn_targets, options=RpnOptions(size=8))
        found = jax.jit(jax.vmap(run, (0, None, 0, 0)))(keys, ANCHORS, objects, shapes)
        for i in range(2):
            one = jax.jit(run)(
                keys[i], ANCHORS, jax.tree.map(lambda x, i=i: x[i], objects), shapes[i]
            )
            jax.tree.map(
                lambda many, one, i=i: np.testing.assert_array_equal(many[i], one),
                found,
                one,
            )


class TestHead:
    OPTIONS = HeadOptions(size=8)

    def run(self, proposals, proposed, objects, options=OPTIONS):
        proposals = jnp.reshape(jnp.array(proposals, jnp.float32), (-1, 4))
        run = compiled(head_targets, options=options)
        return run(KEY, proposals, jnp.array(proposed, bool), objects)

    def test_objects_are_added_to_the_proposals(self):
        box = [16.0, 16.0, 32.0, 40.0]
        rois, targets = self.run([[0, 0, 9, 9]], [True], some_objects(box))
        assert targets.valid.tolist() == [True] * 2 + [False] * 6
        assert targets.labels[:2].tolist() == [1, 0]
        assert rois[:2].tolist() == [box, [0, 0, 9, 9]]
        np.testing.assert_allclose(targets.deltas[0], 0, atol=1e-6)

    def test_a_proposal_takes_the_class_of_its_best_object(self):
        objects = some_objects([0, 0, 20, 20], [40, 40, 60, 60])
        _, targets = self.run(
            [[41, 40, 60, 60], [12, 0, 20, 20]],
            [True, True],
            objects,
            HeadOptions(size=8, positive_fraction=1.0),
        )
        found = dict(zip(targets.rows.tolist(), targets.labels.tolist(), strict=True))
        # Rows 2 and 3 are the objects; row 1 overlaps the first by less than half.
        assert found == {0: 2, 1: 0, 2: 1, 3: 2} | {0: found[0]}
        assert targets.valid.sum() == 4

    def test_invalid_proposals_are_never_drawn(self):
        _, targets = self.run(
            [[0, 0, 9, 9]] * 3, [False] * 3, some_objects([5, 5, 9, 9])
        )
        assert targets.rows[targets.valid].tolist() == [3]

    @pytest.mark.parametrize("slots", [0, 2], ids=["no-slot", "invalid-slots"])
    @pytest.mark.parametrize("count", [0, 3], ids=["no-proposal", "three-proposals"])
    def test_without_objects_all_is_background(self, slots, count):
        rois, targets = self.run(
            [[0, 0, 9, 9]] * count, [True] * count, some_objects(slots=slots)
        )
        assert rois.shape == (8, 4)
        assert targets.valid.sum() == count
        assert not (targets.labels * targets.valid).any()
        assert jnp.isfinite(targets.deltas).all()


def slow_on_ignored(box, ignored, threshold):
    """Returns whether a box lies on an ignored one, by counting quarter pixels."""
    cells = lambda b: {
        (x, y)
        for x in range(round(4 * b[0]), round(4 * b[2]))
        for y in range(round(4 * b[1]), round(4 * b[3]))
    }
    for other in ignored:
        own, theirs = cells(box), cells(other)
        shared = len(own & theirs)
        if shared >= threshold * len(own | theirs) or 2 * shared > len(own):
            return True
    return False


class TestIgnored:
    """Ignored objects are neither positive examples nor background."""

    # One the size of an anchor, one that contains anchors, and an invalid one.
    BOXES = ([4, 4, 22, 20], [30, 20, 64, 64], [0, 0, 64, 64])

    def objects(self, *learned):
        count = len(learned)
        boxes = np.array([*learned, *self.BOXES], np.float32)
        ignored = [False] * count + [True, True, False]
        return Objects(
            jnp.asarray(boxes),
            1 + jnp.arange(len(boxes)),
            jnp.arange(len(boxes)) < count,
            jnp.array(ignored),
        )

    @pytest.mark.parametrize(
        "learned", [[], [[16, 16, 32, 32], [34, 32, 60, 60]]], ids=["none", "two"]
    )
    def test_anchors_on_ignored_objects_are_not_background(self, learned):
        objects = self.objects(*learned)
        run = compiled(rpn_targets, options=ALL_ANCHORS)
        arguments = (KEY, ANCHORS), jnp.array([SIZE, SIZE])
        with_them, _ = by_anchor(
            run(*arguments[0], objects, arguments[1]), len(ANCHORS)
        )
        without, _ = by_anchor(
            run(*arguments[0], objects._replace(ignored=None), arguments[1]),
            len(ANCHORS),
        )
        expected = [
            -1 if label == 0 and slow_on_ignored(anchor, self.BOXES[:2], 0.3) else label
            for label, anchor in zip(without.tolist(), ANCHORS.tolist(), strict=True)
        ]
        assert with_them.tolist() == expected and expected != without.tolist()
        # Positive anchors stay positive inside an ignored object.
        assert (with_them == 1).sum() == (without == 1).sum() >= len(learned)

    def test_proposals_on_ignored_objects_are_not_background(self, rng):
        corners = rng.integers(0, 200, (40, 2)) / 4
        sides = rng.integers(8, 120, (40, 2)) / 4
        proposals = np.concatenate([corners, corners + sides], axis=1)
        objects = self.objects([16, 16, 32, 32])
        run = compiled(head_targets, options=HeadOptions(size=200))
        _, targets = run(
            KEY, jnp.asarray(proposals, jnp.float32), jnp.ones(40, bool), objects
        )
        drawn = set(targets.rows[targets.valid].tolist())
        alone = objects._replace(ignored=None)
        _, before = run(
            KEY, jnp.asarray(proposals, jnp.float32), jnp.ones(40, bool), alone
        )
        answers = dict(zip(before.rows.tolist(), before.labels.tolist(), strict=True))
        expected = {
            row
            for row in before.rows[before.valid].tolist()
            if answers[row] > 0
            or not slow_on_ignored(
                (*proposals, *objects.boxes)[row], self.BOXES[:2], 0.5
            )
        }
        assert drawn == expected and 1 < len(expected) < len(proposals)
        # Ignored objects are not added to the proposals.
        assert not drawn & {41, 42, 43}
        assert set(targets.labels[targets.valid].tolist()) <= {0, 1}


class TestGoldenRpn:
    """Labels and deltas of the original, whose anchors include their last pixel."""

    @pytest.fixture
    def case(self, golden):
        vectors = np.load(golden / "pieces" / "anchor_target.npz")

        def case(name, options=None, objects=slice(None)):
            image_size = float(vectors[f"{name}__im_info"][0, 0])
            cells = {600.0: 37, 132.0: 8}[image_size]
            base = base_anchors([16, 32, 64, 128, 256, 512], [1], stride=16)
            anchors = grid_anchors(base, rows=cells, columns=cells, stride=16)
            anchors = jnp.asarray(anchors - np.float32([[0, 0, 1, 1]]))
            truth = jnp.asarray(vectors[f"{name}__gt_boxes"])[objects]
            options = options or RpnOptions(size=2 * len(anchors))
            targets = compiled(rpn_targets, options=options, offset=1.0)(
                KEY,
                anchors,
                Objects(
                    truth[:, :4], truth[:, 4].astype(int), jnp.ones(len(truth), bool)
                ),
                jnp.array([image_size, image_size]),
            )
            found = by_anchor(targets, len(anchors))
            if f"{name}__labels" not in vectors:
                return found, None
            labels = vectors[f"{name}__labels"].reshape(6, cells, cells)
            deltas = vectors[f"{name}__bbox_targets"].reshape(6, 4, cells, cells)
            return found, (
                labels.transpose(1, 2, 0).ravel(),
                deltas.transpose(2, 3, 0, 1).reshape(-1, 4),
            )

        return case

    @pytest.mark.parametrize(
        "golden, name",
        [
            ("shipped", "a600_nosampling"),
            ("shipped", "a600_whole_image"),
            ("shipped", "a600_two_identical_gt"),
            ("shipped", "a132_nosampling"),
            ("full", "a600_tiny_gt"),
        ],
        indirect=["golden"],
    )
    def test_every_anchor(self, case, name):
        (labels, deltas), (expected, expected_deltas) = case(name)
        np.testing.assert_array_equal(labels, expected)
        # The original gives deltas to ignored anchors too.
        drawn = labels >= 0
        np.testing.assert_allclose(
            deltas[drawn], expected_deltas[drawn], rtol=1e-5, atol=2e-6
        )

    @pytest.mark.parametrize(
        "golden, name, full",
        [
            ("full", "a600_seed3", "a600_nosampling"),
            ("shipped", "a600_many_fg_seed3", None),
        ],
        indirect=["golden"],
    )
    def test_sample_has_as_many_of_each_label(self, case, name, full):
        (labels, _), (expected, _) = case(name, RpnOptions())
        for label in (0, 1):
            assert (labels == label).sum() == (expected == label).sum()
        if full:
            every, _ = case(full)[0]
            assert ((labels < 0) | (labels == every)).all()

    @SHIPPED
    def test_an_object_that_no_anchor_touches_is_left_out(self, case):
        """The original makes all 116 anchors that overlap nothing positive."""
        (labels, deltas), (original, _) = case("a132_uncovered_corner")
        assert (original == 1).sum() == 116 and (original == 0).sum() == 0
        (expected, expected_deltas), _ = case(
            "a132_uncovered_corner", objects=slice(1, 2)
        )
        np.testing.assert_array_equal(labels, expected)
        positive = labels == 1
        assert positive.any()
        np.testing.assert_array_equal(deltas[positive], expected_deltas[positive])

    @SHIPPED
    def test_no_object(self, case):
        (labels, _), nothing = case("a600_no_gt")
        assert nothing is None  # It raised.
        assert not (labels == 1).any() and (labels == 0).sum() > 5000


@pytest.mark.parametrize(
    "golden, name",
    [
        ("shipped", "p_few"),
        ("shipped", "p_only_gt"),
        ("shipped", "p_far_rois_no_fg_but_gt"),
        ("full", "p_lots_seed3"),
        ("full", "p_lots_batch64_seed3"),
    ],
    indirect=["golden"],
)
def test_golden_proposal_targets(golden, name):
    vectors = np.load(golden / "pieces" / "proposal_target.npz")
    proposals, truth, expected, labels, deltas = (
        vectors[f"{name}__{part}"]
        for part in ("rois_in", "gt_boxes", "rois", "labels", "bbox_targets")
    )
    labels = labels.ravel().astype(int)
    run = functools.partial(head_targets, offset=1.0)
    arguments = (
        KEY,
        jnp.asarray(proposals[:, 1:]),
        jnp.ones(len(proposals), bool),
        Objects(
            jnp.asarray(truth[:, :4]),
            jnp.asarray(truth[:, 4].astype(int)),
            jnp.ones(len(truth), bool),
        ),
    )

    # As many foreground and background rows as the original drew.
    size = int(vectors[f"{name}__batch"])
    _, targets = jax.jit(functools.partial(run, options=HeadOptions(size=size)))(
        *arguments
    )
    assert targets.valid.sum() == len(labels)
    assert (targets.valid & (targets.labels > 0)).sum() == (labels > 0).sum()

    # The boxes that the original drew have the same labels and deltas here.
    every = HeadOptions(size=4 * (len(proposals) + len(truth)))
    rois, targets = jax.jit(functools.partial(run, options=every))(*arguments)
    answers = {
        tuple(roi): (label, delta)
        for roi, label, delta, drawn in zip(
            rois.tolist(), *(np.asarray(part) for part in targets[1:]), strict=True
        )
        if drawn
    }
    for roi, label, delta in zip(expected[:, 1:].tolist(), labels, deltas, strict=True):
        found, found_delta = answers[tuple(roi)]
        assert found == label
        if label:
            own = delta.reshape(-1, 4)[label] * [0.1, 0.1, 0.2, 0.2]
            np.testing.assert_allclose(found_delta, own, rtol=1e-5, atol=1e-6)
