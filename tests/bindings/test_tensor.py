"""Creation, conversion, indexing and operators of tensors, against NumPy."""
import operator

import numpy as np
import pytest

import yiti

RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def same(tensor, wanted):
    np.testing.assert_array_equal(np.asarray(tensor), wanted)


def test_creation():
    same(yiti.zeros(2, 3), np.zeros((2, 3), np.float32))
    same(yiti.ones((2, 3), dtype=yiti.int32), np.ones((2, 3), np.int32))
    same(yiti.full((2,), 7), np.full(2, 7, np.float32))
    same(yiti.arange(5), np.arange(5))
    same(yiti.arange(1, 2, 0.25), np.arange(1, 2, 0.25, np.float32))
    same(yiti.tensor([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))
    assert yiti.tensor([1.5]).dtype == yiti.float32
    assert yiti.tensor([1]).dtype == yiti.int64
    assert yiti.tensor([True]).dtype == yiti.bool
    assert yiti.tensor(2**62 + 1).item() == 2**62 + 1
    assert yiti.tensor([]).shape == (0,)


@pytest.mark.parametrize("data", [[[1], [2, 3]], [1, [2]], [[1], 2], ["a"], object()])
def test_creation_rejects(data):
    with pytest.raises((ValueError, TypeError)):
        yiti.tensor(data)


def test_random_numbers_follow_from_the_seed():
    yiti.manual_seed(3)
    first, second = yiti.randn(4), yiti.randn(4)
    assert first.tolist() != second.tolist()
    yiti.manual_seed(3)
    assert yiti.randn(4).tolist() == first.tolist()
    assert sorted(yiti.randperm(10).tolist()) == list(range(10))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int16",
                                   "int8", "uint8", "bool"])
def test_arrays_share_memory_both_ways(dtype):
    source = np.ones((3, 4)).astype(dtype)
    for view in (yiti.asarray(source), yiti.from_dlpack(source)):
        assert view.shape == (3, 4)
        source[1, 2] = 0
        assert view[1, 2].item() == 0
        source[1, 2] = 1
    tensor = yiti.ones(3, 4, dtype=dtype)
    for view in (tensor.numpy(), np.asarray(tensor), np.from_dlpack(tensor),
                 np.asarray(memoryview(tensor))):
        assert view.dtype == dtype
        tensor[2, 3] = 0
        assert view[2, 3] == 0
        tensor[2, 3] = 1


def test_strided_arrays_are_shared():
    source = array(4, 6)
    same(yiti.asarray(source.T), source.T)
    part = yiti.asarray(source[:, ::2])
    same(part, source[:, ::2])
    source[0, 2] = 5
    assert part[0, 1].item() == 5
    same(yiti.asarray(source[::-1]), source[::-1])  # a copy: strides go backwards
    same(yiti.asarray(source).T.numpy(), source.T)


def test_read_only_arrays_stay_so():
    source = array(3)
    source.flags.writeable = False
    tensor = yiti.asarray(source)
    with pytest.raises(yiti.FailedPreconditionError):
        tensor[0] = 1
    assert not tensor.numpy().flags.writeable


def test_a_view_outlives_its_source():
    tensor = yiti.asarray(np.full(1000, 3.0))
    assert tensor.sum().item() == 3000
    array_of = yiti.full((1000,), 2.0).numpy()
    assert array_of.sum() == 2000


def test_bfloat16_becomes_float32():
    tensor = yiti.tensor([1.0, 2.5], dtype=yiti.bfloat16)
    assert tensor.numpy().dtype == np.float32
    assert tensor.tolist() == [1.0, 2.5]
    with pytest.raises(BufferError):
        memoryview(tensor)


@pytest.mark.parametrize("key", [
    0, -1, slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(5, 1, -2), slice(3, 1),
    (0, 1), (slice(None), 2), (Ellipsis, 0), (None, 1), (slice(None), None, slice(1, 2)),
    (0, Ellipsis, 1), [2, 0], (slice(None), [3, -1]), Ellipsis, (1, 2, 3), ([0, 2], [1, -1]),
    (slice(None), [0, 2], [1, -1]), ([0, 2], slice(None), [1, -1]), ([3, 1], [0, 1], [5, 2]),
    ([[0], [2]], [1, 3, 4]), ([0, 2], Ellipsis, [1]), ([1], None, [2]), ([], []), ([1, 2], 3)])
