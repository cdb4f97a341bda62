"""A job's process: what it runs on, and settings that make it faster and change no result (docs/performance.md)."""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
LARGEST_KEPT = 2**30


INSTRUCTIONS = {"avx512f": "AVX-512", "avx512_bf16": "bf16"}
"""Instruction sets that can make a processor twice as fast, by the kernel's name for them."""


def processor_name() -> str:
    """Return e.g. "AMD EPYC with AVX-512 and bf16". Models differ between processors, because sums are rounded anew."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    values = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = values.get("flags", "").split()
    found = " and ".join(text for flag, text in INSTRUCTIONS.items() if flag in flags)
    return f"{values.get('model name', 'cpu')}{f' with {found}' if found else ''}"


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors for the next ones instead of returning it to the kernel.

    By default every tensor above 32 MB, such as the activations of a batch of 128, comes from the kernel page by page,
    zeroed, again in every step. Does nothing where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT)


class _DeferredDynamo(ModuleType):
    """Replaces ``torch._dynamo`` until something about compilation is asked for."""

    __spec__ = None

    @staticmethod
    def disable(function: Callable, *_arguments: Any, **_settings: Any) -> Callable:
        return function

    @staticmethod
    def graph_break(*_arguments: Any, **_settings: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer_dynamo() -> None:
    """Delay the import of torch's compiler, which takes one second of processor time, until something is compiled.

    An eager optimizer asks it for two things that have no meaning outside of compiled code: not to compile a function,
    and to break the graph. Any other request loads the real module.
    """
    import torch

    if "torch._dynamo" not in sys.modules:
        torch._dynamo = sys.modules["torch._dynamo"] = _DeferredDynamo("torch._dynamo")
