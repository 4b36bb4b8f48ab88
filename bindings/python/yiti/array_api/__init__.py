"""The functions of the Python array API standard (2024.12, https://data-apis.org/array-api) on Tensor.

`tensor.__array_namespace__()` gives this module, so that libraries written against the standard take
tensors. What has an op is that op, and gradients go through it. The rest is NumPy's function over the
tensors' own memory; tensors whose gradient is followed are refused there. docs/array-api.md lists
what passes the standard's test suite.
"""
import sys
from math import e, inf, nan, pi

from .. import _yiti
from .._yiti import Tensor
from . import creation, dtypes, functions, numpy_functions, tensor
from .creation import *  # noqa: F401,F403
from .dtypes import *  # noqa: F401,F403
from .functions import *  # noqa: F401,F403
from .numpy_functions import *  # noqa: F401,F403

__array_api_version__ = "2024.12"
newaxis = None
__all__ = ["__array_api_version__", "__array_namespace_info__", "e", "inf", "nan", "newaxis", "pi",
           *creation.__all__, *dtypes.__all__, *functions.__all__, *numpy_functions.__all__]


class __array_namespace_info__:
    """What the standard calls inspection."""

    def capabilities(self):
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 8}

    def default_device(self):
        return _yiti.default_device()

    def devices(self):
        return [_yiti.default_device()]

    def default_dtypes(self, *, device=None):
        return {"real floating": dtypes.float32, "complex floating": None,
                "integral": dtypes.int64, "indexing": dtypes.int64}

    def dtypes(self, *, device=None, kind=None):
        return {name: getattr(dtypes, name) for name in dtypes.NAMES
                if kind is None or dtypes.isdtype(getattr(dtypes, name), kind)}


tensor.add_methods(Tensor, sys.modules[__name__])
