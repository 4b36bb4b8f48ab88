"""The array API standard's names: what is an op has a gradient, the rest is NumPy's."""
import inspect

import numpy as np
import pytest

import yiti

xp = yiti.array_api


def test_the_namespace():
    x = xp.asarray([[1.0, -2.5], [3.0, 0.5]])
    assert x.__array_namespace__(api_version="2024.12") is xp
    info = xp.__array_namespace_info__()
    assert info.dtypes(kind="real floating") == {"float32": xp.float32, "float64": xp.float64}
    assert [name for name in xp.__all__ if not hasattr(xp, name)] == []
    assert str(inspect.signature(xp.floor)) == "(x, /)"


def test_functions():
    x = xp.asarray([[1.0, -2.5], [3.0, 0.5]])
    assert xp.floor(x).tolist() == [[1, -3], [3, 0]]
    assert xp.sort(x, axis=0, descending=True).tolist() == [[3, 0.5], [1, -2.5]]
    assert xp.argsort(xp.asarray([2, 1, 2]), descending=True).tolist() == [0, 2, 1]
    assert xp.clip(x, 0, 2).tolist() == [[1, 0], [2, 0.5]]
    assert xp.moveaxis(xp.zeros((2, 3, 4)), 0, -1).shape == (3, 4, 2)
    assert xp.concat([x, xp.asarray([[1, 2]])]).shape == (3, 2)
    assert (xp.asarray([7, 8]) % 4).tolist() == [3, 0] and (9 // xp.asarray([2])).tolist() == [4]
    assert (-3.0 // xp.asarray([xp.inf, 2.0])).tolist() == [0, -2]
    assert (xp.asarray([1.0, xp.inf]) // 0.1).tolist() == [9, xp.inf]
    assert (xp.asarray([2, 3]) ** 2).tolist() == [4, 9] and (2 ** xp.asarray([3])).dtype == xp.int64
    assert (xp.asarray([2.0]) ** xp.asarray([3])).dtype == xp.float32
    assert xp.matmul(xp.asarray([[1, 2]]), xp.asarray([[3], [4]])).tolist() == [[11]]
    assert xp.prod(xp.asarray([200, 2], dtype=xp.uint8)).item() == 400
    assert xp.expand_dims(x, -1).shape == (2, 2, 1) and complex(x[0, 1]) == -2.5
    assert (xp.asarray([6]) & 3).tolist() == [2] and (~xp.asarray([0])).tolist() == [-1]
    assert xp.result_type(xp.int8, xp.uint8) == xp.int16
    assert xp.finfo(x).bits == 32 and xp.iinfo(xp.int8).max == 127
    with pytest.raises(ValueError, match="kind"):
        xp.isdtype(xp.int8, "whole")


def test_gradients_go_through_ops_and_nowhere_else():
    x = xp.asarray([1.0, 2.0]).requires_grad_()
    xp.sum(xp.multiply(x, xp.exp(x))).backward()
    np.testing.assert_allclose(x.grad.numpy(), (1 + np.array([1, 2])) * np.exp([1, 2]), rtol=1e-6)
    with pytest.raises(NotImplementedError, match="no gradient"):
        xp.floor(x)
    with yiti.no_grad():
        assert xp.floor(x).tolist() == [1, 2]


def test_numpys_warnings_stay_inside(recwarn):
    assert xp.log10(xp.zeros(1)).tolist() == [-xp.inf] and xp.asarray(1.0) // 0 == xp.inf
    assert not recwarn.list


def test_to_device_moves():
    x, device = xp.ones(2), yiti.cpu(threads=1)
    moved = x.to_device(device)
    assert moved.device == device != x.device and moved.tolist() == x.tolist()


def test_memory_is_shared():
    x = xp.asarray([3.0, 1.0])
    assert np.shares_memory(np.asarray(xp.flip(x)), np.asarray(x)) is False
    assert np.shares_memory(np.asarray(xp.from_dlpack(x)), np.asarray(x))
    assert np.shares_memory(np.asarray(xp.from_dlpack(x, copy=True)), np.asarray(x)) is False
