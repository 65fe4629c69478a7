"""Where candidates for hosts come from, by the flags."""

import importlib.util
import os
from pathlib import Path

from absl import flags

from claran.commands.common import UsageError
from claran.commands.model_flags import load_detector
from claran.detection.detector import Detector
from claran.hosts.host_search import HostSearch

__all__ = ["detector_for_hosts", "host_search", "host_tables"]

FLAGS = flags.FLAGS


def host_search(*, infrared: bool) -> HostSearch | None:
    """Returns where candidates come from; None if hosts are not asked for.

    Args:
        infrared: Whether there are infrared images.

    Raises:
        UsageError: A library is missing that is needed after the search for sources.
    """
    if not (FLAGS.hosts or FLAGS.ir_catalog or FLAGS.fetch):
        return None
    if FLAGS.ir_catalog and not Path(FLAGS.ir_catalog).is_file():
        raise UsageError(f"--ir_catalog={FLAGS.ir_catalog}: there is no such file.")
    images = FLAGS.hosts and infrared
    if images and importlib.util.find_spec("sep") is None:
        raise UsageError(
            "--hosts measures infrared images with SEP; pip install 'claran[hosts]'."
        )
    if FLAGS.fetch and importlib.util.find_spec("pyvo") is None and not FLAGS.offline:
        raise UsageError("--fetch needs pyvo; pip install 'claran[vo]'.")
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return HostSearch(
        catalog=Path(FLAGS.ir_catalog) if FLAGS.ir_catalog else None,
        fetch=FLAGS.fetch or "", offline=FLAGS.offline, images=images,
        cache=Path(FLAGS.fetch_cache or Path(root, "claran", "catalogs")),
    )  # fmt: skip


def host_tables(search: HostSearch | None) -> list[Path]:
    """Returns the files that a search reads, which no output may replace."""
    return [search.catalog] if search is not None and search.catalog is not None else []


def detector_for_hosts(search: HostSearch | None) -> Detector:
    """Returns the detector of the flags, which must count islands if hosts are wanted.

    Raises:
        UsageError: It does not.
    """
    detector = load_detector()
    if search is not None and not detector.model.finisher.counts_islands:
        raise UsageError(
            f"--model={FLAGS.model}: finds boxes, not islands of emission, so that the "
            "places of hosts are unknown; give a model that counts islands, such as "
            "claran_v1, or leave out --hosts, --ir_catalog and --fetch."
        )
    return detector
