"""Attention."""
import math

from .. import _yiti
from .._yiti import ops
from .layers import Linear
from .module import Module


class CausalSelfAttention(Module):
    """Each token attends to those before it and itself.

    x is [B, T, features], or [N, features] with `positions` [N] (int32): packed documents one after
    the other, position 0 where one starts. kv_heads below heads: grouped queries."""

    def __init__(self, features, heads, kv_heads=None, bias=True):
        self.heads, self.kv_heads, self.size = heads, kv_heads or heads, features // heads
        self.q = Linear(features, heads * self.size, bias)
        self.k = Linear(features, self.kv_heads * self.size, bias)
        self.v = Linear(features, self.kv_heads * self.size, bias)
        self.out = Linear(heads * self.size, features, bias)

    def forward(self, x, positions=None):
        if positions is None:
            batch, tokens, features = x.shape
            positions = _yiti.arange(tokens, dtype=_yiti.int32, device=x.device).expand(batch, tokens).reshape(-1)
            y = self.forward(x.reshape(-1, features), positions)
            return y.reshape(batch, tokens, features)
        q = self.q(x).reshape(-1, self.heads, self.size)
        k = self.k(x).reshape(-1, self.kv_heads, self.size)
        v = self.v(x).reshape(-1, self.kv_heads, self.size)
        y = ops.attention(q, k, v, positions, scale=1 / math.sqrt(self.size))
        return self.out(y.reshape(-1, self.heads * self.size))
