"""Gradients: backward, no_grad, transforms, functions of one's own."""
import gc
import threading
import weakref

import numpy as np
import pytest

import yiti


def leaf(*values):
    return yiti.tensor(list(values), requires_grad=True)


def test_backward_adds_to_the_leaves():
    x = leaf(1.0, 2.0, 3.0)
    assert x.requires_grad and x.is_leaf and x.grad is None
    y = (x * x).sum()
    assert y.requires_grad and not y.is_leaf
    y.backward()
    assert x.grad.tolist() == [2, 4, 6]
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 8, 12]
    x.grad = None
    assert x.grad is None


def test_losses_that_share_nothing_are_independent():
    x = leaf(2.0)
    first, second = x * x, x * x * x
    first.backward()
    second.backward()
    assert x.grad.tolist() == [4 + 12]


def test_leaves_of_different_places_meet():
    a, b = leaf(2.0), leaf(3.0)
    (a * b).backward()
    assert a.grad.item() == 3 and b.grad.item() == 2


def test_backward_twice_says_so():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(yiti.FailedPreconditionError, match="differentiated already"):
        y.backward()


def test_backward_rejects():
    with pytest.raises(RuntimeError, match="depends on no watched tensor"):
        yiti.ones(1).backward()
    with pytest.raises(ValueError, match="seed"):
        (leaf(1.0, 2.0) * 2).backward()
    x = leaf(1.0, 2.0)
    (x * 3).backward(yiti.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [3, 30]
    with pytest.raises(ValueError, match="floating"):
        yiti.tensor([1], requires_grad=True)
    with pytest.raises(ValueError):
        x.grad = yiti.ones(3)


def test_no_grad_and_detach():
    x = leaf(1.0)
    with yiti.no_grad():
        assert not (x * 2).requires_grad
        with yiti.no_grad():
            pass
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    assert not x.detach().requires_grad

    @yiti.no_grad()
    def double(value):
        return value * 2

    assert not double(x).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad


def test_no_grad_is_of_a_thread():
    x, seen = leaf(1.0), []
    with yiti.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_assignment_needs_no_grad():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="no_grad"):
        x[0] = 5
    with yiti.no_grad():
        x[0] = 5
    assert x.tolist() == [5, 2]


def test_grad_and_value_and_grad():
    def f(x, y):
        return (x * x * y).sum()

    x, y = yiti.tensor([1.0, 2.0]), yiti.tensor([3.0, 4.0])
    value, gradient = yiti.value_and_grad(f)(x, y)
    assert value.item() == 19 and gradient.tolist() == [6, 16]
    assert yiti.grad(f, argnums=1)(x, y).tolist() == [1, 4]
    dx, dy = yiti.grad(f, argnums=(0, 1))(x, y)
    assert dx.tolist() == [6, 16] and dy.tolist() == [1, 4]
    assert not x.requires_grad


def test_grad_leaves_gathered_gradients_alone():
    w = leaf(3.0)
    (w * w).backward()
    assert yiti.grad(lambda x: x * w)(yiti.tensor(2.0)).item() == 3
    assert w.grad.item() == 6


def test_grad_of_grad_is_refused():
    f = yiti.grad(lambda x: x * x * x)
    with pytest.raises(yiti.UnimplementedError):
        yiti.grad(lambda x: f(x) * x)(yiti.tensor(2.0))


def test_vjp():
    y, pull_back = yiti.vjp(lambda a, b: a * b, yiti.tensor([1.0, 2.0]), yiti.tensor([3.0, 4.0]))
    assert y.tolist() == [3, 8]
    da, db = pull_back(yiti.tensor([1.0, 10.0]))
    assert da.tolist() == [3, 40] and db.tolist() == [1, 20]


def test_checkpoint_gives_the_same_bits():
    yiti.manual_seed(0)
    w = yiti.randn(8, 8, requires_grad=True)
    x = yiti.randn(4, 8)
    calls = []

    def block(h):
        calls.append(1)
        return yiti.gelu(yiti.linear(h, w))

    block(x * 1).sum().backward()
    plain = w.grad.tolist()
    w.grad = None
    h = x.requires_grad_()
    yiti.checkpoint(block, h).sum().backward()
    assert w.grad.tolist() == plain
    assert len(calls) == 3


class Exp(yiti.Function):
    """e^x with its own gradient."""

    @staticmethod
    def forward(ctx, x):
        y = yiti.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * y


def test_function_with_its_own_gradient():
    x, z = leaf(0.5, 1.0), leaf(0.5, 1.0)
    Exp.apply(x * 2).sum().backward()
    yiti.exp(z * 2).sum().backward()
    assert x.grad.tolist() == z.grad.tolist()
    assert not Exp.apply(yiti.ones(1)).requires_grad


class TwoInTwoOut(yiti.Function):
    @staticmethod
    def forward(ctx, a, factor, b):
        return a * factor, a * b

    @staticmethod
    def backward(ctx, da, dab):
        return da, None


class Wrong(yiti.Function):
    @staticmethod
    def forward(ctx, a):
        return a * 1

    @staticmethod
    def backward(ctx, da):
        raise KeyError("from backward")


def test_functions_of_several_tensors():
    a, b = leaf(2.0), leaf(3.0)
    first, _ = TwoInTwoOut.apply(a, 5.0, b)
    first.backward()
    assert a.grad.item() == 1 and b.grad.item() == 0


def test_an_error_in_backward_arrives():
    x = leaf(1.0)
    with pytest.raises(KeyError, match="from backward"):
        Wrong.apply(x).backward()
    (x * 2).backward()
    assert x.grad.item() == 2


def test_what_is_dropped_is_forgotten():
    w = yiti.ones(1000, requires_grad=True)
    device = w.device
    (w * 2).sum()
    before = device.live_bytes
    for _ in range(3000):
        yiti.exp(w * w)
    assert device.live_bytes - before < 4000 * 1000
    seen = weakref.ref(w)
    del w
    gc.collect()
    assert seen() is None


def test_steps_do_not_leak():
    x = yiti.ones(64)
    w = yiti.ones(64, requires_grad=True)
    device = w.device
    for step in range(2000):
        w.grad = None
        Exp.apply(w * x).sum().backward()
        if step == 100:
            before = device.live_bytes
    assert device.live_bytes <= before + 64 * 1024


def test_threads_train_beside_one_another():
    results = {}

    def train(name):
        w = yiti.full((4,), 1.0, requires_grad=True)
        for _ in range(50):
            w.grad = None
            (w * w).sum().backward()
        results[name] = w.grad.tolist()

    threads = [threading.Thread(target=train, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[i] == [2, 2, 2, 2] for i in range(4))


def test_gradients_of_indexing_and_numpy_like_ops():
    source = np.arange(12, dtype=np.float64).reshape(3, 4)
    x = yiti.tensor(source, requires_grad=True)
    (x[1:, ::2] * 2).sum().backward()
    wanted = np.zeros((3, 4))
    wanted[1:, ::2] = 2
    np.testing.assert_array_equal(x.grad.numpy(), wanted)
    x.grad = None
    (x[[0, 0, 2]] * 3).sum().backward()
    assert x.grad.sum(1).tolist() == [24, 0, 12]
