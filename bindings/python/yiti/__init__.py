"""yiti: training and inference in one engine.

Tensors and ops are in this module, layers in yiti.nn, optimisers in yiti.optim, data in yiti.data.
"""
from . import array_api, callbacks, data, nn, optim
from ._yiti import *  # noqa: F401,F403: tensors, dtypes, devices, errors, files
from ._yiti import ops
from ._yiti import __version__
from ._yiti.ops import *  # noqa: F401,F403: every op of the registry
from .autograd import Function, grad, no_grad, value_and_grad, vjp
from .language import Generation, LanguageModule, Server, Trainer, load, serve
from .session import Session
