"""Seconds of one call of some work in Python, by yiti or by torch, as JSON.

    python_work.py SIDE WORK [--threads N]

SIDE is yiti or torch. The median over runs of many calls each, after one that warms up.
"""
import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
ENOUGH_SECONDS, RUNS = 2.0, 15
BATCH = 32                             # digits
PIECES, CONTEXT, CHARACTERS = 8, 64, 65  # the GPT
SMALL, LARGE = 1 << 8, 1 << 26         # elements of arrays that change hands


class Yiti:
    """What the work needs of a library, by yiti."""

    def __init__(self, threads):
        import yiti
        self.lib = yiti
        yiti.set_default_device(yiti.cpu(threads))
        sys.path.insert(0, str(ROOT / "examples" / "python"))

    def array(self, values, requires_grad=False):
        return self.lib.tensor(values, requires_grad=requires_grad)

    def from_numpy(self, values):
        return self.lib.asarray(values)

    def digits(self, kind):
        import digits
        return getattr(digits, f"make_{kind}")()

    def char_gpt(self):
        from char_gpt import CharGpt
        positions = self.lib.arange(CONTEXT).expand(PIECES, CONTEXT).reshape(-1).astype("int32")
        model = CharGpt(CHARACTERS, CONTEXT)
        return model, lambda ids: model(ids, positions)

    def step(self, model, inputs, labels, forward=None, clip=None):
        optimizer = self.lib.optim.AdamW(model.parameters(), lr=3e-3)
        loss_of, forward = self.lib.nn.CrossEntropyLoss(), forward or model
        inputs, labels = self.array(inputs), self.array(labels.astype(np.int32))

        def step():
            loss = loss_of(forward(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                self.lib.optim.clip_grad_norm(model.parameters(), clip)
            optimizer.step()
            return loss.item()
        return step

    def gpt_step(self, ids, targets):
        model, forward = self.char_gpt()
        return self.step(model, ids.reshape(-1).astype(np.int32), targets.reshape(-1), forward, 1.0)


class Torch:
    """The same by torch."""

    def __init__(self, threads):
        import torch
        self.lib = torch
        torch.set_num_threads(threads)
        import torch_examples
        self.examples = torch_examples

    def array(self, values, requires_grad=False):
        return self.lib.tensor(values, requires_grad=requires_grad)

    def from_numpy(self, values):
        return self.lib.from_numpy(values)

    def digits(self, kind):
        return getattr(self.examples, f"make_{kind}")()

    def step(self, model, inputs, labels, clip=None):
        optimizer = self.examples.make_optimizer(model)
        inputs, labels = self.array(inputs), self.array(labels.astype(np.int64))
        return lambda: self.examples.step(model, optimizer, inputs, labels, clip).item()

    def gpt_step(self, ids, targets):
        return self.step(self.examples.CharGpt(CHARACTERS, CONTEXT), ids, targets, 1.0)


def small(side, requires_grad=False):
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    return side.array(values, requires_grad)


def add(side):
    x, y = small(side), small(side)
    return lambda: x + y


def scale(side):
    x = small(side)
    return lambda: x * 2.0


def relu(side):
    x, f = small(side), side.lib.relu
    return lambda: f(x)


def total(side):
    x = small(side)
    return lambda: x.sum()


def matmul(side):
    x, y = small(side), small(side)
    return lambda: x @ y


def reshape(side):
    x = small(side)
    return lambda: x.reshape(4, 16)


def index(side):
    x = small(side)
    return lambda: x[1]


def tracked(side):
    x = small(side, requires_grad=True)
    y = small(side)
    return lambda: x + y


def backward(side):
    x = small(side, requires_grad=True)

    def run():
        (x * x).sum().backward()
        x.grad = None
    return run


def digits_step(kind):
    def make(side):
        rng = np.random.default_rng(0)
        images = rng.random((BATCH, 1, 8, 8), dtype=np.float32)
        return side.step(side.digits(kind), images, rng.integers(0, 10, BATCH))
    return make


def gpt_step(side):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CHARACTERS, (PIECES, CONTEXT + 1))
    return side.gpt_step(ids[:, :-1], ids[:, 1:])


def exchange(way, elements):
    """An array that changes hands: from or to NumPy, from or to another library by DLPack."""
    def make(side):
        array = np.zeros(elements, np.float32)
        tensor = side.from_numpy(array)
        return {"from_numpy": lambda: side.from_numpy(array), "to_numpy": tensor.numpy,
                "from_dlpack": lambda: side.lib.from_dlpack(array),
                "to_dlpack": lambda: np.from_dlpack(tensor)}[way]
    return make


CALLS = {"add": add, "scale": scale, "relu": relu, "sum": total, "matmul": matmul,
         "reshape": reshape, "index": index, "tracked": tracked, "backward": backward}
STEPS = {"mlp": digits_step("mlp"), "conv": digits_step("conv"), "gpt": gpt_step}
WAYS = ("from_numpy", "to_numpy", "from_dlpack", "to_dlpack")
EXCHANGES = {f"{way}_{name}": exchange(way, elements) for way in WAYS
             for name, elements in (("small", SMALL), ("large", LARGE))}
WORK = {**CALLS, **STEPS, **EXCHANGES}


def seconds_of_call(call):
    call()
    count, taken = 1, 0.0
    while taken < ENOUGH_SECONDS / RUNS / 2:
        count *= 2
        taken = seconds_of(call, count)
    return statistics.median(seconds_of(call, count) / count for _ in range(RUNS))


def seconds_of(call, count):
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=["yiti", "torch"])
    parser.add_argument("work", choices=list(WORK))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    side = {"yiti": Yiti, "torch": Torch}[options.side](options.threads)
    print(json.dumps({"seconds": seconds_of_call(WORK[options.work](side))}))


if __name__ == "__main__":
    main()
