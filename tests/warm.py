"""A Snakemake that is imported already: more than half of a start, and the tests start it hundreds of times.

This file, run as a program, imports Snakemake, and forks for each request. The fork is a Snakemake like any other: a
process with its own session, folder and variables, which ends as Python does, and has imported nothing of the project.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run ``snakemake``, the words ``command``, in ``folder``, with its output as ``stdout`` of the result."""
    if not _servers:
        server = subprocess.Popen([sys.executable, __file__], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(server.communicate)
        _servers.append(server)
    (server,) = _servers
    with tempfile.NamedTemporaryFile("r") as output:
        request = {"command": command, "folder": str(folder), "environment": environment, "output": output.name}
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(command, status, output.read())


_servers: list[subprocess.Popen] = []


def serve() -> None:
    """Fork for each line of standard input, and write the exit status of the fork. Return in each fork."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def become(command: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    """Make this process what ``python -m snakemake`` would begin as."""
    os.setsid()
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY), (2, output, os.O_WRONLY)):
        opened = os.open(path, flags | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = command
    sys.path[0] = folder


if __name__ == "__main__":
    from snakemake.cli import main

    serve()
    main()
