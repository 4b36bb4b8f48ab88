"""What layers are made of."""
from .. import _yiti
from .._yiti import Tensor


class Parameter(Tensor):
    """A tensor that a module trains. Shares the memory of `data`."""

    def __init__(self, data, requires_grad=True):
        super().__init__(data.detach())
        self.requires_grad_(requires_grad)


class Module:
    """Parameters, buffers and other modules are found among the attributes; names in a state dict are
    the paths of attributes, such as "layers.0.weight". Subclasses define forward()."""

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def register_buffer(self, name, tensor):
        """An attribute that belongs to the state but is not trained."""
        self.__dict__.setdefault("_buffers", set()).add(name)
        setattr(self, name, tensor)

    def named_children(self):
        """Modules among the attributes."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix=""):
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _named_state(self, kinds):
        seen = set()
        for path, module in self.named_modules():
            buffers = module.__dict__.get("_buffers", ())
            for name, value in vars(module).items():
                kind = Parameter if isinstance(value, Parameter) else Tensor if name in buffers else None
                if kind in kinds and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self):
        """A shared parameter comes once, under its first name."""
        return self._named_state((Parameter,))

    def parameters(self):
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self):
        """Parameters and buffers by name, over the module's memory."""
        return {name: value.detach() for name, value in self._named_state((Parameter, Tensor))}

    def load_state_dict(self, state):
        """Copies tensors of a state dict into the module's. Names, shapes and dtypes must be the
        same."""
        own = dict(self._named_state((Parameter, Tensor)))
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise _yiti.InvalidArgumentError(
                f"state dict: misses {sorted(missing)}, does not know {sorted(unknown)}")
        for name, value in own.items():
            if state[name].shape != value.shape or state[name].dtype != value.dtype:
                raise _yiti.InvalidArgumentError(
                    f"state dict: {name} is {state[name].shape} of {state[name].dtype}; "
                    f"wants {value.shape} of {value.dtype}")
        for name, value in own.items():
            value.detach()[...] = state[name].detach()

    def save(self, path):
        """Writes the state dict as safetensors."""
        _yiti.save_safetensors(path, self.state_dict())

    def load(self, path):
        """The inverse of save()."""
        self.load_state_dict(_yiti.load_safetensors(path))

    def to(self, device):
        """Moves parameters and buffers. They become other objects: make optimisers afterwards."""
        moved = {}
        for _, module in self.named_modules():
            buffers = module.__dict__.get("_buffers", ())
            for name, value in list(vars(module).items()):
                if isinstance(value, Parameter):
                    there = value.detach().to(device)
                    setattr(module, name, moved.setdefault(id(value), Parameter(there, value.requires_grad)))
                elif name in buffers:
                    setattr(module, name, value.to(device))
        return self

    def train(self, mode=True):
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self):
        return self.train(False)

    def requires_grad_(self, wanted=True):
        """Freezes or unfreezes all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(wanted)
        return self

    def zero_grad(self):
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.grad = None

    def __repr__(self):
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ")
                 for name, child in self.named_children()]
        inside = self.extra_repr()
        return f"{type(self).__name__}({inside}" + ("\n" + "\n".join(lines) + "\n" if lines else "") + ")"

    def extra_repr(self):
        """What the repr shows between the brackets."""
        return ""


class ModuleList(Module):
    """Modules by number."""

    def __init__(self, modules=()):
        for module in modules:
            self.append(module)

    def append(self, module):
        vars(self)[str(len(self))] = module
        return self

    def __len__(self):
        return sum(1 for _ in self.named_children())

    def __iter__(self):
        return (child for _, child in self.named_children())

    def __getitem__(self, index):
        return list(self)[index]


class Sequential(ModuleList):
    """Modules one after the other."""

    def __init__(self, *modules):
        super().__init__(modules)

    def forward(self, x):
        for module in self:
            x = module(x)
        return x
