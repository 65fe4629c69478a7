"""The Radio Galaxy Zoo data set `rgz` of TensorFlow Datasets."""

from .rgz_dataset_builder import Builder as Builder
