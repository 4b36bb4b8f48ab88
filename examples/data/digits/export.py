"""Writes digits.safetensors from scikit-learn's copy of the UCI handwritten digits.

    pip install scikit-learn safetensors
    python3 export.py
"""

import pathlib

import numpy
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

TRAIN_ROWS = 1437  # the last 360 rows are the test set

digits = load_digits()
save_file(
    {
        "images": digits.images.astype(numpy.uint8),  # [1797, 8, 8], 0 to 16
        "labels": digits.target.astype(numpy.uint8),  # [1797], 0 to 9
    },
    pathlib.Path(__file__).with_name("digits.safetensors"),
    metadata={
        "train_rows": str(TRAIN_ROWS),
        "source": "UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998",
        "license": "CC BY 4.0",
    },
)
