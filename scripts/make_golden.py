"""Makes `tests/golden`: the part of the original ClaRAN's vectors that ships.

The full set was made by running the statements of the original ClaRAN
(chenwuperth/rgz_rcnn, b526c23) with TensorFlow. The files made here have its paths and
keys, so that the same tests read both. The numbers are the original's own, except in:

- `detect/narrow_weights.npz`: conv3_2 to conv5_3 and the hidden convolution of the RPN
  are rounded to 8 bits a weight. Of fc6, fc7 and bbox_pred only a few units are kept.
- `fuse/FIRSTJ1.fits`: noise below three sigma is rounded, such that median, MAD and all
  contours stay the same. The points of the contours are rounded to 1e-4 px, and the
  infrared picture is gray far from them.

So each stage of the network is checked by itself, from the original's input to that
stage. From the picture to conv3_1, the outputs of the RPN, proposals, samples, one unit
of fc6, two of fc7, all scores, four of 28 box deltas and the final detections agree as
closely as with the full set. Between conv3_1 and the outputs of the RPN the rounded
weights allow a difference of 8 percent of the largest activation.

Only the full set covers: the whole network at once, and at 600 px; gradients of the
training step and of the box loss; draws among 1,860 proposals; NMS of more than 200
boxes; detections without tied scores; sampling of a 37 x 37 map; infrared pictures of
another size; radio images without contours.
"""

import fnmatch
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import app, flags

Arrays = dict[str, np.ndarray]

IMAGE = "narrow_s132_132_0"
FIELD = 1  # FIRSTJ1 has four components, and blank pixels that leave contours open.

# Which keys of which file: patterns of `fnmatch`; "!" takes keys away again.
CHOSEN = {
    "pieces/anchors": "*",
    "pieces/bbox_overlaps": "*",
    "pieces/boxes": "transform_f4* inv_f4* clip*",
    "pieces/nms": "set0[23457]__* set10__* set14__* !*nms_new*",
    "pieces/anchor_target": "a132_* a600_[!s]* !a600_tiny* !*_weights !*size !*seed",
    "pieces/proposal_target": "p_few__* p_only_gt__* p_far_* !*_weights !*seed",
    "pieces/st_pool": "s132__* !*closed_form !*sample_?",
    "pieces/transformer": "plain__*",
    "pieces/losses": "curve_*",
    f"detect/{IMAGE}": "image im_info layer_* conv5_3 anchors scores_all *__rois "
    "rpn_conv__3x3 rpn_cls_score rpn_bbox_pred test__fc? test__cls_* test__bbox_pred "
    "test__boxes test__test_dets_*",
    "train/narrow_step_s132": "rpn_cls_score rpn_bbox_pred cls_score bbox_pred "
    "rpn_loss_* loss_* *_data__labels *_data__bbox_targets",
    "voc/expected": "dets__*",
    "fuse/expected": f"sigma_{FIELD} mask_{FIELD} masked_ir_{FIELD} ir_{FIELD} "
    f"fused_D[34]_{FIELD}",
}
EXACT = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
EXACT += ("rpn_cls_score", "rpn_bbox_pred", "cls_score")
ROUNDED = ("conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3")
ROUNDED += ("conv5_1", "conv5_2", "conv5_3", "rpn_conv/3x3")
COLUMNS = {"fc6": [37], "fc7": [0, 255], "bbox_pred": [4, 7, 26, 27]}


def main(_: list[str]) -> None:
    """Writes every file anew, and prints their total size."""
    source, output = Path(flags.FLAGS.source), Path(flags.FLAGS.output)
    total = sum(
        write(output / f"{name}.npz", arrays) for name, arrays in shipped(source)
    )
    print(f"{output}: {total:,} bytes")  # noqa: T201 - what the user came for.


