"""The kinds `annotations` and `tables`: damaged labels and detections."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from claran.catalog.tables import detection_table, write_table
from claran.data.sources import open_source
from claran.detection.classical_engine import ClassicalEngine
from claran.detection.detections import Detections
from claran.evaluation.gallery import Shown
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.output import write_detections
from claran.evaluation.prediction_files import read_predictions
from claran.evaluation.running import evaluate_detector, evaluate_predictions
from claran.fields.objects import Objects
from fuzzing import tools
from fuzzing.damage import Rng, damage_bytes, damage_cards, pick
from fuzzing.sense import Case, Nonsense, check_detections, check_field
from fuzzing.text_damage import damage_json, damage_rows, damage_xml

FEW = EvaluationOptions(score_threshold=0.5, resample_count=5)
VOC = """<annotation><folder>VOC</folder><filename>{0}.png</filename><size><width>64\
</width><height>64</height><depth>3</depth></size><object><name>2_2</name><pose>\
Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox><xmin>20\
</xmin><ymin>26</ymin><xmax>38</xmax><ymax>39</ymax></bndbox></object><object><name>\
1_1</name><difficult>1</difficult><bndbox><xmin>47</xmin><ymin>49</ymin><xmax>54</xmax>\
<ymax>56</ymax></bndbox></object></annotation>"""
RESULTS = "field0 0.9 20.0 26.0 38.0 39.0\nfield1 0.8 20.0 26.0 38.0 39.0\n"


def _coco() -> str:
    images = [
        {"id": i, "file_name": f"field{i}.png", "height": 64, "width": 64}
        for i in (1, 2)
    ]
    categories = [{"id": i, "name": n} for i, n in enumerate(tools.CLASSES, 1)]
    annotations = [
        {"id": i, "image_id": i, "category_id": 4, "bbox": [19, 25, 19, 14],
         "area": 266, "iscrowd": i % 2, "num_keypoints": 1, "keypoints": [30, 32, 2]}
        for i in (1, 2)
    ]  # fmt: skip
    parts = {"images": images, "categories": categories, "annotations": annotations}
    return json.dumps(parts)


def make_annotations(rng: Rng) -> Case:
    """Returns a folder of fields whose labels are damaged."""
    how = pick(rng, ("csv", "csv", "coco", "voc", "voc", "lists"))
    picture = tools.picture(".png")
    if how == "csv":
        data, note = _damaged(rng, tools.LABELS, damage_rows, ",")
        files = {"annotations.csv": data, **tools.good_fields()}
    elif how == "coco":
        data, note = _damaged(rng, _coco(), damage_json)
        files = {"labels.json": data, "field1.png": picture, "field2.png": picture}
    else:
        names = "field1", "field2"
        files = {f"Annotations/{n}.xml": VOC.format(n).encode() for n in names}
        files |= {f"JPEGImages/{n}.png": picture for n in names}
        for stem, name in zip(("train", "test"), names, strict=True):
            files[f"ImageSets/Main/{stem}.txt"] = f"{name}\n".encode()
        damaged = (
            "Annotations/field1.xml" if how == "voc" else "ImageSets/Main/test.txt"
        )
        text = files[damaged].decode()
        data, note = (
            _damaged(rng, text, damage_xml) if how == "voc"
            else _damaged(rng, text, damage_rows, " ")
        )  # fmt: skip
        files[damaged] = data
    return Case(files=files, note=f"{how}: {note}", how=how)


def _damaged(rng: Rng, text: str, damage: Any, *more: Any) -> tuple[bytes, str]:
    """Returns a text with damage to its structure, or now and then to its bytes."""
    if rng.random() < 0.2:
        return damage_bytes(rng, text.encode())
    return damage(rng, text, *more)


def try_annotations(case: Case, folder: Path) -> None:
    """Opens labelled fields, reads each, and evaluates the classical finder on them."""
    data, output = folder / "data", folder / "out" / "deep" / "er"
    tools.write(dict(case.files), data)
    path = data / "labels.json" if case.how == "coco" else data
    for split in ("train", "all"):
        try:
            source = open_source(path, split)
        except (ValueError, OSError):
            if split == "all":
                raise
            continue
        fields = [source[number].measure() for number in range(len(source))]
        for field in fields:
            check_field(field, len(source.class_names))
    str(source.report)
    if source.has_radio:
        engine = ClassicalEngine(source.class_names)
        json.dumps(
            evaluate_detector(engine, source, options=FEW, tell=tools.ignore).to_json()
        )
    found = [_as_detections(field.objects) for field in fields]
    shown = Shown(source, None, fields, found, source.class_names)
    write_detections(output, shown)
    _check_places(folder, output, {data / name for name in case.files})


def _as_detections(objects: Objects) -> Detections:
    own = objects.labels > 0
    return Detections(
        boxes=objects.boxes[own].astype(np.float64),
        labels=objects.labels[own].astype(np.int64),
        scores=np.ones(int(own.sum())),
    )


def _check_places(folder: Path, output: Path, own: set[Path]) -> None:
    """Checks that files were written to the output alone."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in own and output not in path.parents:
            raise Nonsense(f"wrote outside of the output: {path.relative_to(folder)}")


