"""A method's memory from one step to the next, as tensors and plain values that can be kept on the disk.

Nothing is pickled, so that reading a state runs no code. A method can be kept if its whole memory is in attributes of
`self`: plain values, collections, arrays, tensors, random generators, torch's modules without weights (losses,
activations) and copies of the model. It cannot be kept if it remembers anything else, or remembers something in its
class, module or functions, or in helper modules in its folder. An interruption then costs the epochs done so far.
Memory in modules of other packages is not noticed.
"""

from __future__ import annotations

import copy
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Set
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, bytes, type(None))
TORCHS_MODULES = "torch.nn.modules."
FUTURE = type(annotations)  # left in a module by the first import above


class CannotKeepError(Exception):
    """Why a method's state cannot be kept."""


class MethodState:
    """Keeps and restores a newly made method, and checks what it left on the model and the optimizer."""

    def __init__(self, method: Any, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.method, self.model, self.optimizer = method, model, optimizer
        self.surroundings = self._surroundings()

    def keep(self) -> list:
        """Return the method's packed attributes. Raises CannotKeepError, which names the first that cannot be kept."""
        if self._surroundings() != self.surroundings:
            raise CannotKeepError("it left something on the model, the optimizer, its class or its module")
        own = {module.__name__ for module in self._own_modules()}
        for owner, name, value in self._shared_values():
            if _may_remember(value, own):
                raise CannotKeepError(f"{name} of its {owner} may remember something")
        moments = self.optimizer.state.values()
        if not all(isinstance(value, (Tensor, *PLAIN)) for values in moments for value in values.values()):
            raise CannotKeepError("it left something on the optimizer")
        if type(self.method).__dictoffset__ == 0:
            raise CannotKeepError("its class has slots")
        packer = _Packer(self.model, self.optimizer)
        return packer.pack(vars(self.method), "self")

    def restore(self, packed: list) -> None:
        """Give the method the attributes that `keep` returned."""
        attributes = _unpack(packed, self.model, self.optimizer)
        vars(self.method).clear()
        vars(self.method).update(attributes)

    def _surroundings(self) -> list:
        """Return facts that show whether the method left something outside of itself."""
        modules = [_traits(module) for module in self.model.modules()]
        tensors = [*self.model.parameters(), *self.model.buffers()]
        parameters = [_traits(tensor) for tensor in tensors]
        shared = [(owner, name, id(value)) for owner, name, value in self._shared_values()]
        layouts = [(tensor.stride(), tensor.dtype) for tensor in tensors]
        return [modules, parameters, layouts, _traits(self.optimizer), shared, _settings_of_torch()]

    def _shared_values(self) -> list[tuple[str, str, Any]]:
        """Return the values that outlive the method: the values of its classes and of its module."""
        bases = [one for one in type(self.method).__mro__ if one is not object]
        modules = self._own_modules()
        names = {module.__name__ for module in modules}
        classes = dict.fromkeys(bases)
        waiting = [*bases, *modules]
        while waiting:  # classes of the module, and classes in them
            for one in vars(waiting.pop()).values():
                if isinstance(one, type) and one.__module__ in names and one not in classes:
                    classes[one] = None
                    waiting.append(one)
        owners = [*(("class", one) for one in classes), *(("module", module) for module in modules)]
        return [
            (owner, name, value)
            for owner, one in owners
            for name, value in vars(one).items()
            if not (name.startswith("__") and name.endswith("__"))
        ]

    def _own_modules(self) -> list[ModuleType]:
        """Return the modules of the method's classes, and modules in the folder of the first or under methods/."""
        classes = [one for one in type(self.method).__mro__ if one is not object]
        own = {one.__module__: sys.modules[one.__module__] for one in classes if one.__module__ in sys.modules}
        beside = _folder_of(getattr(own.get(type(self.method).__module__), "__file__", None) or ".")
        for name, module in list(sys.modules.items()):
            # A deferred module (see job.py) would load at getattr.
            file = getattr(module, "__dict__", {}).get("__file__")
            if file and (_folder_of(file) == beside or name.startswith("methods.")):
                own[name] = module
        return [own[name] for name in sorted(own)]


@cache
def _folder_of(file: str) -> str:
    """Return the folder of ``file``; cached, because all modules of the process, thousands, are asked every epoch."""
    return str(Path(file).parent)


def _settings_of_torch() -> list:
    """Return settings that a method may have made for the whole process, and that a new process would not have."""
    cudnn = torch.backends.cudnn
    return [
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
    ]


def _traits(thing: nn.Module | Tensor | torch.optim.Optimizer) -> list:
    """Return the names of a thing's attributes, their plain values, its buffers, and the number of its hooks."""
    attributes = {name: value for name, value in vars(thing).items() if name != "training"}  # set before each step
    plain = {name: value for name, value in attributes.items() if isinstance(value, (*PLAIN, tuple))}
    hooks = {
        name: len(getattr(thing, name) or ())
        for name in [*attributes, "_backward_hooks", "_post_accumulate_grad_hooks"]
        if name.endswith("hooks") and hasattr(thing, name)
    }
    return [sorted(attributes), plain, list(attributes.get("_buffers", [])), hooks]


def _may_remember(value: Any, own: Set[str]) -> bool:
    """Return whether ``value``, which outlives the method with the modules ``own``, could hold some of its memory."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        return any(_may_remember(part, own) for part in (value.fget, value.fset, value.fdel))
    if isinstance(value, tuple):
        return any(_may_remember(item, own) for item in value)
    if isinstance(value, FunctionType):
        if value.__module__ not in own:  # imported from a foreign module, such as dataclasses.field
            return False
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        # A decorator of torch, such as no_grad, wraps a function in another function with a closure.
        is_wrapper = hasattr(value, "__wrapped__") and "torch" in Path(value.__code__.co_filename).parts
        if is_wrapper and vars(value).keys() == {"__wrapped__"}:
            return _may_remember(vars(value)["__wrapped__"], own)
        # The use of super() makes a closure, too.
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        return _may_remember(defaults, own) or not all(isinstance(one, type) for one in closure) or bool(vars(value))
    if isinstance(value, BuiltinFunctionType):  # of a module, or bound to an object
        return not isinstance(value.__self__, (ModuleType, type(None)))
    return not isinstance(value, (*PLAIN, ModuleType, type, FUTURE))


class _Packer:
    """Turns values into [kind, ...] lists.

    A mutable object may occur only once: restored twice, its copies would become different.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.model, self.optimizer = model, optimizer
        self.made: list[Any] = []  # made while packing; kept alive, so that no other object gets the same id()
        known = [model, optimizer, *model.modules(), *model.parameters(), *model.buffers()]
        self.identities = {id(thing) for thing in known}
        state = [*model.state_dict().values(), *(parameter.grad for parameter in model.parameters())]
        moments = [value for values in optimizer.state.values() for value in values.values()]
        self.seen = {_storage(tensor) for tensor in [*state, *moments] if isinstance(tensor, Tensor)}

    def pack(self, value: Any, name: str) -> list:
        if value is self.model:
            return ["model"]
        if value is self.optimizer:
            return ["optimizer"]
        if type(value) in PLAIN and not self._is_identity(value):
            return ["plain", value]
        if type(value) is not tuple and not isinstance(value, np.generic):
            self._meet(_storage(value) if isinstance(value, Tensor) else id(value), name)
        if type(value) in (list, tuple):
            packed = [self.pack(item, f"{name}[{index}]") for index, item in enumerate(value)]
            return [type(value).__name__, packed]
        if type(value) is dict and all(type(key) in PLAIN and not self._is_identity(key) for key in value):
            return ["dict", [[key, self.pack(item, f"{name}.{key}")] for key, item in value.items()]]
        if type(value) is Tensor and value.is_leaf and value.grad is None and not vars(value):
            return ["tensor", value.detach(), value.requires_grad, value.is_cpu]
        if type(value) is torch.Generator and value.device.type == "cpu":
            return ["generator", value.get_state()]
        keeper = np.generic if isinstance(value, np.generic) else type(value)
        if keeper in _KEEPERS:
            kept = _KEEPERS[keeper][0](value)
            if kept is not None:
                self.made.append(kept)
                return [keeper.__name__, self.pack(kept, name)]
        if _is_stateless(value):
            attributes = _own_attributes(value) | {"training": value.training}
            kind = type(value)
            return ["module without weights", kind.__module__, kind.__name__, attributes, list(value._buffers)]
        if type(value) is type(self.model):
            return self._pack_copy(value, name)
        raise CannotKeepError(f"{name} is a {type(value).__name__}")

    def _pack_copy(self, module: nn.Module, name: str) -> list:
        """Pack a copy of the model: its weights, and the modes of its modules and parameters."""
        state = module.state_dict()
        if _layout(module) != _layout(self.model) or any(p.grad is not None for p in module.parameters()):
            raise CannotKeepError(f"{name} is a model of another kind, or has gradients")
        for tensor in state.values():
            self._meet(_storage(tensor), name)
        modes = [each.training for each in module.modules()]
        return ["copy", dict(state), modes, [parameter.requires_grad for parameter in module.parameters()]]

    def _is_identity(self, value: Any) -> bool:
        """Return whether ``value`` is the id() of a part of the model, which is different in the next process."""
        return type(value) is int and value in self.identities

    def _meet(self, identity: int, name: str) -> None:
        if identity in self.seen:
            raise CannotKeepError(f"{name} is shared with the model or with another attribute")
        self.seen.add(identity)


def _storage(tensor: Tensor) -> int:
    # An empty tensor has no memory of its own to share.
    return tensor.untyped_storage().data_ptr() or id(tensor)


def _layout(module: nn.Module) -> list:
    parts = [(name, type(part), _traits(part)) for name, part in module.named_modules()]
    return [parts, [(name, tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()]]


def _unpack(packed: list, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    kind, *content = packed
    if kind == "model":
        return model
    if kind == "optimizer":
        return optimizer
    if kind == "plain":
        return content[0]
    if kind in ("list", "tuple"):
        items = [_unpack(item, model, optimizer) for item in content[0]]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        return {key: _unpack(item, model, optimizer) for key, item in content[0]}
    if kind == "tensor":
        tensor, requires_grad, on_cpu = content
        return (tensor if on_cpu else tensor.to(next(model.parameters()).device)).requires_grad_(requires_grad)
    if kind == "generator":
        generator = torch.Generator()
        generator.set_state(content[0])
        return generator
    if kind in _RESTORERS:
        return _RESTORERS[kind](_unpack(content[0], model, optimizer))
    if kind == "module without weights":
        return _stateless(*content)
    state, modes, requires_grad = content
    module = copy.deepcopy(model)
    module.zero_grad(set_to_none=True)
    module.load_state_dict(state)
    for part, mode in zip(module.modules(), modes, strict=True):
        part.training = mode
    for parameter, flag in zip(module.parameters(), requires_grad, strict=True):
        parameter.requires_grad_(flag)
    return module


def _scalar(value: np.generic) -> list | None:
    return [value.dtype.str, value.tobytes()] if value.dtype.kind in "biufc" else None


def _from_scalar(kept: list) -> np.generic:
    dtype, content = kept
    return np.frombuffer(content, dtype=dtype)[0]


def _with_default(value: defaultdict) -> list | None:
    names = [name for name, factory in FACTORIES.items() if factory is value.default_factory]
    return [names[0], dict(value)] if names else None


def _old_numpys_stream(value: np.random.RandomState) -> dict[str, Any] | None:
    if value is np.random.mtrand._rand:  # NumPy's global stream, which is kept as such
        return None
    state = value.get_state(legacy=False)
    return dict(state) if isinstance(state, dict) and state["bit_generator"] == "MT19937" else None


def _from_old_numpys_stream(state: dict[str, Any]) -> np.random.RandomState:
    stream = np.random.RandomState()
    stream.set_state(state)
    return stream


def _is_plain(values: Iterable[Any]) -> bool:
    return all(type(value) in PLAIN for value in values)


def _array(value: np.ndarray) -> list | None:
    is_own = value.base is None and value.dtype.kind in "biufc"  # not a view of another array, and no objects
    return [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()] if is_own else None


def _from_array(kept: list) -> np.ndarray:
    dtype, shape, content = kept
    return np.frombuffer(content, dtype=dtype).reshape(shape).copy()


def _numpys_stream(value: np.random.Generator) -> dict[str, Any] | None:
    return dict(value.bit_generator.state) if type(value.bit_generator) is np.random.PCG64 else None


def _from_numpys_stream(state: dict[str, Any]) -> np.random.Generator:
    stream = np.random.Generator(np.random.PCG64())
    stream.bit_generator.state = state
    return stream


def _pythons_stream(state: tuple) -> random.Random:
    stream = random.Random()  # nosec B311: whatever the method had
    stream.setstate(state)
    return stream


FACTORIES = {"": None} | {kind.__name__: kind for kind in (int, float, bool, str, list, dict, set)}
"""The allowed factories of a defaultdict."""

_KEEPERS: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    set: (lambda value: list(value) if _is_plain(value) else None, set),
    frozenset: (lambda value: list(value) if _is_plain(value) else None, frozenset),
    deque: (lambda value: [list(value), value.maxlen], lambda kept: deque(kept[0], kept[1])),
    OrderedDict: (dict, OrderedDict),
    Counter: (dict, Counter),
    defaultdict: (_with_default, lambda kept: defaultdict(FACTORIES[kept[0]], kept[1])),
    np.generic: (_scalar, _from_scalar),
    np.ndarray: (_array, _from_array),
    np.random.Generator: (_numpys_stream, _from_numpys_stream),
    np.random.RandomState: (_old_numpys_stream, _from_old_numpys_stream),
    random.Random: (random.Random.getstate, _pythons_stream),
}
"""By type: a function that returns what to keep of a value (None if impossible), and a function that restores it."""

_RESTORERS = {kind.__name__: restore for kind, (_, restore) in _KEEPERS.items()}


def _is_stateless(value: Any) -> bool:
    """Return whether ``value`` is a module of torch without weights, buffers or submodules, such as a loss."""
    if not isinstance(value, nn.Module) or not type(value).__module__.startswith(TORCHS_MODULES):
        return False
    parts = [*value._parameters.values(), *value._modules.values(), *value._buffers.values()]
    hooks = [its for key, its in vars(value).items() if key.endswith("_hooks")]
    return all(part is None for part in parts) and not any(hooks) and _is_plain(_own_attributes(value).values())


def _own_attributes(module: nn.Module) -> dict[str, Any]:
    """Return the attributes that the class of ``module`` adds to the attributes of every module."""
    return {key: value for key, value in vars(module).items() if key not in vars(nn.Module())}


def _stateless(module: str, name: str, attributes: dict[str, Any], buffers: list[str]) -> nn.Module:
    """Return a restored module without weights; ``buffers`` are the names of the buffers that it might have had."""
    if not module.startswith(TORCHS_MODULES):
        raise ValueError(f"{module}.{name} is no module of torch's")
    made = object.__new__(getattr(sys.modules[module], name))
    nn.Module.__init__(made)
    vars(made).update(attributes)
    for buffer in buffers:
        made.register_buffer(buffer, None)
    return made
