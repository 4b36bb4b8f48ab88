"""Devices of plug-ins, through the template and through OpenCL where that is here."""
import numpy as np
import pytest

import yiti
from yiti import nn, optim

from conftest import ROOT

NOT_HERE = "the plug-in is not in YITI_DEVICE_PATH, or has no device"


def names():
    return {device["name"].partition(":")[0] for device in yiti.devices() if not device["problem"]}


@pytest.fixture(params=["template", "opencl"])
def device(request):
    if request.param not in names():
        pytest.skip(NOT_HERE)
    return request.param


def test_are_listed(device):
    (entry,) = [d for d in yiti.devices() if d["name"] == f"{device}:0"]
    assert entry["title"] and entry["problem"] == ""
    opened = yiti.load_device(device)
    assert opened.kind == device and repr(opened) == f"yiti.Device({device})"
    assert yiti.ones(2, device=device).device is opened
    assert yiti.load_device(device, fallback="refuse") is not opened
    yiti.load_device(device)


def test_tensors_move(device):
    x = yiti.arange(6, dtype="float32").reshape(2, 3)
    there = x.to(device)
    assert there.device.kind == device and there.to(device).device is there.device
    assert there.tolist() == x.tolist() and "5" in repr(there)
    assert there.T.numpy().tolist() == x.T.tolist() and there[1, 2].item() == 5
    assert (there * 2 + there).to("cpu").tolist() == (x * 3).tolist()
    assert there.to("cpu").device is x.device
    assert np.asarray(there).tolist() == x.tolist()
    assert yiti.tensor(x.numpy(), device=device).tolist() == x.tolist()
    assert yiti.tensor([[1, 2]], device=device).device.kind == device
    there[...] = x + 1
    assert there.tolist() == (x + 1).tolist()
    with pytest.raises(BufferError, match="host memory"):
        memoryview(there)
    with pytest.raises(NotImplementedError, match="strided view"):
        there[:, 1] = 0
    with pytest.raises(ValueError, match="device"):
        there + x


def test_gradients_flow_through_a_move(device):
    x = yiti.tensor([1.0, 2.0], requires_grad=True)
    (x.to(device) * x.to(device)).to("cpu").sum().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.device is x.device


def test_a_network_trains(device):
    yiti.manual_seed(0)
    inputs = yiti.randn(32, 4)
    labels = (inputs.sum(1) > 0).astype("int32")
    losses = {}
    for where in ("cpu", device):
        yiti.manual_seed(1)
        net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        assert net.to(where) is net
        optimizer, loss_of = optim.AdamW(net.parameters(), lr=0.05), nn.CrossEntropyLoss()
        x, wanted = inputs.to(where), labels.to(where)
        losses[where] = []
        for _ in range(10):
            loss = loss_of(net(x), wanted)
            optimizer.zero_grad()
            loss.backward()
            optim.clip_grad_norm(net.parameters(), 1.0)
            optimizer.step()
            losses[where].append(loss.item())
    np.testing.assert_allclose(losses[device], losses["cpu"], rtol=1e-4)
    assert losses[device][-1] < losses[device][0]
    counters = yiti.ones(1, device=device).device.counters
    assert counters["ops"] + counters["host_ops"] > 0


def test_a_language_model_runs(device, tiny_chat):
    model = yiti.load(ROOT / "tests/data/tiny_chat", device=device, max_tokens=256)
    ids = tiny_chat.tokenizer.encode("hello there")
    np.testing.assert_allclose(model.logprobs(ids), tiny_chat.logprobs(ids), atol=1e-3)
    assert model.generate("hello", max_tokens=4, temperature=0).tokens
    module = model.add_adapter(rank=2, seed=1).as_module()
    module(yiti.tensor(ids, dtype="int32", device=device)).sum().backward()
    assert all(p.grad.device.kind == device for p in module.parameters())


@pytest.mark.parametrize("call, error, text", [
    (lambda: yiti.load_device("nothing"), FileNotFoundError, "no plug-in nothing"),
    (lambda: yiti.ones(2).to("nothing"), FileNotFoundError, "no plug-in nothing"),
    (lambda: yiti.ones(2, device=3), TypeError, "device is a int; wants a yiti.Device or its name"),
    (lambda: yiti.load_device("cpu", fallback="x"), ValueError, "fallback"),
    (lambda: yiti.load_device("cpu", threads=-1), ValueError, "threads"),
    (lambda: yiti.load_device("/no/such/file.so"), FileNotFoundError, "/no/such/file.so")])
def test_errors_name_what_is_wrong(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_cpu_devices_have_names_too():
    assert yiti.load_device("cpu").kind == "cpu" and yiti.cpu(threads=1).row_contract
    assert yiti.ones(2).to("cpu").device.kind == "cpu" and isinstance(yiti.devices("/nowhere"), list)
