"""Functions of the standard that have no op: NumPy's, over the tensors' memory."""
import functools
import inspect

import numpy as np

from .. import _yiti
from .._yiti import DType, Tensor
from .dtypes import to_numpy

UNARY = """acos acosh asin asinh atan atanh bitwise_invert ceil conj cosh expm1 floor imag isfinite isinf isnan
log10 log1p log2 real round sign signbit sinh tan trunc""".split()
BINARY = """atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign
hypot logaddexp nextafter remainder""".split()
OTHERS = {
    "cumulative_prod": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "cumulative_sum": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "diff": "(x, /, *, axis=-1, n=1, prepend=None, append=None)",
    "flip": "(x, /, *, axis=None)",
    "nonzero": "(x, /)",
    "count_nonzero": "(x, /, *, axis=None, keepdims=False)",
    "repeat": "(x, repeats, /, *, axis=None)",
    "roll": "(x, /, shift, *, axis=None)",
    "take_along_axis": "(x, indices, /, *, axis=-1)",
    "tensordot": "(x1, x2, /, *, axes=2)",
    "tile": "(x, repetitions, /)",
    "unique_all": "(x, /)",
    "unique_counts": "(x, /)",
    "unique_inverse": "(x, /)",
    "unique_values": "(x, /)",
    "vecdot": "(x1, x2, /, *, axis=-1)",
    "prod": "(x, /, *, axis=None, dtype=None, keepdims=False)",
    "std": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "var": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "all": "(x, /, *, axis=None, keepdims=False)",
    "any": "(x, /, *, axis=None, keepdims=False)",
    "argmax": "(x, /, *, axis=None, keepdims=False)",
    "argmin": "(x, /, *, axis=None, keepdims=False)",
    "searchsorted": "(x1, x2, /, *, side='left', sorter=None)",
}
__all__ = [*UNARY, *BINARY, *OTHERS, "argsort", "floor_divide", "sort"]


def array_of(value):
    """Tensors and dtypes as NumPy's; anything else as it is."""
    if isinstance(value, Tensor):
        if value.requires_grad and _yiti.is_recording():
            raise _yiti.UnimplementedError(
                "array API: this function has no gradient, and one is wanted; detach() the tensor")
        return value.detach().numpy()
    if isinstance(value, (tuple, list)):
        return type(value)(array_of(part) for part in value)
    return to_numpy(value) if isinstance(value, DType) else value


def tensor_of(result):
    """NumPy's arrays and numbers as tensors, in tuples, too."""
    if isinstance(result, tuple):
        parts = [tensor_of(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    array = np.asarray(result)
    # NumPy's sums of uint8 are of uint64, which yiti has not.
    return _yiti.asarray(array.astype(np.int64) if array.dtype == np.uint64 else array)


def by_numpy(name, signature="(x1, x2, /)"):
    """NumPy's function of this name on tensors, without its warnings of overflow and the like."""
    function, names = getattr(np, name), {}
    exec(f"def f{signature}: pass", names)

    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def call(*args, **kwargs):
        given = {key: array_of(value) for key, value in kwargs.items() if key != "device"}
        with np.errstate(all="ignore"):
            return tensor_of(function(*map(array_of, args), **given))

    del call.__wrapped__
    call.__module__ = __name__
    call.__signature__ = inspect.signature(names["f"])
    return call


SIGNATURES = {**dict.fromkeys(UNARY, "(x, /)"), **dict.fromkeys(BINARY, "(x1, x2, /)"), **OTHERS}
globals().update((name, by_numpy(name, text)) for name, text in SIGNATURES.items())


def floor_divide(x1, x2, /):
    """The quotient, rounded down; with infinities as the standard wants it, where NumPy has NaN or -1."""
    a, b = array_of(x1), array_of(x2)
    with np.errstate(all="ignore"):
        whole = np.floor_divide(a, b)
        if whole.dtype.kind == "f":
            whole = np.where(np.isinf(a) | np.isinf(b), np.floor(np.divide(a, b)), whole)
    return tensor_of(whole)


def argsort(x, /, *, axis=-1, descending=False, stable=True):
    array = array_of(x)
    if not descending:
        return tensor_of(np.argsort(array, axis=axis, stable=stable))
    # The order of equal elements stays.
    order = np.argsort(np.flip(array, axis=axis), axis=axis, stable=stable)
    return tensor_of(np.flip(array.shape[axis] - 1 - order, axis=axis).copy())


def sort(x, /, *, axis=-1, descending=False, stable=True):
    ordered = np.sort(array_of(x), axis=axis, stable=stable)
    return tensor_of(np.flip(ordered, axis=axis).copy() if descending else ordered)