def test_indexing(key):
    source = array(4, 5, 6)
    same(yiti.asarray(source)[key], source[key])


def test_indexing_by_tensors():
    source = array(4, 5)
    same(yiti.asarray(source)[yiti.tensor([[0, 1], [3, 3]])], source[[[0, 1], [3, 3]]])
    mask = source > 0
    same(yiti.asarray(source)[yiti.asarray(mask)], source[mask])
    same(yiti.asarray(source)[yiti.asarray(source) > 0], source[mask])
    same(yiti.asarray(source)[[True, False, True, False]], source[[0, 2]])
    alone = yiti.tensor(3.0)
    assert alone[alone > 0].tolist() == [3] and alone[alone < 0].shape == (0,)


def test_gradients_go_through_several_indices():
    x = yiti.zeros(3, 4, requires_grad=True)
    (x[[0, 2, 0], [1, 3, 1]] * yiti.tensor([1.0, 2.0, 4.0])).sum().backward()
    wanted = np.zeros((3, 4), np.float32)
    wanted[0, 1], wanted[2, 3] = 5, 2
    same(x.grad, wanted)


@pytest.mark.parametrize("key, error", [(4, IndexError), (-5, IndexError), ((0, 0, 0), IndexError),
                                        ("a", TypeError), (1.5, TypeError), ([9], IndexError),
                                        (([0], [5]), IndexError), (([0, 1], [1, 2, 3]), ValueError)])
def test_indexing_rejects(key, error):
    with pytest.raises(error):
        yiti.zeros(4, 5)[key]


