"""Modules compiled to programs that run without Python."""
from . import _yiti


class Session:
    """A module's forward as a program: gradients stripped, ops fused, memory planned. Gives the bits
    of the module's forward. Safe from several threads, one run at a time."""

    def __init__(self, compiled, module):
        self._compiled = compiled
        self._module = module

    @classmethod
    def compile(cls, module, *examples, max_batch=None):
        """Runs the module's forward once on stand-ins of the examples' shapes and keeps the ops, with
        a copy of the parameters. What the forward computes from no input, and its branches, are
        kept as they then were. With max_batch, the first axis of all inputs may have any size up to
        it."""
        was_training = module.training
        module.eval()
        try:
            compiled = _yiti.CompiledModule(module, list(examples), _state(module), max_batch)
        finally:
            module.train(was_training)
        return cls(compiled, module)

    def __call__(self, *inputs):
        return self._compiled(*inputs)

    def load(self, module=None):
        """Takes over the parameters of a module of the same kind; by default the compiled one's."""
        self._compiled.load(_state(module or self._module))

    def explain(self):
        """What was stripped, fused and planned, and each node's kernel."""
        return self._compiled.explain()


def _state(module):
    return list(module.state_dict().items())
