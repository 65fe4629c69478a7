"""The modes of the command line: where each is written, and what its help says."""

__all__ = ["ABOUT", "MODES"]

MODES = {
    "demo": "predict",
    "predict": "predict",
    "survey": "survey_mode",
    "convert": "convert",
    "simulate": "making_data",
    "prepare": "making_data",
    "preview": "making_data",
    "eval": "evaluate",
    "train": "train",
}
"""Module of each mode in `claran.commands`, with a function of the mode's name."""

ABOUT = {
    "demo": r"""Detects sources in one field, and writes a figure and a table of them.

  python -m claran.main --mode=demo --radio=F.fits --ir=I.png --output=DIR
  python -m claran.main --mode=demo

The second command shows a simulated field that comes with claran. With --hosts, sources
on the infrared image are candidates for the host galaxy of each radio source:
  python -m claran.main --mode=demo --hosts""",
    "predict": r"""Detects sources in many fields, and writes one table of them.

Many radio images, with or without infrared images, or many pictures:
  python -m claran.main --mode=predict --radio='fields/*.fits' --ir=infrared/ \
      --output=catalog.ecsv
  python -m claran.main --mode=predict --image='pictures/*.png' \
      --model=model.keras --output=DIR

With infrared sources in a table, the host galaxy of each source is named, and how
probable it is:
  python -m claran.main --mode=predict --radio='fields/*.fits' \
      --ir_catalog=allwise.fits --output=catalog.ecsv

The table is a catalog: no two of its rows share an island of emission, and each is a
source with a probability above 0.5 (0.8 for networks that do not count islands). With
--all_hypotheses it has every detection that --mode=eval takes, also other readings of
the same emission.

Partial results are kept in OUTPUT.unfinished until the table is written. After an
interruption the same command resumes from them, unless a file or a setting has
changed.""",
    "survey": r"""Makes a catalog of the radio sources in mosaics of any size.

One mosaic or many, which may overlap; their sources are measured, put together of
their components, classified, and each is listed once:
  python -m claran.main --mode=survey --radio='mosaics/*.fits' --output=DIR
  python -m claran.main --mode=survey --radio=mosaic.fits --survey=vlass \
      --acronym=VLASS1QLCIR --workers=8 --output=DIR
  python -m claran.main --mode=survey --radio='mosaics/*.fits' --ir='wise/*.fits' \
      --output=DIR

With a table of infrared sources, the catalog names the host galaxy of each source:
  python -m claran.main --mode=survey --radio='mosaics/*.fits' \
      --ir_catalog=catwise.parquet --output=DIR

DIR then has the tables sources and components (.ecsv, .fits, .vot, .parquet), a
ReadMe that describes their columns, regions for DS9 (.reg) and for CASA and CARTA
(.crtf), the area that was searched (coverage.fits, a MOC), an overview picture, and
provenance.json with versions and settings. The tables do not depend on --tile_size,
--workers or the order of the mosaics.

Partial results are kept in DIR/unfinished until the catalog is written. After an
interruption the same command resumes from them, unless an image or a setting has
changed. Several workers and --scheduler need Dask: pip install "claran[survey]".""",
    "convert": r"""Makes a model of a checkpoint of the original or of an old model.

A checkpoint of the original ClaRAN:
  python -m claran.main --mode=convert --tf_checkpoint=VGGnet_fast_rcnn-80000 \
      --output=model.keras

A model saved by claran before it saved complete detectors:
  python -m claran.main --mode=convert --old_model=best.keras --output=model.keras""",
    "simulate": r"""Writes simulated fields as files, with a table of their sources.

For FIRST or another survey:
  python -m claran.main --mode=simulate --num=100 --output=DIR
  python -m claran.main --mode=simulate --survey=vlass --output=DIR""",
    "prepare": r"""Makes a data set for training.

It is simulated, or of your own files, or of the original's pictures:
  python -m claran.main --mode=prepare --data=rgz/simulated_12k --data_dir=DIR
  python -m claran.main --mode=prepare --data=rgz/pairs --manual_dir=FILES""",
    "preview": r"""Draws random fields with their boxes, to check before a training.

  python -m claran.main --mode=preview --data=rgz/simulated_12k --data_dir=DIR
  python -m claran.main --mode=preview --data=FILES --split=all --noaugment""",
    "eval": r"""Evaluates a network, or another tool, on labelled sources.

A network on the test split of a data set:
  python -m claran.main --mode=eval --model=model.keras --data=rgz/simulated_12k \
      --output=DIR

On your own files: FITS with annotations.csv, PASCAL VOC, or COCO:
  python -m claran.main --mode=eval --model=model.keras --data=FOLDER --split=all

On 1,000 fields that are simulated for it:
  python -m claran.main --mode=eval --data=simulated/first --output=DIR

The classical finder, without a network, which joins islands within 45 arcsec:
  python -m claran.main --mode=eval --model=classical --data=FOLDER

With candidates for host galaxies, where the labels have hosts:
  python -m claran.main --mode=eval --data=FOLDER --split=all \
      --ir_catalog=allwise.fits

Detections of any tool, as a table, VOC's text or COCO's results. A table of
--mode=predict --all_hypotheses gives the numbers of its model:
  python -m claran.main --mode=eval --predictions=detections.ecsv --data=FOLDER

Partial results are kept in DIR/unfinished until the report is written. An interrupted
run resumes from them, unless the network, the data or a setting has changed.""",
    "train": r"""Trains a network on labelled fields.

The compact network on fields that are simulated for it, or on a data set; and the
original's network with the original's recipe:
  python -m claran.main --mode=train --data=simulated --output=DIR
  python -m claran.main --mode=train --data=rgz/simulated_12k --output=DIR
  python -m claran.main --mode=train --model=claran_v0.1 --data=rgz/d4 --output=DIR

A trained network is fine-tuned to your own classes with your own files, with few steps
at a low learning rate: the network that comes with claran, or one of yours with
--model=DIR/best.keras and without --start:
  python -m claran.main --mode=train --model=claran_v1 --start=pretrained \
      --data=FOLDER --output=OTHER

DIR then has best.keras, the model to use (the best on the validation fields),
last.keras, log.csv, curves.png, run.json with all settings, and tensorboard
(tensorboard --logdir=DIR). After an interruption the same command resumes from the last
checkpoint, with the same result as without. --steps, --batch_size and --learning_rate
are those of the model unless given; with a batch twice as large, give half as many
steps and a higher rate.""",
}
"""What each mode does, with examples."""
