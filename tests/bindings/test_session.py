"""Modules compiled to sessions: the bits of their forward."""
import sys

import pytest

import yiti
from yiti import nn

from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples/python"))
import char_gpt  # noqa: E402


def test_char_gpt_learns_and_compiles():
    text = char_gpt.Text((ROOT / "docs/design.md").read_text(encoding="utf-8"))
    yiti.manual_seed(0)
    model = char_gpt.CharGpt(len(text.characters), context=32, features=32, heads=2)
    losses = char_gpt.train(model, text, steps=80, pieces=4)
    assert sum(losses[-10:]) / 10 < 0.75 * losses[0]
    ids, positions, _ = text.batch(2, 32)
    session = yiti.Session.compile(model, ids, positions, max_batch=64)
    for size in (1, 17, 32, 64):
        wanted = model(ids[:size], positions[:size])
        assert session(ids[:size], positions[:size]).tolist() == wanted.tolist()
    assert len(char_gpt.generate(session, text, 32, "A file", 5)) == 11
    assert "attention" in session.explain()


def test_a_session_keeps_its_parameters_until_it_loads():
    model = nn.Linear(3, 2)
    x = yiti.randn(4, 3)
    session = yiti.Session.compile(model, x)
    before = model(x).tolist()
    with yiti.no_grad():
        model.weight[...] = 1
    assert session(x).tolist() == before
    session.load()
    assert session(x).tolist() == model(x).tolist() != before
    with pytest.raises(ValueError):
        session.load(nn.Linear(3, 3))


def test_views_of_parameters_and_constants():
    class Net(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(yiti.randn(3, 3))
            self.register_buffer("offset", yiti.randn(3))

        def forward(self, x):
            square = yiti.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
            return x @ self.w.T + (x @ square.T + x @ square) * self.offset, self.w[0] * x

    net, x = Net(), yiti.randn(2, 3)
    session = yiti.Session.compile(net, x)
    for got, wanted in zip(session(x), net(x)):
        assert got.tolist() == wanted.tolist()


def test_rejects():
    model, x = nn.Linear(3, 2), yiti.randn(4, 3)
    session = yiti.Session.compile(model, x, max_batch=4)
    with pytest.raises(ValueError, match="5"):
        session(yiti.randn(5, 3))
    with pytest.raises(ValueError, match="input 0"):
        session(yiti.randn(2, 4))
    with pytest.raises(ValueError, match="inputs"):
        session()

    class Looks(nn.Module):
        def forward(self, x):
            return x * x.sum().item()

    with pytest.raises(yiti.FailedPreconditionError, match="no data"):
        yiti.Session.compile(Looks(), x)


def test_a_reshape_that_copies_wants_contiguous():
    class Turned(nn.Module):
        contiguous = False

        def forward(self, x):
            turned = (x * 2).permute(1, 0)
            return (yiti.contiguous(turned) if self.contiguous else turned).reshape(-1) + 1

    net, x = Turned(), yiti.randn(3, 4)
    with pytest.raises(yiti.UnimplementedError, match="contiguous"):
        yiti.Session.compile(net, x)(x)
    net.contiguous = True
    assert yiti.Session.compile(net, x)(x).tolist() == net(x).tolist()


def test_dropout_is_off_and_training_goes_on():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2))
    x = yiti.randn(4, 3)
    session = yiti.Session.compile(model, x)
    assert model.training
    assert session(x).tolist() == model.eval()(x).tolist()
