"""Attributes and operators of the standard's array object that Tensor's own do not have."""
from .. import _yiti
from .._yiti import ops
from . import numpy_functions as numpy
from .dtypes import KINDS

OPERATORS = {"mod": numpy.remainder, "floordiv": numpy.floor_divide,
             "lshift": numpy.bitwise_left_shift, "rshift": numpy.bitwise_right_shift}


def _matrix_transpose(x):
    """The last two axes exchanged: a view."""
    if x.ndim < 2:
        raise _yiti.InvalidArgumentError(f"mT of {list(x.shape)}; wants two axes or more")
    return ops.permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _to_device(x, device, /, *, stream=None):
    return x.to(device)


def _operators(function):
    def forward(x, other):
        return function(x, other) if _is_operand(other) else NotImplemented

    def backward(x, other):
        return function(other, x) if _is_operand(other) else NotImplemented
    return forward, backward


def _is_operand(value):
    return isinstance(value, (_yiti.Tensor, int, float))


def _bitwise(of_bools, of_integers):
    """What an operator of bool tensors does to integers, and to Python's numbers."""
    def operator(x, other):
        if not _is_operand(other):
            return NotImplemented
        if x.dtype != _yiti.bool:
            return of_integers(x, other)
        return of_bools(x, other if isinstance(other, _yiti.Tensor) else _yiti.asarray(other))
    return operator


def _integers_apart(of_floats, of_integers, swapped=False):
    """An operator of floats that makes integers of integers."""
    def operator(x, other):
        if not (_is_integer(x) and _is_integer(other)):
            return of_floats(x, other)
        return of_integers(other, x) if swapped else of_integers(x, other)
    return operator


def _is_integer(value):
    return value.dtype in KINDS["integral"] if isinstance(value, _yiti.Tensor) else isinstance(value, int)


def add_methods(cls, namespace):
    """Adds them to the class; `namespace` is what __array_namespace__ gives."""
    cls.__array_namespace__ = lambda self, /, *, api_version=None: namespace
    cls.mT = property(_matrix_transpose)
    cls.to_device = _to_device
    for name, function in OPERATORS.items():
        forward, backward = _operators(function)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", backward)
    for name in ("and", "or", "xor"):
        operator = _bitwise(getattr(cls, f"__{name}__"), getattr(numpy, f"bitwise_{name}"))
        setattr(cls, f"__{name}__", operator)
        setattr(cls, f"__r{name}__", operator)
    power = numpy.by_numpy("pow")
    cls.__pow__ = _integers_apart(cls.__pow__, power)
    cls.__rpow__ = _integers_apart(cls.__rpow__, power, swapped=True)
    cls.__matmul__ = _integers_apart(cls.__matmul__, numpy.by_numpy("matmul"))
    cls.__complex__ = lambda self: complex(float(self))
    of_bools = cls.__invert__
    cls.__invert__ = lambda x: of_bools(x) if x.dtype == _yiti.bool else numpy.bitwise_invert(x)