def shipped(source: Path) -> Iterator[tuple[str, Arrays]]:
    """Yields the path of each file, without its ending, and what it is to hold."""
    for name, patterns in CHOSEN.items():
        arrays = chosen(source / f"{name}.npz", patterns.split())
        arrays = {key: part(name, key, array) for key, array in arrays.items()}
        if name == "fuse/expected":
            blank_far_from_sources(arrays)
        yield name, about(f"From {name}.npz: {patterns}.") | arrays
    yield "detect/narrow_weights", narrow_weights(source / "ckpt_narrow")
    yield "voc/files", packed(source / "voc", voc_files(source / "voc"))
    yield "fuse/files", packed(source / "fuse", fuse_files(source / "fuse"))


def chosen(path: Path, patterns: Sequence[str]) -> Arrays:
    """Returns the arrays of a file whose keys match a pattern."""
    wanted = [pattern for pattern in patterns if pattern[0] != "!"]
    without = [pattern[1:] for pattern in patterns if pattern[0] == "!"]
    matches = lambda key, some: any(fnmatch.fnmatchcase(key, one) for one in some)
    with np.load(path, allow_pickle=False) as arrays:
        return {
            key: arrays[key]
            for key in arrays.files
            if matches(key, wanted) and not matches(key, without)
        }


def about(text: str) -> Arrays:
    """Returns the array that says what a file holds."""
    return {"about": np.array(f"{text} See scripts/make_golden.py.")}


def part(name: str, key: str, array: np.ndarray) -> np.ndarray:
    """Returns the rows or channels of an array that ship."""
    if name == "pieces/boxes" and key.startswith("inv"):
        return array[:24]
    if name == "pieces/st_pool" and array.ndim == 4:
        return array[..., :1]
    return array


def narrow_weights(folder: Path) -> Arrays:
    """Returns weights of the narrow network; for which of them see above."""
    weights = read_checkpoint(folder)
    arrays = about("Of ckpt_narrow; NAME/weights = NAME/rounded * NAME/step.")
    for name in (*EXACT, *ROUNDED, *COLUMNS):
        kernel, bias = weights[f"{name}/weights"], weights[f"{name}/biases"]
        if name in ROUNDED:
            step = np.abs(kernel).max() / np.float32(127)
            arrays[f"{name}/step"] = step
            arrays[f"{name}/rounded"] = np.rint(kernel / step).astype(np.int8)
        else:
            columns = COLUMNS.get(name, slice(None))
            arrays[f"{name}/weights"] = kernel[..., columns]
            bias = bias[columns]
        arrays[f"{name}/biases"] = bias
        if name in COLUMNS:
            arrays[f"{name}/columns"] = np.array(COLUMNS[name])
    return arrays


def read_checkpoint(folder: Path) -> Arrays:
    """Reads a TensorFlow 1 checkpoint without TensorFlow, with the list beside it.

    The data file is the variables one after another, ordered by name.

    Raises:
        ValueError: A variable has another sum of absolute values than the list says.
    """
    (path,) = folder.glob("*.data-00000-of-00001")
    rest = np.fromfile(path, "<f4")
    weights = {}
    for line in (folder / "VARIABLES.txt").read_text().splitlines():
        name, sides, _, _, absolute = line.split("\t")
        shape = json.loads(sides)
        values, rest = np.split(rest, [np.prod(shape)])
        weights[name] = values.reshape(shape)
        expected = float(absolute.removeprefix("sumabs="))
        found = np.abs(values.astype(np.float64)).sum()
        if not abs(found - expected) < 1e-6 * expected:
            raise ValueError(
                f"{path}: the absolute values of {name} add up to {found}, but "
                f"VARIABLES.txt says {expected}; take both from the same set."
            )
    return weights


def voc_files(folder: Path) -> dict[str, bytes]:
    """Returns annotations, detections with tied scores, and their expected AP."""
    paths = [*folder.glob("Annotations/*.xml"), *folder.glob("dets/*.txt")]
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted([*paths, folder / "imageset.txt"])
    }
    expected = json.loads((folder / "expected.json").read_text())["ap"]["dets"]
    return files | {"expected.json": json.dumps({"ap": {"dets": expected}}).encode()}


