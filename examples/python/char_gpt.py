"""A character-level GPT, written from yiti.nn, trained from scratch and compiled.

    python char_gpt.py TEXT_FILE
"""
import sys

import yiti
from yiti import nn, optim


class Block(nn.Module):
    def __init__(self, features, heads):
        self.norm1, self.attention = nn.LayerNorm(features), nn.CausalSelfAttention(features, heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(),
                                 nn.Linear(4 * features, features))

    def forward(self, x, positions):
        x = x + self.attention(self.norm1(x), positions)
        return x + self.mlp(self.norm2(x))


class CharGpt(nn.Module):
    """ids and positions [N] -> logits [N, vocabulary]. Texts lie one after the other, without
    padding; a position of 0 begins one."""

    def __init__(self, vocabulary, context=64, features=64, heads=4, layers=2):
        self.context = context
        self.tokens, self.places = nn.Embedding(vocabulary, features), nn.Embedding(context, features)
        self.blocks = nn.ModuleList(Block(features, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(features), nn.Linear(features, vocabulary, bias=False)

    def forward(self, ids, positions):
        x = self.tokens(ids) + self.places(positions)
        for block in self.blocks:
            x = block(x, positions)
        return self.head(self.norm(x))


class Text:
    """A text as numbers of its characters, and random pieces of it."""

    def __init__(self, text):
        self.characters = sorted(set(text))
        self.ids = yiti.tensor([self.characters.index(c) for c in text], dtype="int32")

    def batch(self, count, length):
        """`count` pieces one after the other: inputs, positions and targets, each [count · length]."""
        starts = yiti.rand(count) * (len(self.ids) - length - 1)
        offsets = yiti.arange(length)
        at = (starts.astype("int64").reshape(-1, 1) + offsets).reshape(-1)
        positions = offsets.expand(count, length).reshape(-1).astype("int32")
        return self.ids[at], positions, self.ids[at + 1]

    def decode(self, ids):
        return "".join(self.characters[i] for i in ids)


def train(model, text, steps=300, pieces=8, lr=3e-3, progress=lambda *_: None):
    """Gives the losses of all steps."""
    optimizer = optim.AdamW(model.parameters(), lr=lr)
    schedule = optim.Schedule("cosine", lr=lr, total_steps=steps, warmup_steps=steps // 20)
    loss_of, losses = nn.CrossEntropyLoss(), []
    for step in range(steps):
        ids, positions, targets = text.batch(pieces, model.context)
        loss = loss_of(model(ids, positions), targets)
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step(schedule(step))
        losses.append(loss.item())
        progress(step, losses[-1])
    return losses


def generate(session, text, context, start, count):
    """Continues `start` by the likeliest characters."""
    ids = [text.characters.index(c) for c in start]
    for _ in range(count):
        seen = yiti.tensor(ids[-context:], dtype="int32")
        logits = session(seen, yiti.arange(len(seen), dtype="int32"))
        ids.append(int(logits[-1].argmax()))
    return text.decode(ids)


def main(path):
    with open(path, encoding="utf-8") as file:
        text = Text(file.read())
    yiti.manual_seed(0)
    model = CharGpt(len(text.characters))
    train(model, text, progress=lambda step, loss: step % 20 or print(f"step {step}: {loss:.4f}"))
    ids, positions, _ = text.batch(1, model.context)
    session = yiti.Session.compile(model, ids, positions, max_batch=model.context)
    print(generate(session, text, model.context, text.decode(ids.tolist()[:8]), 200))


if __name__ == "__main__":
    main(*sys.argv[1:])