def test_assignment():
    source = array(4, 5)
    tensor = yiti.tensor(source)
    for key, value in [(0, 1.0), ((slice(None), 1), array(4)), (slice(1, 3), array(1, 5)),
                       (Ellipsis, 0.5)]:
        source[key] = value
        tensor[key] = yiti.asarray(value) if isinstance(value, np.ndarray) else value
        same(tensor, source)
    with pytest.raises(ValueError):
        tensor[::-1] = 0


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.eq, operator.ne,
          operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("f", BINARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_operators(f, dtype):
    a, b = (RNG.integers(1, 9, (3, 4)).astype(dtype) for _ in range(2))
    got = f(yiti.asarray(a), yiti.asarray(b))
    np.testing.assert_allclose(got.numpy(), f(a, b), rtol=1e-6)
    np.testing.assert_allclose(f(yiti.asarray(a), 2).numpy(), f(a, 2), rtol=1e-6)
    np.testing.assert_allclose(f(2, yiti.asarray(a)).numpy(), f(2, a), rtol=1e-6)


def test_comparisons_with_nan():
    x = yiti.tensor([float("nan"), 1.0])
    assert (x == x).tolist() == [False, True]
    assert (x != x).tolist() == [True, False]
    assert (x <= x).tolist() == [False, True]
    assert (x >= x).tolist() == [False, True]


def test_dtypes_of_results():
    f32, f64 = yiti.ones(2), yiti.ones(2, dtype=yiti.float64)
    i32, i64 = yiti.ones(2, dtype=yiti.int32), yiti.ones(2, dtype=yiti.int64)
    assert (f32 + f64).dtype == yiti.float64
    assert (f32 + i64).dtype == yiti.float32
    assert (i32 + i64).dtype == yiti.int64
    assert (i64 + 1).dtype == yiti.int64
    assert (i64 + 1.5).dtype == yiti.float32
    assert (i64 / i64).dtype == yiti.float32
    assert (f32 * 2).dtype == yiti.float32
    assert f32.astype("float16").dtype == yiti.float16


def test_powers_signs_and_logic():
    x = array(5)
    t = yiti.asarray(x)
    np.testing.assert_allclose((t**2).numpy(), x**2, rtol=1e-6)
    np.testing.assert_allclose((abs(t) ** 0.5).numpy(), abs(x) ** 0.5, rtol=1e-6)
    np.testing.assert_allclose((2**t).numpy(), 2**x, rtol=1e-6)
    same(-t, -x)
    a, b = yiti.tensor([True, True, False]), yiti.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (a == b).tolist() == [True, False, True]
    assert (yiti.tensor([200, 3], dtype="uint8") > 100).tolist() == [True, False]
    m = array(5, 3)
    np.testing.assert_allclose((yiti.asarray(m).T @ yiti.asarray(m)).numpy(), m.T @ m, rtol=1e-5,
                               atol=1e-6)


def test_numbers_of_numpy():
    x = yiti.ones(2)
    assert isinstance(np.float32(2) * x, yiti.Tensor) and (x + np.float64(1)).dtype == yiti.float32
    with pytest.raises(TypeError):
        x + np.ones(2)


def test_scalars_and_iteration():
    x = yiti.tensor([[1, 2], [3, 4]])
    assert len(x) == 2 and [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert int(x[1, 1]) == 4 and float(x[0, 1]) == 2.0 and bool(x[0, 0])
    assert [10, 20, 30][yiti.tensor(1)] == 20
    with pytest.raises(ValueError):
        bool(x)
    with pytest.raises(ValueError):
        x.item()
    with pytest.raises(TypeError):
        len(yiti.tensor(1))
    assert len({x, x}) == 1


def test_repr():
    assert repr(yiti.tensor([[1.0, 2.5]])) == "Tensor([[1, 2.5]], dtype=f32)"
    assert "requires_grad=True" in repr(yiti.ones(1, requires_grad=True))
    assert len(repr(yiti.zeros(100, 100))) < 1000
    assert repr(yiti.zeros(1000, 1000, 0)) == "Tensor([], shape=[1000, 1000, 0], dtype=f32)"


def test_errors_are_of_yiti_and_built_in():
    with pytest.raises(yiti.InvalidArgumentError) as caught:
        yiti.ones(2) + yiti.ones(3)
    assert isinstance(caught.value, yiti.Error) and isinstance(caught.value, ValueError)
    assert caught.value.code == "invalid_argument"
    with pytest.raises(FileNotFoundError):
        yiti.load_safetensors("missing.safetensors")
    with pytest.raises(TypeError, match="dtype"):
        yiti.zeros(2, dtype="float31")
    with pytest.raises(TypeError):
        yiti.ones(2) + "a"


def test_tensors_of_two_devices_do_not_mix():
    other = yiti.ones(2, device=yiti.cpu(threads=1))
    with pytest.raises(ValueError, match="another device"):
        yiti.ones(2) + other


def test_safetensors(tmp_path):
    tensors = {"a": yiti.tensor([1.0, 2.0]), "b.c": yiti.arange(3)}
    yiti.save_safetensors(tmp_path / "x.safetensors", tensors, {"note": "ja"})
    back = yiti.load_safetensors(tmp_path / "x.safetensors")
    assert {name: tensor.tolist() for name, tensor in back.items()} == {"a": [1, 2], "b.c": [0, 1, 2]}
    assert yiti._yiti.safetensors_metadata(tmp_path / "x.safetensors")["note"] == "ja"


def test_numbers_are_rounded_once():
    assert yiti.tensor(16777217.0, dtype="float64").item() == 16777217
    assert yiti.tensor([0.1], dtype="float64").item() == 0.1
    assert yiti.tensor([2**53 + 1]).item() == 2**53 + 1


def test_small_integers_wrap_around():
    x = yiti.tensor([120, -128], dtype="int8")
    assert (x + x).dtype == yiti.int8 and (x + x).tolist() == [-16, 0]
    assert (x * yiti.tensor([2, 3], dtype="uint8")).tolist() == [240, -384]  # int16 has both
    assert abs(yiti.tensor([-3, 4], dtype="int16")).tolist() == [3, 4]


def test_assignment_by_a_mask():
    x = yiti.arange(6, dtype=yiti.float32).reshape(2, 3).copy()
    x[x > 2] = -1
    assert x.tolist() == [[0, 1, 2], [-1, -1, -1]]
    x[yiti.tensor([True, False])] = yiti.tensor([7.0, 8, 9])
    assert x.tolist() == [[7, 8, 9], [-1, -1, -1]]
    with pytest.raises(ValueError, match="mask"):
        x[yiti.tensor([True])] = 1
    with pytest.raises(ValueError, match="one value for all"):
        x[x > 0] = yiti.tensor([1.0, 2, 3])
