"""Optimisers, schedules and clipping."""
from . import _yiti
from ._yiti import Schedule, clip_grad_norm

__all__ = ["SGD", "AdamW", "Optimizer", "Schedule", "clip_grad_norm"]


class Optimizer:
    """Updates parameters in place from their gradients. `lr` may be changed between steps."""

    def __init__(self, parameters, lr, **options):
        self.parameters = list(parameters)
        self.lr = lr
        self._state = _yiti.OptimizerState(self.parameters, **options)

    def step(self, lr=None):
        """One update, at this learning rate or else self.lr. Parameters without a gradient stay as
        they are."""
        self._state.step(self.lr if lr is None else lr)

    def zero_grad(self):
        """Forgets the gradients."""
        self._state.forget_gradients()

    @property
    def steps(self):
        return self._state.steps

    def state_dict(self):
        """Tensors by name: all that going on takes beside the parameters."""
        return self._state.state()

    def load_state_dict(self, state):
        self._state.restore(state)

    def __repr__(self):
        return (f"{type(self).__name__}({len(self.parameters)} parameters, lr={self.lr:g}, "
                f"steps={self.steps})")


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(parameters, lr, name="adamw", beta1=betas[0], beta2=betas[1], eps=eps,
                         weight_decay=weight_decay)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum where it is above 0."""

    def __init__(self, parameters, lr=1e-3, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, name="sgd", momentum=momentum, nesterov=nesterov,
                         weight_decay=weight_decay)
