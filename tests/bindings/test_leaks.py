"""Training steps leave neither Python objects nor storage behind."""
import gc
import sys
import weakref

import pytest

import yiti
from yiti import nn, optim

STEPS = [500, pytest.param(10_000, marks=pytest.mark.long)]


class Halved(yiti.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 0.5

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 0.5 + x * 0


class Net(nn.Module):
    def __init__(self):
        self.first, self.drop, self.last = nn.Linear(8, 16), nn.Dropout(0.1), nn.Linear(16, 3)

    def forward(self, x):
        hidden = yiti.checkpoint(lambda y: yiti.gelu(self.first(y)), x)
        return self.last(Halved.apply(self.drop(hidden)))


def state():
    """Objects, blocks of Python's allocator, and bytes of tensors that are alive."""
    gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks(), yiti.default_device().live_bytes


@pytest.mark.parametrize("steps", STEPS)
def test_training_steps(steps):
    yiti.manual_seed(0)
    net, loss_of = Net(), nn.CrossEntropyLoss()
    optimizer = optim.AdamW(net.parameters(), lr=1e-3)

    def train(count):
        for step in range(count):
            x = yiti.randn(4, 8).requires_grad_()
            labels = yiti.asarray(x.numpy()[:, 0] > 0).astype("int32")
            loss = loss_of(net(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optim.clip_grad_norm(net.parameters(), 1.0)
            optimizer.step()
            yiti.value_and_grad(lambda w: (w[1:, ::2] * 2).sum())(x.detach())
            net(x).sum()  # followed, and never differentiated
            with yiti.no_grad():
                net.last.bias[...] = net.last.bias * 0.999
            with pytest.raises(ValueError):
                x.reshape(5, 5)

    train(300)  # what is cached is there
    objects, blocks, live = state()
    train(steps)
    after = state()
    # Blocks of free lists and of the allocator's own tables vary by some.
    assert abs(after[0] - objects) <= 5 and abs(after[1] - blocks) <= 300
    assert after[2] - live <= 256 * 4096  # ops that are not swept yet, no more with the steps


@pytest.mark.parametrize("steps", STEPS)
def test_inference(tiny_chat, steps):
    def run(count):
        for i in range(count // 10):
            tiny_chat.generate("hello", max_tokens=2, temperature=1, seed=i)
            tiny_chat.logprobs("hello there")

    run(100)
    objects, blocks, live = state()
    run(steps)
    after = state()
    assert abs(after[0] - objects) <= 5 and abs(after[1] - blocks) <= 300 and after[2] == live


def test_cycles_are_collected():
    gc.collect()
    live = yiti.default_device().live_bytes
    tensor = nn.Parameter(yiti.zeros(1000))
    tensor.itself = tensor
    net = nn.Sequential(nn.Linear(100, 10))
    net.owner = [net]
    held = [weakref.ref(tensor), weakref.ref(net)]
    assert yiti.default_device().live_bytes > live + 4 * 1000
    del tensor, net
    gc.collect()
    assert [ref() for ref in held] == [None, None]
    for _ in range(300):  # the tape forgets what is gone
        (yiti.ones(1).requires_grad_() * 2).sum()
    assert yiti.default_device().live_bytes - live < 256 * 1024


def test_a_function_that_holds_its_output_is_forgotten():
    class Kept(yiti.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.y = x * 2
            return ctx.y

        @staticmethod
        def backward(ctx, dy):
            return dy * ctx.y

    w = yiti.ones(1000, requires_grad=True)
    Kept.apply(w)
    live = yiti.default_device().live_bytes
    for _ in range(3000):
        Kept.apply(w)
    gc.collect()
    assert yiti.default_device().live_bytes - live < 1024 * 4096


def test_tensors_outlive_their_module_and_optimizer():
    net = nn.Linear(4, 4)
    weight = net.weight
    loss = net(yiti.ones(2, 4)).sum()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    del net
    gc.collect()
    loss.backward()
    optimizer.step()
    del optimizer
    gc.collect()
    assert weight.grad.tolist() == [[2, 2, 2, 2]] * 4 and weight.shape == (4, 4)
