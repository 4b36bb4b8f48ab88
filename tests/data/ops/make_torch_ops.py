"""Writes torch_ops.safetensors: what torch makes of some inputs, with gradients of sum(y * w)."""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

UNARY = {
    "exp": torch.exp, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu,
    "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "rsqrt": torch.rsqrt, "abs": torch.abs, "log": torch.log,
    "clamp": lambda x: x.clamp(-0.5, 0.75),
}
out = {}


def keep(name, tensor):
    out[name] = tensor.detach().clone().contiguous()


def case(name, f, *inputs):
    """Stores inputs, f's output, weights of the output, and the inputs' gradients."""
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = f(*leaves)
    weight = torch.randn(y.shape)
    (y * weight).sum().backward()
    keep(f"{name}.y", y)
    keep(f"{name}.weight", weight)
    for i, leaf in enumerate(leaves):
        keep(f"{name}.in{i}", inputs[i])
        keep(f"{name}.grad{i}", leaf.grad)


def main():
    torch.manual_seed(11)
    inf, nan = float("inf"), float("nan")
    special = torch.tensor([0.0, -0.0, inf, -inf, nan, 1e-30, -1e-30, 88.0, 89.0, -88.0, -104.0, 1e30])
    grid = torch.cat([torch.linspace(-9, 9, 109), special])
    keep("unary.x", grid)
    for name, f in UNARY.items():
        keep(f"unary.{name}", f(grid))
    keep("cast.x", torch.cat([grid, torch.randn(64) * 1e5, torch.randn(64) * 1e-6]))
    keep("cast.f16", out["cast.x"].to(torch.float16))
    keep("cast.bf16", out["cast.x"].to(torch.bfloat16))

    ties = torch.tensor([[1.0, 3.0, 3.0, -2.0], [nan, 1.0, nan, 2.0], [5.0, 5.0, 5.0, 5.0]])
    keep("ties.x", ties)
    keep("ties.argmax", ties.argmax(1))
    keep("ties.argmin", ties.argmin(1))
    keep("ties.max", ties.amax(1))
    keep("ties.min", ties.amin(1))
    case("amax", lambda x: x.amax((0, 2)), torch.randint(0, 3, (3, 2, 4)).float())
    case("maximum", torch.maximum, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 2.0]))
    case("pow", torch.pow, torch.rand(3, 4) + 0.2, torch.tensor([-1.5, 0.0, 1.0, 2.5]))

    conv = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
    case("conv", lambda x, w, b: F.conv2d(x, w, b, **conv),
         torch.randn(3, 4, 7, 8), torch.randn(6, 2, 3, 3), torch.randn(6))
    case("max_pool", lambda x: F.max_pool2d(x, 3, 2, 1, 2), torch.randn(2, 3, 9, 8))
    case("avg_pool", lambda x: F.avg_pool2d(x, 3, 2, 1), torch.randn(2, 3, 7, 8))
    case("avg_pool_inside", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
         torch.randn(2, 3, 7, 8))

    for name, make in {
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    }.items():
        param = torch.nn.Parameter(torch.randn(37))
        keep(f"{name}.start", param)
        optimizer = make([param])
        grads = torch.randn(5, 37)
        keep(f"{name}.grads", grads)
        trail = []
        for grad in grads:
            param.grad = grad.clone()
            optimizer.step()
            trail.append(param.detach().clone())
        keep(f"{name}.trail", torch.stack(trail))
    save_file(out, pathlib.Path(__file__).with_name("torch_ops.safetensors"),
              metadata={"torch": torch.__version__})


main()
