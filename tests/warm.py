"""Programs that are imported already: more than half of a start, and the tests start them more than a thousand times.

This file, run as a program, does the imports of one of `PROGRAMS`, and forks for each request. The fork is a process
like any other, with its own folder, variables and output, and has imported nothing of the project. Snakemake and its
jobs have separate programs, since Snakemake must do without the imports of the jobs.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

LARGEST_REQUEST = 2**17
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB", "NUMEXPR")}
"""What Snakemake sets for a job with one thread. Libraries read it as they are imported."""


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run ``snakemake``, the words ``command``, in ``folder``, with its output as ``stdout`` of the result."""
    with tempfile.NamedTemporaryFile("r+") as output:
        status = ask(_server(), command, str(folder), environment, output.fileno())
        output.seek(0)
        return subprocess.CompletedProcess(command, status, output.read())


@cache
def _server() -> socket.socket:
    return _start("snakemake", _start("jobs"))


def _start(program: str, *others: socket.socket) -> socket.socket:
    """Start this file as ``program``, which may ask ``others``, and return what to ask it by. It ends with us."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    numbers = [each.fileno() for each in (its, *others)]
    command = [sys.executable, __file__, program, *map(str, numbers)]
    server = subprocess.Popen(command, pass_fds=numbers, env=os.environ | ONE_THREAD, start_new_session=True)
    its.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def ask(server: socket.socket, command: list[str], folder: str, environment: dict[str, str], output: int) -> int:
    """Let ``server`` run ``command`` with the open file ``output``, and return the exit status."""
    request = {"command": command, "folder": folder, "environment": environment}
    answer, writing = os.pipe()
    socket.send_fds(server, [json.dumps(request).encode()], [output, writing])
    os.close(writing)
    with open(answer) as file:
        return int(file.read() or -signal.SIGKILL)


# --- in the program


def serve(requests: socket.socket) -> None:
    """Fork for each of ``requests``, and write the exit status of the fork. Return in each fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        request, opened, *_ = socket.recv_fds(requests, LARGEST_REQUEST, 2)
        if not request:
            sys.exit()
        if os.fork() == 0:
            break
        for each in opened:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    output, answer = opened
    child = os.fork()
    if child:
        os.write(answer, str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        os._exit(0)
    os.close(answer)
    become(output=output, **json.loads(request))


def become(command: list[str], folder: str, environment: dict[str, str], output: int) -> None:
    """Make this process what a new Python would begin as."""
    os.setsid()
    for opened, number in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(opened, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = command


def be_snakemake(requests: socket.socket, jobs: socket.socket) -> None:
    """Be ``snakemake``, whose jobs are run by ``jobs``."""
    from snakemake.cli import main
    from snakemake.script import PythonScript

    start = PythonScript.execute_script

    def execute_script(self, script, edit=False):
        """Replaces the method of Snakemake: it starts the same script as a job that is imported already."""
        if self.threads != 1:
            return start(self, script, edit)
        environment = os.environ | ONE_THREAD | {"TMPDIR": self.resources["tmpdir"]}
        status = ask(jobs, [script], os.getcwd(), environment, 2)
        if status:
            raise subprocess.CalledProcessError(status, script)

    PythonScript.execute_script = execute_script
    serve(requests)
    sys.path[0] = os.getcwd()
    main()


def be_a_job(requests: socket.socket) -> None:
    """Be a job: the script that Snakemake wrote for it."""
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    import snakemake.iocontainers
    import snakemake.logging  # noqa: F401
    import torch  # noqa: F401

    serve(requests)
    (script,) = sys.argv
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


PROGRAMS = {"snakemake": be_snakemake, "jobs": be_a_job}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*(socket.socket(fileno=int(number)) for number in sys.argv[2:]))
