"""Gradients of functions, and functions with gradients of their own."""
import contextlib
import functools
import threading

from . import _yiti


class no_grad(contextlib.ContextDecorator):
    """Within it, this thread's ops are not followed. A context manager and a decorator."""

    def __enter__(self):
        self._before = getattr(self, "_before", [])
        self._before.append(_yiti.set_recording(False))
        return self

    def __exit__(self, *_):
        _yiti.set_recording(self._before.pop())

    def _recreate_cm(self):  # each call of a decorated function, of any thread, has its own
        return type(self)()


_differentiating = threading.local()


@contextlib.contextmanager
def _recording():
    """Around a function that is differentiated."""
    if getattr(_differentiating, "under_way", False):
        raise _yiti.UnimplementedError("autograd: gradients of gradients are not there")
    before = _yiti.set_recording(True)
    _differentiating.under_way = True
    try:
        yield
    finally:
        _differentiating.under_way = False
        _yiti.set_recording(before)


def _watched(x):
    return _tensor(x, "an argument").detach().requires_grad_()


def _tensor(value, what):
    if not isinstance(value, _yiti.Tensor):
        raise TypeError(f"autograd: {what} is a {type(value).__name__}; wants a Tensor")
    return value


def vjp(f, *xs):
    """f(*xs), and a function from its gradient to those of all xs. The function may be called once."""
    watched = [_watched(x) for x in xs]
    with _recording():
        y = _tensor(f(*watched), "what the function gave")

    def pull_back(gradient=None):
        found = _yiti.gradients(y, watched, gradient)
        return tuple(_yiti.ops.scale(x.detach(), 0.0) if g is None else g
                     for x, g in zip(watched, found))

    return y.detach(), pull_back


def value_and_grad(f, argnums=0):
    """A function that gives f's value (one element) and its gradient for an argument, or for several
    where argnums is a tuple. Gradients of gradients are not there."""
    several = isinstance(argnums, (tuple, list))
    numbers = tuple(argnums) if several else (argnums,)

    @functools.wraps(f)
    def with_gradient(*args, **kwargs):
        def of_chosen(*chosen):
            given = list(args)
            for number, x in zip(numbers, chosen):
                given[number] = x
            return f(*given, **kwargs)

        value, pull_back = vjp(of_chosen, *(args[number] for number in numbers))
        gradients = pull_back()
        return value, gradients if several else gradients[0]

    return with_gradient


def grad(f, argnums=0):
    """As value_and_grad, without the value."""
    with_value = value_and_grad(f, argnums)

    @functools.wraps(f)
    def gradient(*args, **kwargs):
        return with_value(*args, **kwargs)[1]

    return gradient


class Context:
    """What a Function's forward keeps for its backward."""

    def __init__(self):
        self.saved_tensors = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors, without what they were computed from."""
        self.saved_tensors = tuple(x.detach() for x in tensors)


class Function:
    """A function with a gradient of its own: subclasses have the static methods forward(ctx, *args)
    and backward(ctx, *gradients of the outputs), which gives a gradient, or None, for each tensor
    among args. Call it by apply(*args)."""

    @staticmethod
    def forward(ctx, *args):
        raise NotImplementedError

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError

    @classmethod
    def apply(cls, *args):
        ctx = Context()
        with no_grad():
            result = cls.forward(ctx, *args)
        several = isinstance(result, tuple)
        outputs = [_tensor(y, f"what {cls.__name__}.forward gave").detach()
                   for y in (result if several else (result,))]
        inputs = [x for x in args if isinstance(x, _yiti.Tensor)]
        recorded = _yiti.record_function(cls.__name__, inputs, outputs,
                                         functools.partial(cls.backward, ctx))
        return tuple(recorded) if several else recorded[0]
