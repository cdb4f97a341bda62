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
import subprocess  # nosec B404: Snakemake, git and nvidia-smi, with arguments of our own
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from unlearning.config import check_yaml, known
from unlearning.dependencies import SCRIPTS
from unlearning.errors import UserError
from unlearning.files import read_json, write_json, write_text

RESULTS = ("table.md", "metrics.csv", "costs.csv", "summary.csv", "comparisons.csv", "provenance.json")
RUN = Path("results/run.json")
"""What was run on what and for how long, a slice a row; a stage that is done there is not run again."""

DONE, FAILED, TIME_IS_OVER = 0, 1, 3
SHOWN_OF_A_FAILURE = 20
"""Lines."""


def main(arguments: list[str]) -> int:
    given = parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    deadline = time.monotonic() + 60 * given.minutes
    try:
        config = read_config()
        suite = known(given.suite, config["suites"], "--suite")
        stages = list(stages_of(config, suite, given.seeds or config["suites"][suite]["seeds"]))
        given.keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for number, stage in enumerate(stages, start=1):
                what = f"stage {number} of {len(stages)} ({described(stage)})"
                # Its table would take the place of a larger one. The last stage sees to it that all is up to date.
                if number < len(stages) and what in stages_done():
                    continue
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
    wanted = [name for name in methods if config["methods"].get(name, {}).get("kind") == "baseline"]
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


def run_stage(stage: dict[str, Any], given: argparse.Namespace, folder: Path, deadline: float, what: str) -> int:
    """Run Snakemake for one stage until it is done or the time is over, and keep what it made."""
    began = time.monotonic()
    settings = {"suite": given.suite, "suites": {given.suite: stage}} | ({"data_dir": given.data} if given.data else {})
    write_text(folder / "stage.yaml", yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "results/table.md", "--cores", str(given.cores)]
    command += ["--configfile", str(folder / "stage.yaml")]
    command += ["--resources", f"gpu_slots={given.slots}"] if given.slots else []
    log = given.keep / "snakemake.log"
    print(f"{what} ...", flush=True)
    with log.open("ab") as output:
        status = run_until(deadline, command, output)
    seconds = time.monotonic() - began
    note(given, {"stage": what, "seconds": round(seconds, 1), "done": status == DONE})
    if status == DONE:
        for name in RESULTS:
            shutil.copyfile(Path("results") / name, given.keep / name)
        print(f"{what}: done in {seconds:.0f} s, its table is {given.keep / 'table.md'}", flush=True)
    elif status == TIME_IS_OVER:
        print(f"{what}: the time was over after {seconds:.0f} s; the same command goes on", flush=True)
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-SHOWN_OF_A_FAILURE:]), file=sys.stderr)
        print(f"error: {what} failed after {seconds:.0f} s; its log is {log}", file=sys.stderr)
    return status


def run_until(deadline: float, command: list[str], output: Any) -> int:
    """Run ``command`` and end it with SIGTERM at the ``deadline``, on which jobs leave at once: savepoints are kept."""
    # Jobs call "python"; it has to be this one.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"PATH": path}) as process:  # nosec B603
        try:
            limit = deadline - time.monotonic()
            return DONE if process.wait(None if limit == float("inf") else max(0, limit)) == 0 else FAILED
        except subprocess.TimeoutExpired:
            return TIME_IS_OVER
        finally:
            process.terminate()  # also when this process is told to end; does nothing to one that has ended


def slices() -> list[dict[str, Any]]:
    return read_json(RUN)["slices"] if RUN.exists() else []


def stages_done() -> set[str]:
    return {its["stage"] for its in slices() if its["done"]}


def note(given: argparse.Namespace, slice_: dict[str, Any]) -> None:
    """Add a slice to run.json, with what it ran on."""
    machine = {"commit": given.commit or commit(), "gpu": gpu(), "cores": given.cores, "gpu_slots": given.slots}
    write_json(RUN, {"slices": [*slices(), machine | slice_]})
    shutil.copyfile(RUN, given.keep / RUN.name)


def commit() -> str | None:
    return printed_by("git", "-C", str(SCRIPTS.parent), "rev-parse", "HEAD")


def gpu() -> str | None:
    """Return name and driver of the GPU."""
    return printed_by("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")


def printed_by(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # nosec B603
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
