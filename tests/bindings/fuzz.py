"""Calls everything of the package with arguments that are mostly of the right kind, until time is up.

    fuzz.py LOG SEED SECONDS [FIRST]

Writes each call to LOG before it is made, so that the last line tells what a crash was made of: the
call's number, which gives the same call again as FIRST. Exit status 1, with the call, where one raises
what it should not.
"""
import ast
import math
import os
import pathlib
import random
import re
import resource
import sys
import time
import warnings

import numpy as np

import yiti
from yiti import nn, optim

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTS = [0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 8, -1, -1, -2, -3, 7, 31, 64, 100, 2**15, 2**31 - 1, 2**31, -2**31,
        2**40, 2**62, 2**63 - 1, -2**63, 2**63, 2**64, -2**100]
FLOATS = [0.0, 1.0, 0.5, -1.0, 2.0, 1e-6, 1e-45, 3.4e38, 1e308, -1e308, math.inf, -math.inf, math.nan]
SIZES = [0, 1, 1, 1, 2, 2, 3, 4, 5, 8, 16, 17, 32, 33, 64]
PLAIN = [yiti.float32, yiti.float64, yiti.float16, yiti.bfloat16, yiti.int64, yiti.int32, yiti.int16,
         yiti.int8, yiti.uint8, yiti.bool]
KINDS = {"f32 or f64": PLAIN[:1] * 3 + PLAIN[:2], "i32 or i64": [yiti.int32, yiti.int64],
         "f64, f32, f16 or bf16": PLAIN[:4], "f32, f64, i32 or i64": PLAIN[:2] + PLAIN[4:6],
         "a float or quantised type": PLAIN[:1] * 2 + PLAIN[:4], "any type": PLAIN[:1] * 4 + PLAIN}
ALLOWED = (yiti.Error, TypeError, ValueError, OverflowError, MemoryError, IndexError, KeyError,
           BufferError, AttributeError, ZeroDivisionError, NotImplementedError)
# They end the process's output, change all later calls, or wait for a person or a file.
SKIPPED = {"load_model", "load_safetensors", "save_safetensors", "safetensors_metadata", "manual_seed",
           "set_default_device", "set_recording", "is_recording", "default_device", "cpu", "devices",
           "load_device", "from_dlpack"}


class Junk:
    """Has none of what a caller looks for."""


