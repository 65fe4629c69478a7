"""Times the network and its parts beside their peers, in turn within one run.

  python scripts/benchmark.py                      # prints the tables
  python scripts/benchmark.py --output=BENCHMARKS.md

PyTorch and torchvision are measured beside ours where they are installed. What counts
are the ratios: all of a table is timed in turn, round by round, so that a machine that
slows down slows all of them.
"""

import datetime
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from claran import accelerator
from claran.detection.engine import Engine
from claran.detection.presets import claran_v01
from claran.fields.field import Field
from claran.io.atomic import replace_file
from claran.ops.nms import nms
from claran.ops.sampler import sample_rois

flags.DEFINE_enum("accelerator", "auto", accelerator.ACCELERATORS, "Where to compute.")
flags.DEFINE_integer("rounds", 11, "Times that each thing is timed.", lower_bound=1)
flags.DEFINE_list("batches", None, "Batch sizes; default 1,8 on a CPU, else 1,8,32.")
flags.DEFINE_multi_enum(
    "table",
    ["network", "sampler", "nms"],
    ["network", "sampler", "nms"],
    "What to time.",
)
flags.DEFINE_bool("keep_freed_memory", True, "As claran's command line does on CPUs.")
flags.DEFINE_string("output", None, "Markdown file to write; printed in any case.")
FLAGS = flags.FLAGS

SIZE = 600  # Pixels: ClaRAN's input.
CELLS, CHANNELS, ROIS, SAMPLES = 37, 512, 128, 7
CANDIDATES, KEPT = 6000, 300
TURN_SECONDS = 0.1

Task = Callable[[], Any]


def main(_: list[str]) -> None:
    """Runs the tables."""
    device = accelerator.use_accelerator(
        FLAGS.accelerator, keep_freed_memory=FLAGS.keep_freed_memory
    )
    on_cpu = device.platform == "cpu"
    parts = [_heading(device)] if FLAGS.keep_freed_memory else []
    if "network" in FLAGS.table:
        batches = [int(n) for n in FLAGS.batches or ([1, 8] if on_cpu else [1, 8, 32])]
        for precision in ["float32"] if on_cpu else ["float32", "bfloat16"]:
            parts.append(network(batches, precision, peers=on_cpu))
    if "sampler" in FLAGS.table:
        parts.append(sampler(peers=on_cpu))
        if on_cpu and FLAGS.keep_freed_memory:
            parts.append(_sampler_with_fresh_memory())
    if "nms" in FLAGS.table:
        parts.append(suppression(peers=on_cpu))
    text = "\n".join(parts)
    if FLAGS.output:
        replace_file(Path(FLAGS.output), lambda path: path.write_text(text, "utf-8"))
    print(text)  # noqa: T201


