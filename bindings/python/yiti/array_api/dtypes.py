"""Data types of the standard: those that yiti has."""
import numpy as np

from .. import _yiti
from .._yiti import (DType, Tensor, bool, float32, float64, int16, int32, int64, int8,  # noqa: A004
                     uint8)

NAMES = ["bool", "int8", "int16", "int32", "int64", "uint8", "float32", "float64"]
__all__ = [*NAMES, "astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

KINDS = {"bool": {bool}, "signed integer": {int8, int16, int32, int64}, "unsigned integer": {uint8},
         "real floating": {float32, float64, _yiti.float16, _yiti.bfloat16},
         "complex floating": set()}
KINDS["integral"] = KINDS["signed integer"] | KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] | KINDS["real floating"]


def to_numpy(dtype):
    """A yiti.DType as NumPy's; anything else as it is."""
    return np.dtype(dtype.name) if isinstance(dtype, DType) else dtype


def from_numpy(dtype):
    return getattr(_yiti, np.dtype(dtype).name)


def _dtype_of(x):
    return x.dtype if isinstance(x, Tensor) else x


def astype(x, dtype, /, *, copy=True, device=None):
    """x in another dtype; x itself where it has it and no copy is wanted."""
    if x.dtype == dtype:
        return x.copy() if copy else x
    return x.astype(dtype)


def can_cast(from_, to, /):
    """Whether promotion leads from one dtype to the other."""
    return np.can_cast(to_numpy(_dtype_of(from_)), to_numpy(to))


def finfo(type, /):
    """Machine limits of a floating type."""
    return _Limits(np.finfo(to_numpy(_dtype_of(type))), ("bits", "eps", "max", "min",
                                                         "smallest_normal"))


def iinfo(type, /):
    """Limits of an integer type."""
    return _Limits(np.iinfo(to_numpy(_dtype_of(type))), ("bits", "max", "min"))


class _Limits:
    def __init__(self, limits, names):
        for name in names:
            value = getattr(limits, name)
            setattr(self, name, int(value) if name == "bits" or isinstance(value, int) else float(value))
        self.dtype = from_numpy(limits.dtype)


def isdtype(dtype, kind):
    """Whether a dtype is of a kind, is another, or is one of several."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise _yiti.InvalidArgumentError(f"isdtype: kind is {kind!r}; wants one of {list(KINDS)}")
        return dtype in KINDS[kind]
    return dtype == kind


def result_type(*arrays_and_dtypes):
    """The dtype that arithmetic on all has; Python numbers take that of the others."""
    return from_numpy(np.result_type(*(to_numpy(_dtype_of(x)) for x in arrays_and_dtypes)))