class Fuzzer:
    def __init__(self, seed):
        self.seed = seed
        self.weights = quantised_weights()
        self.uninitialised = [cls.__new__(cls) for cls in (yiti.Tensor, yiti.nn.Parameter)]
        self.model = yiti.load(ROOT / "tests/data/tiny_chat", max_tokens=256)
        self.calls = (self.ops() + self.functions() + self.methods() + self.classes() +
                      self.language())

    def ops(self):
        return [OpCall(self, getattr(yiti.ops, name)) for name in dir(yiti.ops)
                if not name.startswith("_") and name != "Tensor"] * 3

    def functions(self):
        names = [name for name in dir(yiti._yiti) if name not in SKIPPED and not name.startswith("_")]
        made = [getattr(yiti._yiti, name) for name in names]
        found = [f for f in made if callable(f) and not isinstance(f, type)]
        found += [yiti.grad, yiti.vjp, yiti.value_and_grad]
        return [AnyCall(self, f, f.__name__) for f in found] * 2

    def methods(self):
        skipped = {"__init__", "__new__", "__getattribute__", "__setattr__", "__delattr__", "__class__",
                   "__init_subclass__", "__subclasshook__", "__reduce__", "__reduce_ex__", "__dir__"}
        names = [name for name in dir(yiti.Tensor) if name not in skipped]
        return [MethodCall(self, name) for name in names] * 2

    def classes(self):
        found = [yiti.Tensor, optim.Schedule, optim.AdamW, optim.SGD, yiti.data.Batches]
        found += [getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)]
        return [ClassCall(self, cls) for cls in found] * 2

    def language(self):
        """Generation is not among them: it takes its time whatever is asked for."""
        pairs = [(self.model, ("forward", "embed", "logprobs", "trainable", "add_adapter"))]
        pairs.append((self.model.tokenizer, ("encode", "decode", "token_id", "render_chat", "encode_chat")))
        return [AnyCall(self, getattr(owner, name), name, skip=1) for owner, names in pairs
                for name in names]

    def call(self, number):
        """A call, described, and what makes it."""
        self.draw = random.Random(f"{self.seed}:{number}")
        self.sizes = {}
        return self.draw.choice(self.calls).make()

    # Arguments.

    def size(self, symbol=None):
        if symbol is None or self.draw.random() < 0.02:
            return self.draw.choice(SIZES)
        if symbol.isdigit():
            return int(symbol)
        return self.sizes.setdefault(symbol, self.draw.choice(SIZES))

    def shape(self, dims="of any shape"):
        if self.draw.random() < 0.1:
            dims = "of any shape"
        if dims == "of any shape":
            if "*" not in self.sizes or self.draw.random() < 0.1:
                self.sizes["*"] = [self.size() for _ in range(self.draw.choice([0, 1, 1, 2, 2, 3, 4, 8]))]
            return self.sizes["*"] if math.prod(self.sizes["*"]) < 10**6 else [2]
        shape = []
        for part in dims.strip("[]").split(", "):
            if part == "...":
                shape += self.sizes.setdefault("...", [self.size() for _ in range(self.draw.randrange(3))])
            else:
                shape.append(self.size(part))
        while math.prod(shape) > 10**6:
            shape[shape.index(max(shape))] = 1
        return shape

    def tensor(self, dims="of any shape", kind="any type"):
        draw = self.draw
        if kind == "a float or quantised type" and self.weights and draw.random() < 0.3:
            weight = draw.choice(self.weights)
            self.sizes.update(zip(dims.strip("[]").split(", "), weight.shape))
            return weight
        dtype = draw.choice(KINDS[kind] if draw.random() < 0.95 else PLAIN)
        shape = self.shape(dims)
        if dtype.is_floating:
            value = np.asarray(draw.choice(FLOATS)) if draw.random() < 0.2 else \
                np.random.default_rng(draw.getrandbits(32)).standard_normal(shape)
        else:
            high = draw.choice([1, 2, 4, 16, 100]) if draw.random() < 0.9 else 2**31
            low = -high if draw.random() < 0.2 else 0
            value = np.random.default_rng(draw.getrandbits(32)).integers(low, high, shape)
        with np.errstate(all="ignore"):
            x = yiti.tensor(np.broadcast_to(value, shape).astype(np.float64)).astype(dtype)
        if len(shape) > 1 and draw.random() < 0.15:
            x = yiti.permute(x, list(reversed(range(len(shape)))))
        elif shape and draw.random() < 0.1:
            x = x[::2]
        elif shape and draw.random() < 0.05:
            x = x[:1].expand(*shape) if shape[0] else x
        if dtype.is_floating and draw.random() < 0.15:
            x.requires_grad = True
        return x

    def junk(self):
        draw = self.draw
        return draw.choice([
            None, True, "x", "f32", "", "\0", b"x", [], (), {}, [1, 2], (0, -1), [None], [[1], [2, 3]],
            Junk(), Junk, object(), len, 1j, slice(None), slice(2, -5, -2), Ellipsis, np.float32(2),
            np.ones((2, 0)), np.array("text"), np.ones(3, ">f4"), np.arange(4)[::-1], range(3),
            yiti.float32, yiti.default_device(), iter([1]), nn.ReLU(), lambda *x: x[0] if x else 1,
            lambda *x: draw.choice(x).sum(), draw.choice(INTS), draw.choice(FLOATS),
            [draw.choice(INTS) for _ in range(draw.randrange(10))], *self.uninitialised])

    def value(self, annotation, default=None):
        """For an argument with this annotation."""
        draw = self.draw
        if draw.random() < 0.06:
            return self.junk()
        if "Sequence[Tensor]" in annotation or "list[yiti._yiti.Tensor]" in annotation:
            return [self.tensor() for _ in range(draw.randrange(4))]
        if "Tensor" in annotation and "float" not in annotation:
            return self.tensor()
        if "Sequence[int]" in annotation:
            if draw.random() < 0.5:
                return [draw.choice(INTS[:15]) for _ in range(draw.randrange(5))]
            return [draw.choice(INTS) for _ in range(draw.randrange(10))]
        if "list[dict]" in annotation:
            return [{"role": draw.choice(["user", "assistant", "", None, 3]),
                     "content": draw.choice(["hi", "", "\ud800", math.nan, None, [{"type": "text"}]])}]
        if "str | list[int]" in annotation:
            return draw.choice(["hello there", "", "<|im_start|>", [1, 2, 3], [1, 10**6], [1, -1], [1]])
        if "int" in annotation:
            return draw.choice(INTS[:15] if draw.random() < 0.6 else INTS)
        if "float" in annotation:
            return draw.choice(FLOATS)
        if "bool" in annotation:
            return draw.random() < 0.5
        if "str" in annotation:
            return draw.choice(["f32", "f16", "i8", "q4_0", "bool", "", "none", "adamw", "linear"])
        if "dtype" in annotation:
            return draw.choice(PLAIN)
        return draw.choice([self.tensor(), draw.choice(INTS), draw.choice(FLOATS), self.junk(),
                            [draw.choice(INTS[:10])] * 2])


