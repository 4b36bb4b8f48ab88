"""Every op of the registry as a function: names, documentation, and arguments of all kinds."""
import inspect
import random

import pytest

import yiti

OPS = [getattr(yiti.ops, name) for name in dir(yiti.ops)
       if not name.startswith("_") and name != "Tensor"]


def test_the_registry_is_there():
    names = {op.__name__ for op in OPS}
    assert {"add", "linear", "attention", "conv2d", "adamw_step", "cross_entropy"} <= names
    assert yiti.softmax is yiti.ops.softmax


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_is_documented(op):
    assert "Tensor" in op.__doc__ and "Source: " in op.__doc__


def test_arguments():
    x = yiti.arange(6, dtype=yiti.float32)
    assert x.reshape(2, 3).shape == x.reshape((2, 3)).shape == x.reshape(sizes=[2, -1]).shape
    assert yiti.concat([x, x]).shape == yiti.concat(x, x).shape == (12,)
    assert yiti.sum(x).item() == x.sum(axes=0).item() == x.sum(0, keepdim=True).item() == 15
    values, indices = yiti.top_k(x, 2)
    assert values.tolist() == [5, 4] and indices.tolist() == [5, 4]
    assert yiti.cast(x, yiti.int32).dtype == yiti.cast(x, "i32").dtype == yiti.int32
    assert yiti.linear(x, yiti.ones(2, 6), None).tolist() == [15, 15]
    assert yiti.maximum(x, 3).tolist() == [3, 3, 3, 3, 4, 5]


@pytest.mark.parametrize("call, error, text", [
    (lambda x: yiti.relu(), TypeError, "misses its argument x"),
    (lambda x: yiti.relu("a"), TypeError, "x is a str; wants a Tensor"),
    (lambda x: yiti.relu(x, 1), TypeError, "too many arguments"),
    (lambda x: yiti.relu(x, y=1), TypeError, "has no argument y"),
    (lambda x: yiti.add(x, "a"), TypeError, "b is a str"),
    (lambda x: yiti.add(x), TypeError, "misses its argument b"),
    (lambda x: yiti.rms_norm(x, yiti.ones(3)), ValueError, "weight is [3]; wants [D]"),
    (lambda x: yiti.rms_norm(x, yiti.ones(2), eps="x"), TypeError, "eps is a str; wants a number"),
    (lambda x: yiti.embedding(x, x), ValueError, "ids is f32; wants i32 or i64"),
    (lambda x: yiti.concat(5), TypeError, "parts is a int"),
    (lambda x: x.reshape(7), ValueError, ""),
    (lambda x: yiti.embedding_backward(yiti.ones(1, 8, dtype="f64"), yiti.zeros(1, dtype="i32"),
                                       rows=2**62), ValueError, "more elements than fit"),
    (lambda x: yiti.Tensor.__new__(yiti.Tensor).requires_grad_(), TypeError, "was not made"),
    (lambda x: x[yiti.Tensor.__new__(yiti.Tensor)], TypeError, "was not made"),
    (lambda x: memoryview(yiti.Tensor.__new__(yiti.Tensor)), BufferError, "was not made"),
    (lambda x: yiti.checkpoint(lambda y: 3, x), TypeError, "gave is a int; wants a Tensor"),
    (lambda x: yiti.vjp(lambda y: 3, x), TypeError, "gave is a int; wants a Tensor"),
    (lambda x: yiti.arange("a"), TypeError, "start is a str; wants a number"),
    (lambda x: yiti.arange(float("inf")), ValueError, "arange"),
    (lambda x: yiti.tensor(2**63), ValueError, "out of its range"),
])
def test_bad_arguments_name_what_is_wrong(call, error, text):
    with pytest.raises(error) as caught:
        call(yiti.ones(2))
    assert text in str(caught.value)


def random_argument(draw):
    shape = tuple(draw.randrange(4) for _ in range(draw.randrange(4)))
    kind = draw.randrange(10)
    if kind < 6:
        dtype = draw.choice([yiti.float32, yiti.float32, yiti.float64, yiti.int32, yiti.int64,
                             yiti.float16, yiti.bool, yiti.uint8])
        return yiti.full(shape, draw.choice([0, 1, 2, -1]), dtype=dtype)
    return draw.choice([None, 0, 1, -1, 2**40, 0.5, "x", [], [1, 2], (0, -1), True, float("nan"),
                        object()])


# Sizes that an attribute may ask for without end.
UNBOUNDED = {"one_hot", "embedding_backward", "index_select_backward", "slice_backward", "pad",
             "expand"}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_random_arguments_never_crash(op):
    draw = random.Random(op.__name__)
    for _ in range(60):
        arguments = [random_argument(draw) for _ in range(draw.randrange(7))]
        if op.__name__ in UNBOUNDED:
            arguments = [a for a in arguments if not isinstance(a, int) or a != 2**40]
        try:
            op(*arguments)
        except (yiti.Error, TypeError, OverflowError, MemoryError):
            pass
