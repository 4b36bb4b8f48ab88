"""Data for training."""
from . import _yiti
from ._yiti import TextBatches, ops

__all__ = ["Batches", "TextBatches"]


class Batches:
    """Tensors of one length in batches: each iteration is an epoch, in a new order where shuffled.

        for images, labels in Batches(images, labels, batch_size=32): ...
    """

    def __init__(self, *tensors, batch_size, shuffle=True, drop_last=False):
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise _yiti.InvalidArgumentError(f"Batches: tensors of lengths {sorted(lengths)}")
        self.tensors, self.batch_size = tensors, batch_size
        self.shuffle, self.drop_last = shuffle, drop_last

    def __len__(self):
        count = len(self.tensors[0])
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self):
        count = len(self.tensors[0])
        order = _yiti.randperm(count) if self.shuffle else _yiti.arange(count)
        for i in range(len(self)):
            chosen = order[i * self.batch_size:(i + 1) * self.batch_size]
            yield tuple(ops.index_select(tensor, chosen) for tensor in self.tensors)