class OpCall:
    """An op's function: shapes and dtypes from its documentation, attributes from its signature."""

    def __init__(self, fuzzer, function):
        self.fuzzer, self.function = fuzzer, function
        takes = re.search(r"Takes (.*?)\. Gives", function.__doc__, re.S).group(1)
        self.inputs = re.findall(r"(\w+) (of any shape|\[[^\]]*\]) \(([^;)]*)(; may be left out)?\)", takes)
        self.attributes = arguments_of(function)[len(self.inputs):]
        self.variadic = "Sequence[Tensor]" in function.__nb_signature__[0][0]

    def make(self):
        fuzzer, draw = self.fuzzer, self.fuzzer.draw
        inputs = []
        for _, dims, kind, optional in self.inputs:
            if draw.random() < 0.03 or (optional and draw.random() < 0.4):
                inputs.append(draw.choice([None, fuzzer.junk()]))
            else:
                inputs.append(fuzzer.tensor(dims, kind))
        if self.variadic:
            inputs[-1] = [inputs[-1]] + [fuzzer.tensor() for _ in range(draw.randrange(3))]
        options = {name: fuzzer.value(annotation) for name, annotation in self.attributes
                   if draw.random() < 0.5}
        return describe(self.function.__name__, inputs, options), lambda: self.function(*inputs, **options)


class AnyCall:
    def __init__(self, fuzzer, function, name, skip=0):
        self.fuzzer, self.function, self.name = fuzzer, function, name
        self.arguments = arguments_of(function)[skip:]

    def draw_arguments(self):
        fuzzer, draw = self.fuzzer, self.fuzzer.draw
        chosen = self.arguments if draw.random() < 0.7 else \
            self.arguments[:draw.randrange(len(self.arguments) + 1)]
        return [fuzzer.value(annotation) for _, annotation in chosen]

    def make(self):
        values = self.draw_arguments()
        return describe(self.name, values, {}), lambda: self.function(*values)


class MethodCall(AnyCall):
    def __init__(self, fuzzer, name):
        method = getattr(yiti.Tensor, name)
        super().__init__(fuzzer, method, name, skip=1)

    def make(self):
        fuzzer, values = self.fuzzer, self.draw_arguments()
        tensor = fuzzer.tensor() if fuzzer.draw.random() < 0.97 else fuzzer.draw.choice(fuzzer.uninitialised)

        def run():
            found = getattr(tensor, self.name)
            return found(*values) if callable(found) else found

        return f"{text(tensor)}.{describe(self.name, values, {})}", run