def _sampler_with_fresh_memory() -> str:
    """Times the sampler in a process that leaves glibc's settings alone."""
    command = [sys.executable, __file__, "--table=sampler", "--nokeep_freed_memory"]
    command += [f"--rounds={FLAGS.rounds}", f"--accelerator={FLAGS.accelerator}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def network(batches: list[int], precision: str, *, peers: bool) -> str:
    """Times ClaRAN v0.1 end to end against its own convolutions and PyTorch's."""
    import keras  # noqa: PLC0415 - after claran, which selects its backend

    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    keras.config.set_dtype_policy(policy)
    model = claran_v01()
    keras.config.set_dtype_policy("float32")
    features = model.network.backbone
    backbone = jax.jit(features.stateless_call)
    values = [
        [variable.value for variable in variables]
        for variables in (
            features.trainable_variables,
            features.non_trainable_variables,
        )
    ]
    rng = np.random.default_rng(0)
    rows = []
    for batch in batches:
        pictures = rng.integers(0, 256, (batch, 132, 132, 3), np.uint8)
        fields = [Field("", picture=picture) for picture in pictures]
        engine = Engine(model, batch_size=batch)
        images = jax.device_put(rng.uniform(0, 255, (batch, SIZE, SIZE, 3)))
        images = images.astype("float32")
        tasks: dict[str, Task] = {
            "convolutions of VGG16": lambda: backbone(*values, images),  # noqa: B023
            "end to end": lambda: list(
                engine.detect(fields, score_threshold=0.05)  # noqa: B023
            ),
        }
        if peers and batch == 1 and _has_torch():
            tasks["PyTorch's VGG16 convolutions"] = _torch_vgg16()
        seconds = _time(tasks)
        own = seconds["end to end"]
        flops = batch * _vgg16_flops()
        speed = flops / seconds["convolutions of VGG16"] / 1e12
        for name, value in seconds.items():
            ratio = own / value
            rows.append(
                f"| {batch} | {name} | {1e3 * value / batch:.1f} | "
                f"{batch / value:.2f} | {ratio:.2f} |"
            )
        rows.append(f"| {batch} | (convolutions: {speed:.2f} TFLOP/s) | | | |")
    peak = _matmul_flops(precision)
    return "\n".join(
        [
            f"## Network, {SIZE} px, {precision}",
            "",
            "Picture of 132 px in, detections out. Floor: the convolutions do "
            f"{_vgg16_flops() / 1e9:.0f} GFLOP an image; a large matrix product runs "
            f"at {peak / 1e12:.2f} TFLOP/s here.",
            "",
            "| batch | what | ms/image | images/s | end to end / this |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def sampler(*, peers: bool) -> str:
    """Times the RoI sampler and its gradient."""
    rng = np.random.default_rng(0)
    shape = (CELLS, CELLS, CHANNELS)
    features = jnp.asarray(rng.normal(size=shape), jnp.float32)
    corner = rng.uniform(0, SIZE - 100, (ROIS, 2))
    sides = rng.uniform(30, 250, (ROIS, 2))
    rois = jnp.asarray(
        np.concatenate([corner, np.minimum(corner + sides, SIZE)], axis=1), jnp.float32
    )
    cotangent = jnp.asarray(
        rng.normal(size=(ROIS, SAMPLES, SAMPLES, CHANNELS)), jnp.float32
    )

    def ours(features: Any, rois: Any) -> Any:
        return sample_rois(features, rois, size=SAMPLES, stride=16)

    def gradient(of: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(lambda f, r, c: jax.vjp(lambda x: of(x, r), f)[1](c)[0])

    forward, plain = jax.jit(ours), jax.jit(_plain_sampler)
    batched = jax.jit(jax.vmap(ours))
    ours_back, plain_back = gradient(ours), gradient(_plain_sampler)
    np.testing.assert_allclose(
        forward(features, rois), plain(features, rois), atol=1e-4
    )
    np.testing.assert_allclose(
        ours_back(features, rois, cotangent),
        plain_back(features, rois, cotangent),
        atol=1e-3,
    )
    eight = jnp.stack([features] * 8), jnp.stack([rois] * 8)
    tasks: dict[str, Task] = {
        "forward": lambda: forward(features, rois),
        "forward, eight images, each": lambda: batched(*eight),
        "backward": lambda: ours_back(features, rois, cotangent),
        "backward, plain autodiff": lambda: plain_back(features, rois, cotangent),
    }
    if peers and _has_torch():
        tasks |= _torch_roi_align(*map(np.asarray, (features, rois, cotangent)))
    seconds = _time(tasks)
    seconds["forward, eight images, each"] /= 8
    return _table(
        f"RoI sampler, {ROIS} RoIs of {SAMPLES} x {SAMPLES} on {CELLS} x {CELLS} x "
        f"{CHANNELS}"
        + ("" if FLAGS.keep_freed_memory else ", with glibc's memory settings"),
        seconds,
        lambda name: "backward" if name.startswith("backward") else "forward",
    )


def suppression(*, peers: bool) -> str:
    """Times non-maximum suppression."""
    rng = np.random.default_rng(0)
    center = rng.uniform(0, SIZE, (CANDIDATES, 2))
    sides = rng.lognormal(4, 0.7, (CANDIDATES, 2))
    boxes = np.clip(
        np.concatenate([center - sides / 2, center + sides / 2], 1), 0, SIZE
    )
    boxes = jnp.asarray(boxes, jnp.float32)
    scores = jnp.asarray(rng.random(CANDIDATES), jnp.float32)

    def ours(boxes: Any, scores: Any) -> Any:
        return nms(boxes, scores, threshold=0.7, max_outputs=KEPT)

    single, batched = jax.jit(ours), jax.jit(jax.vmap(ours))
    eight = jnp.stack([boxes] * 8), jnp.stack([scores] * 8)
    tasks: dict[str, Task] = {
        "ours": lambda: single(boxes, scores),
        "ours, eight images, each": lambda: batched(*eight),
    }
    if peers and _has_torch():
        torch, torchvision = _torch()

        tensors = torch.tensor(np.asarray(boxes)), torch.tensor(np.asarray(scores))
        found = torchvision.ops.nms(*tensors, 0.7)[:KEPT].numpy()
        np.testing.assert_array_equal(single(boxes, scores)[0], found)
        tasks["torchvision"] = lambda: torchvision.ops.nms(*tensors, 0.7)[:KEPT]
    seconds = _time(tasks)
    seconds["ours, eight images, each"] /= 8
    return _table(f"NMS, {CANDIDATES} boxes to {KEPT}", seconds, lambda _: "ours")


def _plain_sampler(features: Any, rois: Any) -> Any:
    """The same samples as anyone would write them, left to autodiff."""
    bins = (jnp.arange(SAMPLES) + 0.5) / SAMPLES
    last = CELLS - 1

    def axis(low: Any, high: Any) -> tuple[Any, Any]:
        place = jnp.clip((low + (high - low) * bins) / 16 - 0.5, 0, last)
        cell = jnp.minimum(jnp.floor(place), last - 1).astype(int)
        return cell, place - cell

    x, u = axis(rois[:, 0:1], rois[:, 2:3])
    y, v = axis(rois[:, 1:2], rois[:, 3:4])
    y, v, x, u = y[:, :, None], v[:, :, None, None], x[:, None], u[:, None, :, None]
    upper = features[y, x] * (1 - u) + features[y, x + 1] * u
    lower = features[y + 1, x] * (1 - u) + features[y + 1, x + 1] * u
    return upper * (1 - v) + lower * v


def _torch_vgg16() -> Task:
    torch, torchvision = _torch()

    # In its own layout and channels last; the faster one counts.
    layers = torchvision.models.vgg16().features[:30].eval()
    image = torch.rand(1, 3, SIZE, SIZE)
    last = torch.channels_last

    def run() -> Any:
        with torch.inference_mode():
            return layers(image)

    default = _time({"default": run}, rounds=3)["default"]
    layers, image = layers.to(memory_format=last), image.to(memory_format=last)
    if _time({"last": run}, rounds=3)["last"] > default:
        contiguous = torch.contiguous_format
        layers = layers.to(memory_format=contiguous)
        image = image.to(memory_format=contiguous)
    return run


def _torch_roi_align(features: Any, rois: Any, cotangent: Any) -> dict[str, Task]:
    torch, torchvision = _torch()

    feature_map = torch.tensor(features).permute(2, 0, 1)[None].contiguous()
    boxes = torch.cat([torch.zeros(ROIS, 1), torch.tensor(rois)], dim=1)
    wanted = torch.tensor(cotangent).permute(0, 3, 1, 2).contiguous()
    tasks: dict[str, Task] = {}
    for ratio, name in ((1, "one sample a bin"), (-1, "its default")):

        def align(ratio: int = ratio) -> Any:
            return torchvision.ops.roi_align(
                feature_map, boxes, SAMPLES, 1 / 16, ratio, True
            )

        def back(align: Task = align) -> Any:
            return torch.autograd.grad(align(), feature_map, wanted)

        def forward(align: Task = align) -> Any:
            with torch.inference_mode():
                return align()

        tasks[f"forward, torchvision's roi_align, {name}"] = forward
        tasks[f"backward (with forward), torchvision's roi_align, {name}"] = back
    feature_map.requires_grad_(True)
    return tasks


def _torch() -> list[Any]:
    return [importlib.import_module(name) for name in ("torch", "torchvision")]


def _has_torch() -> bool:
    return importlib.util.find_spec("torchvision") is not None


def _time(tasks: dict[str, Task], rounds: int | None = None) -> dict[str, float]:
    """Returns the median seconds of each task, all timed in turn.

    A turn lasts at least `TURN_SECONDS`, so that a quick task is timed as it runs in a
    loop, its data in the cache, and not as it starts after another one.
    """
    calls = {}
    for name, task in tasks.items():
        jax.block_until_ready(task())
        calls[name] = max(1, round(TURN_SECONDS / _seconds(task, 1)))
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds or FLAGS.rounds):
        for name, task in tasks.items():
            seconds[name].append(_seconds(task, calls[name]))
    return {name: statistics.median(values) for name, values in seconds.items()}


def _seconds(task: Task, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(task())
    return (time.perf_counter() - start) / calls


def _table(title: str, seconds: dict[str, float], ours: Callable[[str], str]) -> str:
    rows = [
        f"| {name} | {1e3 * value:.2f} | {value / seconds[ours(name)]:.1f} |"
        for name, value in seconds.items()
    ]
    head = ["| what | ms | this / ours |", "|---|---|---|"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _vgg16_flops() -> float:
    """Returns the multiplications and additions of VGG16's convolutions."""
    side, inputs, total = SIZE, 3, 0
    for depth, width in zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            total += 2 * side**2 * 9 * inputs * width
            inputs = width
        side //= 2
    return total


def _matmul_flops(precision: str) -> float:

    size = 2048 if jax.default_backend() == "cpu" else 8192
    matrix = jnp.ones((size, size), precision)
    product = jax.jit(lambda m: m @ m)
    return 2 * size**3 / _time({"": lambda: product(matrix)})[""]


def _heading(device: Any) -> str:
    names = ("jax", "keras", "torch", "torchvision")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    machine = f"{_processor()}, {platform.system()} {platform.machine()}"
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Made by `python scripts/benchmark.py --output=BENCHMARKS.md`"
            f" on {datetime.datetime.now(datetime.UTC).date()}; medians of "
            f"{FLAGS.rounds} rounds, all of a table timed in turn.",
            "",
            f"Device: {device.device_kind} ({device.platform}). Machine: {machine}.",
            f"Python {platform.python_version()}, {', '.join(versions)}.",
            "",
        ]
    )


def _processor() -> str:

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(main)
