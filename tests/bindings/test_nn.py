"""Modules, optimisers and data; the digits' networks train to what the C++ example reaches."""
import numpy as np
import pytest

import yiti
from yiti import nn, optim
from yiti.data import Batches

from conftest import ROOT

import sys
sys.path.insert(0, str(ROOT / "examples/python"))
import digits  # noqa: E402


def test_names_and_state(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
            self.norm = nn.LayerNorm(2)
            self.register_buffer("scale", yiti.ones(1))

        def forward(self, x):
            return self.norm(self.layers(x)) * self.scale

    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "layers.0.weight", "layers.0.bias", "layers.2.weight", "norm.weight", "norm.bias"]
    assert "scale" in net.state_dict()
    net.save(tmp_path / "net.safetensors")
    other = Net()
    x = yiti.randn(5, 3)
    assert net(x).tolist() != other(x).tolist()
    other.load(tmp_path / "net.safetensors")
    assert net(x).tolist() == other(x).tolist()
    with pytest.raises(ValueError, match="misses"):
        other.load_state_dict({})
    bad = dict(net.state_dict(), scale=yiti.ones(2))
    with pytest.raises(ValueError, match="scale"):
        other.load_state_dict(bad)
    assert "Linear(3, 4, bias=True)" in repr(net)


def test_train_and_eval():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4))
    x = yiti.ones(2, 4)
    assert net(x).tolist() != net(x).tolist()
    net.eval()
    assert net(x).tolist() == net(x).tolist()


def test_freezing():
    layer = nn.Linear(2, 2).requires_grad_(False)
    assert not layer(yiti.ones(1, 2)).requires_grad


@pytest.mark.parametrize("make", [
    lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.1), lambda p: optim.SGD(p, lr=0.05),
    lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)])
def test_optimisers_go_on_from_their_state(make):
    def steps(parameter, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            (parameter * parameter).sum().backward()
            optimizer.step()

    once = nn.Parameter(yiti.tensor([1.0, -2.0]))
    whole = make([once])
    steps(once, whole, 5)
    assert repr(whole).endswith("(1 parameters, lr=%g, steps=5)" % whole.lr)
    kept = {name: tensor.copy() for name, tensor in whole.state_dict().items()}
    again = nn.Parameter(once.copy())
    steps(once, whole, 5)
    resumed = make([again])
    resumed.load_state_dict(kept)
    steps(again, resumed, 5)
    assert again.tolist() == once.tolist() and resumed.steps == 10
    assert abs(once).sum().item() < 3


def test_adamw_is_that_of_its_paper():
    w, g = 1.0, 0.5
    parameter = nn.Parameter(yiti.tensor([w]))
    parameter.grad = yiti.tensor([g])
    optim.AdamW([parameter], lr=0.1, weight_decay=0.01).step()
    assert parameter.item() == pytest.approx(w * (1 - 0.1 * 0.01) - 0.1 * g / (g + 1e-8), rel=1e-6)


def test_clipping_and_schedules():
    parameter = nn.Parameter(yiti.ones(4))
    parameter.grad = yiti.full((4,), 3.0)
    assert optim.clip_grad_norm([parameter], 1.0) == 6
    assert parameter.grad.tolist() == pytest.approx([0.5] * 4, rel=1e-5)
    schedule = optim.Schedule("linear", lr=1.0, total_steps=10, warmup_steps=2)
    assert [schedule(step) for step in (0, 1, 2, 6)] == [0, 0.5, 1, 0.5]
    with pytest.raises(ValueError):
        optim.Schedule("square", lr=1)
    with pytest.raises(ValueError, match="gradient"):
        optim.SGD([yiti.ones(2)])


def test_batches():
    yiti.manual_seed(1)
    x = yiti.arange(10)
    batches = Batches(x, x * 2, batch_size=4)
    assert len(batches) == 3
    seen = [a.tolist() for a, b in batches if (a * 2).tolist() == b.tolist()]
    assert sorted(sum(seen, [])) == list(range(10)) and seen[0] != [0, 1, 2, 3]
    assert [a.tolist() for (a,) in Batches(x, batch_size=4, shuffle=False, drop_last=True)] == [
        [0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ValueError):
        Batches(x, yiti.ones(3), batch_size=2)


def test_layers_against_numpy():
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    layer = nn.LayerNorm(6)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(yiti.asarray(x)).numpy(), wanted, rtol=1e-5, atol=1e-6)
    logits, labels = yiti.asarray(x), yiti.tensor([1, -100])
    loss = nn.CrossEntropyLoss()(logits, labels).item()
    assert loss == pytest.approx(float(np.log(np.exp(x[0]).sum()) - x[0, 1]), rel=1e-5)
    attention = nn.CausalSelfAttention(8, 2)
    y = attention(yiti.ones(2, 3, 8))
    assert y.shape == (2, 3, 8)


# Of 360 pictures: 90.0 % and 94.2 %. The same bits everywhere; tests/interop has torch's accuracy.
@pytest.mark.parametrize("make, right", [(digits.make_mlp, 324), (digits.make_conv, 339)])
def test_digits(make, right):
    data = digits.load_data(ROOT / "examples/data/digits/digits.safetensors")
    yiti.manual_seed(1)
    model = make()
    digits.train(model, *data.train)
    images, labels = data.test
    assert round(digits.accuracy(model, images, labels) * len(labels)) == right
    session = yiti.Session.compile(model, images[:64], max_batch=64)
    for size in (1, 7, 64):
        assert session(images[:size]).tolist() == model(images[:size]).tolist()
