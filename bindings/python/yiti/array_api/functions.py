"""Functions of the standard that are ops."""
import numpy as np

from .. import _yiti
from .._yiti import Tensor, ops
from . import dtypes
from .numpy_functions import array_of, tensor_of

__all__ = """abs add broadcast_arrays broadcast_to clip concat cos divide equal exp expand_dims greater
greater_equal less less_equal log logical_and logical_not logical_or logical_xor matmul
matrix_transpose max maximum mean min minimum moveaxis multiply negative not_equal permute_dims
positive pow reciprocal reshape sin sqrt square squeeze stack subtract sum take tanh unstack
where""".split()


def _binary(operator, name):
    def f(x1, x2, /):
        if isinstance(x1, Tensor):
            return getattr(x1, f"__{operator}__")(x2)
        return getattr(x2, f"__r{operator}__")(x1)
    f.__name__ = f.__qualname__ = name
    return f


add, subtract, multiply = (_binary(*names) for names in (
    ("add", "add"), ("sub", "subtract"), ("mul", "multiply")))
divide, pow, matmul = (_binary(*names) for names in (
    ("truediv", "divide"), ("pow", "pow"), ("matmul", "matmul")))


def equal(x1, x2, /):
    return x1 == x2


def not_equal(x1, x2, /):
    return x1 != x2


def less(x1, x2, /):
    return x1 < x2


def less_equal(x1, x2, /):
    return x1 <= x2


def greater(x1, x2, /):
    return x1 > x2


def greater_equal(x1, x2, /):
    return x1 >= x2


def logical_and(x1, x2, /):
    return x1 & x2


def logical_or(x1, x2, /):
    return x1 | x2


def logical_xor(x1, x2, /):
    return x1 ^ x2


def logical_not(x, /):
    return ~x


def positive(x, /):
    return x


def negative(x, /):
    return -x


def reciprocal(x, /):
    return 1.0 / x


def square(x, /):
    return x * x


def _floats(op, name):
    def f(x, /):
        return op(x)
    f.__name__ = f.__qualname__ = name
    return f


exp, log, sqrt, sin, cos, tanh = (_floats(getattr(ops, name), name)
                                  for name in ("exp", "log", "sqrt", "sin", "cos", "tanh"))


def abs(x, /):
    return x.__abs__()


def _extremum(op, name):
    def f(x1, x2, /):
        like = x1 if isinstance(x1, Tensor) else x2
        a, b = (x if isinstance(x, Tensor) else _number(x, like) for x in (x1, x2))
        dtype = dtypes.result_type(a, b)
        wide = dtype if dtype not in _SMALL else _yiti.int32
        return op(a.astype(wide), b.astype(wide)).astype(dtype)
    f.__name__ = f.__qualname__ = name
    return f


_SMALL = {_yiti.int8, _yiti.int16, _yiti.uint8}
maximum, minimum = _extremum(ops.maximum, "maximum"), _extremum(ops.minimum, "minimum")


def _number(value, like):
    return _yiti.asarray(np.asarray(value, dtype=dtypes.to_numpy(like.dtype)))


def clip(x, /, min=None, max=None):
    y = x if min is None else maximum(x, min).astype(x.dtype)
    return y if max is None else minimum(y, max).astype(x.dtype)


def where(condition, x1, x2, /):
    like = x1 if isinstance(x1, Tensor) else x2
    a, b = (x if isinstance(x, Tensor) else _number(x, like) for x in (x1, x2))
    dtype = dtypes.result_type(a, b)
    return ops.where(condition, a.astype(dtype), b.astype(dtype))


def _axes(axis, x):
    if axis is None:
        return tuple(range(x.ndim))
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _reduced(name, op):
    def f(x, /, *, axis=None, keepdims=False):
        if dtypes.isdtype(x.dtype, "real floating") and x.ndim > 0 and axis != ():
            return op(x, axes=_axes(axis, x), keepdim=keepdims)
        return tensor_of(getattr(np, name)(array_of(x), axis=axis, keepdims=keepdims))
    f.__name__ = f.__qualname__ = name
    return f


max, min, mean = (_reduced(name, getattr(ops, name)) for name in ("max", "min", "mean"))


def sum(x, /, *, axis=None, dtype=None, keepdims=False):
    if dtypes.isdtype(x.dtype, "real floating") and x.ndim > 0 and axis != ():
        y = x if dtype is None else x.astype(dtype)
        return ops.sum(y, axes=_axes(axis, x), keepdim=keepdims)
    return tensor_of(np.sum(array_of(x), axis=axis, dtype=dtypes.to_numpy(dtype), keepdims=keepdims))


def reshape(x, /, shape, *, copy=None):
    y = ops.reshape(x, tuple(shape))
    return y.copy() if copy else y


def permute_dims(x, /, axes):
    return ops.permute(x, tuple(axes)) if x.ndim else x


def matrix_transpose(x, /):
    return x.mT


def moveaxis(x, source, destination, /):
    sources, targets = ([axis % x.ndim for axis in _axes(axes, x)] for axes in (source, destination))
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for target, one in sorted(zip(targets, sources)):
        order.insert(target, one)
    return permute_dims(x, order)


def expand_dims(x, /, axis):
    if not -x.ndim - 1 <= axis <= x.ndim:
        raise _yiti.OutOfRangeError(f"expand_dims: axis is {axis}; x has {x.ndim} axes")
    return ops.unsqueeze(x, axis)


def squeeze(x, /, axis):
    for one in sorted((a % x.ndim for a in _axes(axis, x)), reverse=True):
        x = ops.squeeze(x, one)
    return x


def broadcast_to(x, /, shape):
    return ops.expand(x, tuple(shape))


def broadcast_arrays(*arrays):
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return [broadcast_to(x, shape) for x in arrays]


def concat(arrays, /, *, axis=0):
    dtype = dtypes.result_type(*arrays)
    parts = [x.astype(dtype) for x in arrays]
    if axis is None:
        parts, axis = [ops.reshape(x, -1) for x in parts], 0
    return ops.concat(parts, axis)


def stack(arrays, /, *, axis=0):
    return concat([ops.unsqueeze(x, axis) for x in arrays], axis=axis)


def unstack(x, /, *, axis=0):
    before = (slice(None),) * (axis % x.ndim)
    return tuple(x[before + (i,)] for i in range(x.shape[axis]))


def take(x, indices, /, *, axis=None):
    axis = 0 if axis is None else axis % x.ndim
    return x[(slice(None),) * axis + (indices,)]