def fuse_files(folder: Path) -> dict[str, bytes]:
    """Returns one radio image and its contours."""
    name = f"FIRSTJ{FIELD}_contours_sigma5.json"
    contours = json.loads((folder / name).read_text())
    for line in (line for component in contours["components"] for line in component):
        line["arr"] = np.round(line["arr"], 4).tolist()
    return {
        f"FIRSTJ{FIELD}.fits": round_noise(
            (folder / f"FIRSTJ{FIELD}.fits").read_bytes()
        ),
        name: json.dumps(contours, separators=(",", ":")).encode(),
    }


def round_noise(fits: bytes) -> bytes:
    """Rounds the noise of a square FITS image, to a quarter of sigma or finer.

    Kept as they are: blank pixels, all within two pixels of 3 sigma, which contours of
    4 sigma and more depend on, and those that decide the median and the MAD. No other
    pixel crosses the median or median +- MAD, so that neither changes.
    """
    header, side = 2880, 132
    values = np.frombuffer(fits, ">f4", side * side, header).reshape(side, side)
    values = values.astype(np.float32)
    median = np.nanmedian(values)
    mad = np.nanmedian(np.abs(values - median))
    sigma = 1.4826 * mad
    step = 2.0 ** np.floor(np.log2(sigma / 4))
    exact = grown(values > 3 * sigma, 2) | np.isnan(values)
    down, up = np.floor(values / step) * step, np.ceil(values / step) * step
    rounded = np.where(values - down < up - values, down, up)
    for limit in (median - mad, median, median + mad):
        exact |= np.abs(values - limit) < 1e-3 * sigma
        crossed = (values < limit) != (rounded < limit)
        rounded = np.where(crossed, np.where(values < limit, down, up), rounded)
    rounded = np.where(exact, values, rounded).astype(">f4")
    return fits[:header] + rounded.tobytes() + fits[header + rounded.nbytes :]


def blank_far_from_sources(arrays: Arrays) -> None:
    """Makes infrared pixels away from the sources gray: D3 shows them as they are.

    Raises:
        ValueError: Something is drawn there.
    """
    infrared, drawn = arrays[f"ir_{FIELD}"], arrays[f"fused_D3_{FIELD}"]
    far = ~grown(arrays[f"mask_{FIELD}"] > 0, 4)
    # Matplotlib moved the pictures up by a row. Their last row is white, and half of
    # their first column lies over the border.
    if (drawn[:-1, 1:] != infrared[1:, 1:])[far[1:, 1:]].any():
        raise ValueError(f"fused_D3_{FIELD} has lines more than 4 px off the mask.")
    infrared[far] = drawn[:-1][far[1:]] = 128


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Returns a mask grown by so many pixels in all eight directions."""
    padded = np.pad(mask, pixels)
    windows = np.lib.stride_tricks.sliding_window_view(padded, [2 * pixels + 1] * 2)
    return np.asarray(windows.any(axis=(2, 3)))


def packed(folder: Path, files: dict[str, bytes]) -> Arrays:
    """Returns files one after another: their names, their sizes, their bytes."""
    return about(f"Files of {folder.name}/, one after another.") | {
        "names": np.array(list(files)),
        "sizes": np.array([len(content) for content in files.values()]),
        "content": np.frombuffer(b"".join(files.values()), np.uint8),
    }


def write(path: Path, arrays: Arrays) -> int:
    """Writes what `np.savez_compressed` would, with a fixed time; returns its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return path.stat().st_size


if __name__ == "__main__":
    flags.DEFINE_string("source", None, "Folder of the full set.", required=True)
    flags.DEFINE_string("output", "tests/golden", "Folder to write into.")
    app.run(main)