class ClassCall(AnyCall):
    """An object of a class, then a call of it or of one of its methods."""

    def __init__(self, fuzzer, cls):
        super().__init__(fuzzer, cls.__init__, cls.__name__, skip=1)
        self.cls = cls
        self.methods = [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))
                        and name not in ("save", "load", "train")]

    def make(self):
        fuzzer, draw, values = self.fuzzer, self.fuzzer.draw, self.draw_arguments()
        if issubclass(self.cls, optim.Optimizer) and values and draw.random() < 0.8:
            parameter = fuzzer.tensor(kind="f32 or f64").detach()
            parameter.requires_grad = parameter.dtype.is_floating
            values[0] = [parameter]
        method = draw.choice(self.methods + ["__call__", "__repr__", "__iter__", "__len__"])
        found = getattr(self.cls, method, None)
        wanted = arguments_of(found)[1:] if found is not None else []
        later = [fuzzer.value(annotation) for _, annotation in wanted] or [fuzzer.tensor()]

        def run():
            made = self.cls(*values)
            if method in ("__iter__",):
                return [part for part, _ in zip(iter(made), range(3))]
            return getattr(made, method)(*later[:draw.randrange(len(later) + 1)])

        return f"{describe(self.name, values, {})}.{describe(method, later, {})}", run


def arguments_of(function):
    """(name, annotation) of each argument, by nanobind's signature or Python's own."""
    signature = getattr(function, "__nb_signature__", None)
    if signature:
        arguments = ast.parse(re.sub(r"\\\d+", "None", signature[0][0]) + ": ...").body[0].args
        given = arguments.posonlyargs + arguments.args + ([arguments.vararg] if arguments.vararg else [])
        return [(a.arg, ast.unparse(a.annotation) if a.annotation else "") for a in given + arguments.kwonlyargs]
    code = getattr(function, "__code__", None)
    return [(name, "") for name in code.co_varnames[:code.co_argcount]] if code else [("x", "")]


def quantised_weights():
    path = os.environ.get("YITI_SMOLLM2")
    if not path or not os.path.exists(path):
        return []
    weights = [x for x in yiti.load(path, max_tokens=64).parameters().values() if x.size == 192 * 576]
    return weights[:4]


def text(value):
    if isinstance(value, yiti.Tensor):
        try:
            return f"Tensor{list(value.shape)} {value.dtype} {'' if value.is_contiguous else value.strides}"
        except TypeError:
            return "uninitialised"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(text, value)) + "]"
    return repr(value)[:60].replace("\n", " ").replace("\0", "\\0")


def describe(name, values, options):
    parts = [text(value) for value in values] + [f"{key}={text(value)}" for key, value in options.items()]
    return f"{name}({', '.join(parts)})"


def look_at(result):
    """What a program does with what it got."""
    if isinstance(result, yiti.Tensor):
        repr(result), result.shape, result.dtype
        if 0 < result.size < 2000 and result.dtype.is_floating:
            result.tolist()
        if result.requires_grad:
            result.sum().backward()
    elif isinstance(result, (list, tuple)):
        for part in result:
            look_at(part)


def main(log, seed, seconds, first=0):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    warnings.simplefilter("ignore")
    fuzzer = Fuzzer(seed)
    resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 30),) * 2)  # huge shapes find no memory
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    end, number, done = time.monotonic() + seconds, first, {}
    while time.monotonic() < end:
        call, run = fuzzer.call(number)
        os.pwrite(file, f"{number} {call[:900]}".encode(errors="replace").ljust(1000) + b"\n", 0)
        try:
            look_at(run())
            outcome = "done"
        except ALLOWED as error:
            outcome = type(error).__name__
            if isinstance(error, yiti.InternalError) or not (str(error) or isinstance(error, MemoryError)):
                raise SystemExit(f"seed {seed}, call {number}: {call}\nraised {error!r}")
        except BaseException as error:
            raise SystemExit(f"seed {seed}, call {number}: {call}\nraised {error!r}")
        done[outcome] = done.get(outcome, 0) + 1
        number += 1
    print(number - first, "calls:", done)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:]))
