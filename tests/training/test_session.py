"""What a training session decides before it trains."""

import dataclasses

import numpy as np
import pytest

from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.labels import RGZ_CLASSES
from claran.simulation.endless import SimulatedFields
from claran.simulation.observation import FIRST, FIRST_WIDE
from claran.simulation.populations import BALANCED
from claran.training import session as sessions
from claran.training import session_inputs
from claran.training.recipes import FINE_TUNING, RECIPES
from claran.training.run_record import TrainingError
from claran.training.session import TrainingSession, train_detector


def field_of(shape, objects=1):
    """Returns a blank picture of a size with so many objects."""
    found = Objects(
        boxes=np.tile(np.float32([2, 2, 8, 8]), (objects, 1)),
        labels=np.ones(objects, np.int32),
        ignored=np.zeros(objects, bool),
    )
    picture = np.zeros((*shape, 3), np.uint8)
    return Field(f"f{shape[0]}", picture=picture, objects=found)


class TestStart:
    @pytest.mark.parametrize(
        "model, start, expected",
        [
            ("claran_v1", "auto", "random"),
            ("claran_v1", "pretrained", "pretrained"),
            ("claran_first", "random", "random"),
            ("claran_v0.1", "auto", "imagenet"),
            ("claran_v0.1", "random", "random"),
            ("my.keras", "auto", "pretrained"),
        ],
    )
    def test_initial_weights(self, tmp_path, model, start, expected):
        session = TrainingSession(output=tmp_path, model=model, start=start)
        assert session.initial_weights == expected

    @pytest.mark.parametrize(
        "model, start, message",
        [
            ("claran_first", "imagenet", "claran_first has no VGG16; give --start=pre"),
            ("claran_v0.1", "pretrained", "claran_v0.1 has no trained weights"),
            ("my.keras", "pretrained", r"\(claran_v0.1, claran_first, claran_v1\); my"),
            (
                "my.keras",
                "imagenet",
                "my.keras has its own weights: leave",
            ),
            ("my.keras", "random", "--start=random is for a preset"),
        ],
    )
    def test_starts_that_make_no_sense(self, tmp_path, model, start, message):
        with pytest.raises(TrainingError, match=message):
            TrainingSession(output=tmp_path, model=model, start=start)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"start": "vgg"}, "`start` must be one of auto, .*, random, got 'vgg'"),
        ({"precision": "half"}, "`precision` must be one of float32, bfloat16, got 'h"),
        ({"nms_threshold": 30}, r"`nms_threshold` must be in \[0, 1\], got 30"),
        ({"rpn_nms_threshold": -0.1}, r"`rpn_nms_threshold` must be in .* got -0\.1"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"learning_rate": 0}, r"`learning_rate` must be in \(0, 10\), got 0"),
    ],
)
def test_nonsense(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSession(output=tmp_path, **change)


class TestRecipe:
    @pytest.mark.parametrize(
        "model, start, recipe",
        [
            ("claran_v1", "auto", RECIPES["claran_v1"]),
            ("claran_v0.1", "auto", RECIPES["claran_v0.1"]),
            ("claran_first", "pretrained", FINE_TUNING),
            ("my.keras", "auto", FINE_TUNING),
        ],
    )
    def test_is_the_models_own(self, tmp_path, model, start, recipe):
        session = TrainingSession(output=tmp_path, model=model, start=start)
        assert session.recipe == recipe

    def test_what_is_given_takes_its_place(self, tmp_path):
        given = {"steps": 7, "batch_size": 3, "learning_rate": 0.5}
        for name, value in given.items():
            session = TrainingSession(output=tmp_path, **{name: value})
            expected = dataclasses.replace(RECIPES["claran_v1"], **{name: value})
            assert session.recipe == expected
        both = TrainingSession(output=tmp_path, model="claran_v0.1", **given)
        assert both.recipe == dataclasses.replace(RECIPES["claran_v0.1"], **given)


DROP = repr(DropInfrared(probability=0.5))
MOVE = [repr(Move(shift=8)), repr(AddNoise())]


class TestAugmentation:
    @pytest.fixture
    def augmentation(self, tiny_channels, narrow, labelled):
        models = {
            "channels": tiny_channels(),
            "scaled": tiny_channels(),
            "picture": narrow(),
        }
        scaled = Channels(beam_pixels=None, image_size=64)
        models["scaled"].preprocessor = scaled
        sources = {
            "labelled": labelled,
            "pictures": dataclasses.replace(labelled, has_radio=False),
            "endless": SimulatedFields(2),
        }

        def choose(recipe, model, source):
            chosen = session_inputs.choose_augmentation(
                RECIPES[recipe], models[model], sources[source]
            )
            return [repr(transform) for transform in chosen]

        return choose

    @pytest.mark.parametrize("source", ["labelled", "pictures", "endless"])
    def test_the_originals(self, augmentation, source):
        expected = [repr(Move(flip=0.5, step=360))]
        assert augmentation("claran_v0.1", "picture", source) == expected

    @pytest.mark.parametrize("model", ["channels", "picture"])
    def test_pictures_turn_by_right_angles(self, augmentation, model):
        expected = [repr(Move(shift=8, step=90))]
        assert augmentation("claran_first", model, "pictures") == expected

    @pytest.mark.parametrize(
        "model, more", [("channels", [DROP]), ("scaled", [DROP]), ("picture", [])]
    )
    def test_radio_images(self, augmentation, model, more):
        found = augmentation("claran_first", model, "labelled")
        assert found == [*MOVE, *more]
        # Fields that never come twice are not moved.
        assert augmentation("claran_first", model, "endless") == more


class TestSize:
    """Rows and columns of the batches' images."""

    @pytest.fixture
    def size(self):
        return lambda model, source: session_inputs.find_image_size(
            model, source, slots=4, tell=print
        )

    def test_channels_are_as_large_as_the_largest_field(
        self, size, tiny_channels, make_labelled
    ):
        small, wide = (
            SimulatedFields(1, population=BALANCED, surveys=(survey,))[0]
            for survey in (FIRST, FIRST_WIDE)
        )
        for fields in ([small, wide], [wide, small]):
            rows, columns = size(tiny_channels(), make_labelled(fields))
            scene = tiny_channels().preprocessor(wide)
            assert rows % 16 == columns % 16 == 0
            assert rows >= scene.shape[0] > rows - 16
            assert columns >= scene.shape[1] > columns - 16

    def test_rows_and_columns_apart(self, size, tiny_channels, make_labelled):
        simulated = SimulatedFields(1, population=BALANCED)[0]

        def cut(rows, columns):
            values = np.ascontiguousarray(simulated.image.values[:rows, :columns])
            return simulated.replace(
                image=dataclasses.replace(simulated.image, values=values)
            )

        model = tiny_channels(beam_pixels=simulated.beam_pixels)
        fields = [cut(70, 20), cut(30, 100)]
        assert size(model, make_labelled(fields)) == (80, 112)

    def test_endless_fields_are_of_few_sizes(self, size, tiny_channels):
        """Of many, the first are looked at."""
        surveys = (FIRST, FIRST_WIDE)
        few = SimulatedFields(4, population=BALANCED, surveys=surveys)
        many = SimulatedFields(10**9, population=BALANCED, surveys=surveys)
        assert size(tiny_channels(), many) == size(tiny_channels(), few)

    def test_pictures_are_of_one_size(self, size, narrow, make_labelled):
        fields = [field_of((20, 30)), field_of((100, 50))]
        assert size(narrow(), make_labelled(fields, has_radio=False)) == (64, 64)

    def test_more_objects_than_slots(self, size, narrow, make_labelled):
        source = make_labelled([field_of((20, 20), 4), field_of((21, 20), 5)])
        message = "f21: has 5 objects, more than --slots=4; give --slots=5"
        with pytest.raises(TrainingError, match=message):
            size(narrow(), source)
        assert size(narrow(), make_labelled(source.fields[:1])) == (64, 64)


def test_too_many_objects_are_found_before_anything_is_written(
    tmp_path, d1_path, make_labelled
):
    session = TrainingSession(output=tmp_path / "run", model=str(d1_path), slots=2)
    source = make_labelled([field_of((20, 20), 3)], has_radio=False)
    message = "f20: has 3 objects, more than --slots=2; give --slots=3"
    with pytest.raises(TrainingError, match=message):
        train_detector(session, source)
    assert not session.output.exists()


def test_starts_from_imagenet(narrow, tmp_path, monkeypatch):
    """Where the recipe asks for it."""
    started = []
    monkeypatch.setattr(sessions, "start_from_imagenet", started.append)
    monkeypatch.setitem(sessions.PRESETS, "claran_v0.1", narrow)
    for start in ("random", "auto"):
        session = TrainingSession(output=tmp_path, model="claran_v0.1", start=start)
        model = sessions._model(session, RGZ_CLASSES, print)
    assert started == [model.network]
