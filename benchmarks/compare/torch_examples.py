"""The networks and training loops of examples/python in torch, for comparison."""
import torch
from torch import nn
from torch.nn import functional as F


def make_mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))


def make_conv():
    return nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(24 * 4 * 4, 10))


class Attention(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(features, features) for _ in range(4))

    def forward(self, x):
        def split(y):
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        y = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(x)), split(self.v(x)),
                                           is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(features), Attention(features, heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(),
                                 nn.Linear(4 * features, features))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CharGpt(nn.Module):
    """ids [B, T] -> logits [B, T, vocabulary]."""

    def __init__(self, vocabulary, context=64, features=64, heads=4, layers=2):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, features), nn.Embedding(context, features)
        self.blocks = nn.ModuleList(Block(features, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(features), nn.Linear(features, vocabulary, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def make_optimizer(model, lr=3e-3):
    return torch.optim.AdamW(model.parameters(), lr=lr, fused=True)


def step(model, optimizer, inputs, labels, clip=None):
    """One step of training; gives the loss."""
    loss = F.cross_entropy(model(inputs).flatten(0, -2), labels.flatten())
    optimizer.zero_grad()
    loss.backward()
    if clip:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss
