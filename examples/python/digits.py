"""Two small networks that learn handwritten digits, in a training loop of one's own.

    python digits.py examples/data/digits/digits.safetensors
"""
import sys
from collections import namedtuple

import yiti
from yiti import nn, optim
from yiti.data import Batches

Data = namedtuple("Data", "train test")


def load_data(path):
    """Images [N, 1, 8, 8] from 0 to 1 and labels [N], for training and for testing."""
    tensors = yiti.load_safetensors(path)
    images = (tensors["images"].astype("float32") / 16).reshape(-1, 1, 8, 8)
    labels = tensors["labels"].astype("int32")
    return Data(train=(images[:1437], labels[:1437]), test=(images[1437:], labels[1437:]))


def make_mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))


def make_conv():
    return nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(24 * 4 * 4, 10))


def train(model, images, labels, epochs=15, batch_size=32, lr=3e-3, progress=lambda *_: None):
    batches = Batches(images, labels, batch_size=batch_size)
    optimizer = optim.AdamW(model.parameters(), lr=lr)
    schedule = optim.Schedule("linear", lr=lr, total_steps=epochs * len(batches))
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for batch_images, batch_labels in batches:
            loss = loss_of(model(batch_images), batch_labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(schedule(optimizer.steps))
        progress(epoch, loss.item())


@yiti.no_grad()
def accuracy(model, images, labels):
    right = model(images).argmax() == labels.astype("int64")
    return right.astype("float32").mean().item()


def main(path):
    data = load_data(path)
    for make in (make_mlp, make_conv):
        yiti.manual_seed(1)
        model = make()
        train(model, *data.train, progress=lambda epoch, loss: print(f"epoch {epoch}: {loss:.4f}"))
        print(f"{make.__name__}: {accuracy(model, *data.test):.2%} of the test pictures right")


if __name__ == "__main__":
    main(*sys.argv[1:])
