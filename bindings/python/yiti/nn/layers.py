"""Layers over single ops. Weights begin as PyTorch's do, in distribution."""
import math

from .. import _yiti
from .._yiti import ops
from .module import Module, Parameter


def _uniform(*shape, bound):
    return Parameter(_yiti.rand(*shape) * (2 * bound) - bound)


class Linear(Module):
    """x [..., in_features] -> [..., out_features]: x Wᵀ + b."""

    def __init__(self, in_features, out_features, bias=True):
        bound = 1 / math.sqrt(in_features)
        self.weight = _uniform(out_features, in_features, bound=bound)
        self.bias = _uniform(out_features, bound=bound) if bias else None

    def forward(self, x):
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, bias={self.bias is not None}"


class Conv2d(Module):
    """x [B, in_channels, H, W] -> [B, out_channels, H', W']."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True):
        height, width = _pair(kernel_size)
        bound = 1 / math.sqrt(in_channels // groups * height * width)
        self.weight = _uniform(out_channels, in_channels // groups, height, width, bound=bound)
        self.bias = _uniform(out_channels, bound=bound) if bias else None
        self.attributes = _window(stride=stride, padding=padding, dilation=dilation)
        self.attributes["groups"] = groups

    def forward(self, x):
        return ops.conv2d(x, self.weight, self.bias, **self.attributes)

    def extra_repr(self):
        return f"{self.weight.shape[1] * self.attributes['groups']}, {self.weight.shape[0]}"


class MaxPool2d(Module):
    """The largest of each window of x [B, C, H, W]."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1):
        self.attributes = _window(kernel=kernel_size, stride=stride or kernel_size,
                                  padding=padding, dilation=dilation)

    def forward(self, x):
        return ops.max_pool2d(x, **self.attributes)


class Embedding(Module):
    """ids [...] -> [..., features]."""

    def __init__(self, count, features):
        self.weight = Parameter(_yiti.randn(count, features))

    def forward(self, ids):
        return ops.embedding(ids, self.weight)

    def extra_repr(self):
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class LayerNorm(Module):
    """Normalises the last axis to mean 0 and variance 1, then scales and moves it."""

    def __init__(self, features, eps=1e-5, bias=True):
        self.weight = Parameter(_yiti.ones(features))
        self.bias = Parameter(_yiti.zeros(features)) if bias else None
        self.eps = eps

    def forward(self, x):
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)


class RMSNorm(Module):
    """Scales the last axis to root mean square 1, then by the weight."""

    def __init__(self, features, eps=1e-6):
        self.weight = Parameter(_yiti.ones(features))
        self.eps = eps

    def forward(self, x):
        return ops.rms_norm(x, self.weight, eps=self.eps)


class Dropout(Module):
    """In training, each element is 0 with probability p, else divided by 1 - p."""

    def __init__(self, p=0.5, seed=0):
        self.p, self.seed, self.calls = p, seed, 0

    def forward(self, x):
        if not self.training:
            return x
        self.calls += 1
        return ops.dropout(x, p=self.p, seed=self.seed, offset=self.calls)


class Flatten(Module):
    """All axes but the first as one."""

    def forward(self, x):
        return x.reshape(-1, math.prod(x.shape[1:]))


class ReLU(Module):
    def forward(self, x):
        return ops.relu(x)


class GELU(Module):
    def forward(self, x):
        return ops.gelu(x)


class SiLU(Module):
    def forward(self, x):
        return ops.silu(x)


class Tanh(Module):
    def forward(self, x):
        return ops.tanh(x)


class Sigmoid(Module):
    def forward(self, x):
        return ops.sigmoid(x)


class CrossEntropyLoss(Module):
    """logits [N, classes], labels [N] (-100: ignored) -> the mean loss of the labels that count."""

    def forward(self, logits, labels):
        losses = ops.cross_entropy(logits, labels)
        counted = ops.sum((labels != -100).astype(losses.dtype))
        return ops.sum(losses) / counted


class MSELoss(Module):
    """The mean squared difference."""

    def forward(self, x, target):
        return ops.mean(ops.square(x - target))


def _pair(value):
    return value if isinstance(value, tuple) else (value, value)


def _window(**values):
    """The ops' attributes: stride_h, stride_w, ..."""
    return {f"{name}_{axis}": size for name, value in values.items()
            for axis, size in zip("hw", _pair(value))}
