"""Protect a job from its method's code: it must not fill the disk, or close the log that says how the job ended."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from unlearning.runner.outcomes import MethodError

LARGEST_FILE_MB = 100


@contextmanager
def contained() -> Iterator[None]:
    """Run a method's code with a limit on its written files; restore output and working directory afterwards.

    Raises MethodError if a file or the job's log would have grown beyond ``LARGEST_FILE_MB``, or if the code closed or
    replaced standard output or error, or changed the working directory.
    """
    folder = os.getcwd()
    streams, descriptors = (sys.stdout, sys.stderr), (os.dup(1), os.dup(2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]  # no limit of the machine is lifted
    resource.setrlimit(resource.RLIMIT_FSIZE, (min([LARGEST_FILE_MB * 1_000_000, *limits]), hard))
    try:
        yield
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise MethodError(f"it printed or wrote more than {LARGEST_FILE_MB} MB into one file") from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        is_closed = _restore(streams, descriptors)
        has_moved = not _are_same_folder(folder)
        os.chdir(folder)
    if has_moved:
        raise MethodError("it changed the working directory")
    if is_closed:
        raise MethodError("it closed or replaced standard output or error")


def _restore(streams: tuple, descriptors: tuple[int, int]) -> bool:
    """Restore the streams and the descriptors 1 and 2, and return whether any of them had been changed."""
    is_changed = (sys.stdout, sys.stderr) != streams or any(stream.closed for stream in streams)
    for number, descriptor in enumerate(descriptors, start=1):
        if not _are_same_file(number, descriptor):
            os.dup2(descriptor, number)
            is_changed = True
        os.close(descriptor)
    opened = [os.fdopen(os.dup(n), "w") if s.closed else s for n, s in enumerate(streams, start=1)]
    sys.stdout, sys.stderr = opened
    return is_changed


def _are_same_folder(folder: str) -> bool:
    try:
        return os.getcwd() == folder
    except FileNotFoundError:  # removed
        return False


def _are_same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:  # closed
        return False
