"""Run a suite in slices of limited time, what is wanted most first. The same command goes on where the last one ended.

python scripts/offline_run.py --minutes 9 --keep kept

The stages are: the references and baselines with the first seed, then a method more each, then a seed more each. After
each of them --keep holds a whole table and its numbers. Exit status: 0, all is done; 3, the time was over: call again;
1, something failed, and the last lines say what.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess  # nosec B404: Snakemake and nvidia-smi, with arguments of our own
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from unlearning.config.checks import check_yaml, known
from unlearning.errors import UserError
from unlearning.files import read_json, write_json, write_text
from unlearning.tables.provenance import commit_of
from unlearning.watched_code import SCRIPTS

RESULTS = ("table.md", "metrics.csv", "costs.csv", "summary.csv", "comparisons.csv", "provenance.json")
RUN = Path("results/run.json")
"""What was run on what and for how long, a slice a row; a stage that is done there is not run again."""
OF_A_STAGE = ("suite", "methods", "seeds")
"""What tells the stages in it from each other."""

DONE, FAILED, TIME_IS_OVER = 0, 1, 3
SHOWN_OF_A_FAILURE = 20
"""Lines."""

TELLINGS, PATIENCE = 4, 5.0
"""How often Snakemake is told to end, and how many seconds it has each time."""


def main(arguments: list[str]) -> int:
    given = parsed(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    deadline = time.monotonic() + 60 * given.minutes
    try:
        config = read_config()
        suite = known(given.suite, config["suites"], "--suite")
        given.keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            check_whole(given, Path(folder))
            stages = list(stages_of(config, suite, given.seeds or config["suites"][suite]["seeds"]))
            for number, stage in enumerate(stages, start=1):
                # Its table would take the place of a larger one. The last stage sees to it that all is up to date.
                if number < len(stages) and {"suite": suite, **stage} in stages_done():
                    keep_what_is_missing(given.keep)
                    continue
                what = f"stage {number} of {len(stages)} ({described(stage)})"
                status = run_stage(stage, given, Path(folder), deadline, what)
                if status != DONE:
                    return status
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    print("all is done")
    return DONE


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="paper", help="a name under suites in config.yaml (default: paper)")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the suite's; other seeds can be joined later")
    parser.add_argument("--minutes", type=positive, default=float("inf"), help="end within so many (default: no limit)")
    parser.add_argument("--keep", type=Path, default=Path("kept"), help="the folder for the tables (default: kept)")
    parser.add_argument("--data", help="the folder of the data sets, instead of config.yaml's data_dir")
    parser.add_argument("--cores", type=whole, default=os.cpu_count(), help="(default: all)")
    parser.add_argument("--slots", type=whole, help="jobs that share the GPU, instead of the profile's")
    parser.add_argument("--commit", help="what to note as the commit, where the project lies without its repository")
    given = parser.parse_args(arguments)
    if given.keep.exists() and not given.keep.is_dir():
        parser.error(f"--keep {given.keep}: it is a file; name a folder")
    return given


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def whole(text: str) -> int:
    return int(positive(str(int(text))))


def read_config() -> dict[str, Any]:
    path = SCRIPTS.parent / "config.yaml"
    check_yaml(path)
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def stages_of(config: dict[str, Any], suite: str, seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Yield what each stage has of the suite: its methods and seeds, as settings of the suite."""
    methods = config["suites"][suite]["methods"]
    wanted = [name for name in methods if (config["methods"].get(name) or {}).get("kind") == "baseline"]
    if wanted:
        yield {"methods": list(wanted), "seeds": seeds[:1]}
    for name in methods:
        if name not in wanted:
            wanted.append(name)
            yield {"methods": [name for name in methods if name in wanted], "seeds": seeds[:1]}
    for count in range(2, len(seeds) + 1):
        yield {"methods": list(methods), "seeds": seeds[:count]}


def described(stage: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, stage["seeds"]))
    return f"{len(stage['methods'])} methods, seed{'s' * (len(stage['seeds']) > 1)} {seeds}"


def check_whole(given: argparse.Namespace, folder: Path) -> None:
    """Raise UserError with what Snakemake says against the whole suite: not after hours, when its stage comes."""
    whole = {"seeds": given.seeds} if given.seeds else {}
    command = snakemake(whole, given, folder, "-n")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=with_python())  # nosec B603
    if done.returncode != 0:
        raise UserError(done.stdout.strip().splitlines()[-1].removeprefix("error: "))