def make_tables(rng: Rng) -> Case:
    """Returns a damaged file of detections."""
    how = pick(rng, (".csv", ".csv", ".ecsv", ".ecsv", ".fits", ".vot", ".json",
                     ".json", "voc"))  # fmt: skip
    if how == "voc":
        data, note = _damaged(rng, RESULTS, damage_rows, " ")
        return Case(files={"found/2_2.txt": data}, note=f"VOC: {note}", how="found")
    good = _good_table(how)
    if how == ".fits":
        data, note = (damage_cards if rng.random() < 0.7 else damage_bytes)(rng, good)
    elif how == ".json":
        data, note = _damaged(rng, good.decode(), damage_json)
    elif how == ".vot":
        data, note = _damaged(rng, good.decode(), damage_xml)
    else:
        separator = "," if how == ".csv" else " "
        data, note = _damaged(rng, good.decode(), damage_rows, separator)
    return Case(files={f"found{how}": data}, note=note, how=f"found{how}")


def _good_table(ending: str) -> bytes:
    if ending == ".json":
        return json.dumps(
            [{"image_id": i, "category_id": 4, "bbox": [19, 25, 19, 14], "score": 0.9}
             for i in (1, 2)]
        ).encode()  # fmt: skip
    table = detection_table(
        ["field0", "field1.fits", "field2"], ["2_2", "2_2", "1_1"],
        np.array([0.9, 0.8, 0.7]),
        np.array([[19, 25, 38, 39], [19, 25, 38, 39], [46, 8, 54, 16.0]]),
        columns={"ra": np.full(3, 180.0), "dec": np.full(3, 30.0),
                 "width": np.full(3, 30.0), "height": np.full(3, 20.0)},
        meta={"CLARAN": "0.1", "MODEL": "claran_first"},
    )  # fmt: skip
    if ending == ".vot":  # As text, so that cells can be damaged.
        file = io.BytesIO()
        for name in ("ra", "dec"):
            table[name] = 180.0
        table.remove_column("center")
        table.write(file, format="votable", tabledata_format="tabledata")
        return file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"found{ending}")
        write_table(table, path)
        return path.read_bytes()


def try_table(case: Case, folder: Path) -> None:
    """Evaluates detections that are damaged."""
    tools.write(dict(case.files), folder)
    path, source, told = folder / case.how, tools.labelled(), []
    fields = [source[number] for number in range(len(source))]
    found = read_predictions(path, fields, source.class_names)
    straight = [check_detections(one) for one in found.fields]
    evaluation = evaluate_predictions(path, source, options=FEW, tell=told.append)
    json.dumps(evaluation.to_json(), allow_nan=False)
    evaluation.table()
    if not all(straight) and not told:
        raise Nonsense("reversed boxes were taken and nothing was said")
