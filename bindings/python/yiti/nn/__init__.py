"""Layers, in the style that PyTorch users know."""
from .attention import CausalSelfAttention
from .layers import (GELU, Conv2d, CrossEntropyLoss, Dropout, Embedding, Flatten, LayerNorm, Linear,
                     MaxPool2d, MSELoss, ReLU, RMSNorm, Sigmoid, SiLU, Tanh)
from .module import Module, ModuleList, Parameter, Sequential

__all__ = ["CausalSelfAttention", "Conv2d", "CrossEntropyLoss", "Dropout", "Embedding", "Flatten",
           "GELU", "LayerNorm", "Linear", "MaxPool2d", "Module", "ModuleList", "MSELoss",
           "Parameter", "ReLU", "RMSNorm", "Sequential", "Sigmoid", "SiLU", "Tanh"]