def snakemake(stage: dict[str, Any], given: argparse.Namespace, folder: Path, *further: str) -> list[str]:
    """Return the command that makes the table of a stage."""
    settings = {"suite": given.suite, "suites": {given.suite: stage}} | ({"data_dir": given.data} if given.data else {})
    write_text(folder / "stage.yaml", yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "results/table.md", "--cores", str(given.cores)]
    command += ["--configfile", str(folder / "stage.yaml")]
    command += ["--resources", f"gpu_slots={given.slots}"] if given.slots else []
    return [*command, *further]


def with_python() -> dict[str, str]:
    """Return the environment in which jobs that call "python" get this one."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run_stage(stage: dict[str, Any], given: argparse.Namespace, folder: Path, deadline: float, what: str) -> int:
    """Run Snakemake for one stage until it is done or the time is over, and keep what it made."""
    began, status = time.monotonic(), None
    log = given.keep / "snakemake.log"
    print(f"{what} ...", flush=True)
    try:
        with log.open("ab") as output:
            before = output.tell()
            status = run_until(deadline, snakemake(stage, given, folder), output)
        if status == DONE:
            keep_results(given.keep)
    finally:
        seconds = time.monotonic() - began
        note(given, {"suite": given.suite, **stage, "seconds": round(seconds, 1), "done": status == DONE})
    if status == DONE:
        print(f"{what}: done in {seconds:.0f} s, its table is {given.keep / 'table.md'}", flush=True)
        return status
    lines = log.read_bytes()[before:].decode(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error in ")]
    if status == TIME_IS_OVER:
        print("\n".join([*errors, f"{what}: the time was over after {seconds:.0f} s; the same command goes on"]))
    else:
        print("\n".join(errors or lines[-SHOWN_OF_A_FAILURE:]), file=sys.stderr)
        print(f"error: {what} failed after {seconds:.0f} s; its log is {log}", file=sys.stderr)
    return status


def keep_results(folder: Path) -> None:
    for name in RESULTS:
        shutil.copyfile(Path("results") / name, folder / name)


def keep_what_is_missing(folder: Path) -> None:
    """Keep the last stage's table if the folder is a new one."""
    if not (folder / "table.md").exists() and all((Path("results") / name).exists() for name in RESULTS):
        keep_results(folder)


def run_until(deadline: float, command: list[str], output: Any) -> int:
    """Run ``command``, and end it and its children at the ``deadline``, or when this process is told to end."""
    with subprocess.Popen(command, stdout=output, stderr=output, env=with_python()) as process:  # nosec B603
        try:
            limit = deadline - time.monotonic()
            return DONE if process.wait(None if limit == float("inf") else max(0, limit)) == 0 else FAILED
        except subprocess.TimeoutExpired:
            return TIME_IS_OVER
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    """Tell Snakemake to end: its jobs leave at once then, and their savepoints are kept. Kill it if it does not.

    It is told more than once, because a job that it is just starting misses the first time.
    """
    for _ in range(TELLINGS):
        process.terminate()  # does nothing to one that has ended
        try:
            process.wait(PATIENCE)
            return
        except subprocess.TimeoutExpired:
            pass
    its = psutil.Process(process.pid)
    for each in (its, *its.children(recursive=True)):
        each.kill()


def slices() -> list[dict[str, Any]]:
    return read_json(RUN)["slices"] if RUN.exists() else []


def stages_done() -> list[dict[str, Any]]:
    return [{name: its.get(name) for name in OF_A_STAGE} for its in slices() if its["done"]]


def note(given: argparse.Namespace, slice_: dict[str, Any]) -> None:
    """Add a slice to run.json, with what it ran on."""
    code = {"commit": given.commit} if given.commit else commit_of(SCRIPTS.parent)
    machine = code | {"gpu": gpu(), "cores": given.cores, "gpu_slots": given.slots}
    write_json(RUN, {"slices": [*slices(), machine | slice_]})
    shutil.copyfile(RUN, given.keep / RUN.name)


def gpu() -> str | None:
    """Return name and driver of the GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)  # nosec B603
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
