"""Creation of tensors as the standard has it."""
import numpy as np

from .. import _yiti
from .dtypes import to_numpy

__all__ = ["arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
           "linspace", "meshgrid", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like"]


def asarray(obj, /, *, dtype=None, device=None, copy=None):
    return _yiti.asarray(obj, dtype=dtype, device=device, copy=copy)


def from_dlpack(x, /, *, device=None, copy=None):
    """A tensor over the memory of an array of any library."""
    tensor = _yiti.from_dlpack(x)
    tensor = tensor.copy() if copy else tensor
    return tensor if device is None else tensor.to(device)


def _made(array, dtype, device, otherwise):
    return asarray(np.asarray(array, dtype=to_numpy(dtype or otherwise)), device=device)


def arange(start, /, stop=None, step=1, *, dtype=None, device=None):
    whole = all(isinstance(x, int) for x in (start, stop or 0, step))
    array = np.arange(start, step=step) if stop is None else np.arange(start, stop, step)
    return _made(array, dtype, device, _yiti.int64 if whole else _yiti.float32)


def empty(shape, *, dtype=None, device=None):
    return _yiti.empty(_sizes(shape), dtype=dtype, device=device)


def zeros(shape, *, dtype=None, device=None):
    return _yiti.zeros(_sizes(shape), dtype=dtype, device=device)


def ones(shape, *, dtype=None, device=None):
    return _yiti.ones(_sizes(shape), dtype=dtype, device=device)


def full(shape, fill_value, *, dtype=None, device=None):
    if dtype is None:
        dtype = (_yiti.bool if isinstance(fill_value, bool) else
                 _yiti.int64 if isinstance(fill_value, int) else _yiti.float32)
    return _made(np.full(shape, fill_value, dtype=to_numpy(dtype)), dtype, device, dtype)


def eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None):
    return _made(np.eye(n_rows, n_cols, k=k), dtype, device, _yiti.float32)


def linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True):
    array = np.linspace(start, stop, num, endpoint=endpoint, dtype=to_numpy(dtype))
    return _made(array, dtype, device, _yiti.float32)


def empty_like(x, /, *, dtype=None, device=None):
    return empty(x.shape, dtype=dtype or x.dtype, device=device or x.device)


def zeros_like(x, /, *, dtype=None, device=None):
    return zeros(x.shape, dtype=dtype or x.dtype, device=device or x.device)


def ones_like(x, /, *, dtype=None, device=None):
    return ones(x.shape, dtype=dtype or x.dtype, device=device or x.device)


def full_like(x, /, fill_value, *, dtype=None, device=None):
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device or x.device)


def meshgrid(*arrays, indexing="xy"):
    grids = np.meshgrid(*(np.asarray(x) for x in arrays), indexing=indexing)
    return [asarray(grid) for grid in grids]


def tril(x, /, *, k=0):
    return asarray(np.tril(np.asarray(x), k))


def triu(x, /, *, k=0):
    return asarray(np.triu(np.asarray(x), k))


def _sizes(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)
