"""Reads and checks the configuration, and makes the plan that tells the rules what each job needs."""

import json
import sys
import textwrap
from functools import partial
from pathlib import Path

PROJECT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve().parents[1]

if Path(workflow.main_snakefile).resolve() != PROJECT / "workflow" / "Snakefile":
    sys.exit(
        "error: this workflow cannot be a module of another; run it by itself, in any folder: "
        f"snakemake --snakefile {PROJECT / 'workflow' / 'Snakefile'}"
    )
if str(PROJECT / "scripts") not in sys.path:
    sys.path.insert(0, str(PROJECT / "scripts"))

from unlearning.config.checks import check_command_line, check_device, check_request, targets_of
from unlearning.config.model import REFERENCES, as_published
from unlearning.config.reading import CONFIG, hint_of_old_words, read_config
from unlearning.config.variants import VALIDATION, baselines_of, with_calibration, with_sweep
from unlearning.errors import UserError
from unlearning.meaning import by_meaning
from unlearning.paths import BENCHMARK, CELL, DATASETS, PRETRAINING, PUBLISHED, SHADOW, TABLES
from unlearning.shown_paths import FIGURE, FIGURE_FORMATS, PAGE, STYLE, figure_files
from unlearning.workflow.cluster import record_where_jobs_run, settle_orphans, take_turns, wait_for_controller
from unlearning.workflow.container import IMAGE, check_container
from unlearning.workflow.plan import Plan, relative
from unlearning.workflow.watch import print_closing_words, watch
from unlearning.workflow.workspace import (
    before_planning,
    check_readable,
    check_room,
    claim,
    compare_replaced_files,
    ending,
    has_failed,
    prepare_snakemake,
    preview,
    remove_partial_files,
    sees_gpu,
)


def or_exit(function, *arguments):
    """Call ``function``. A UserError ends the run by SystemExit: any other exit from a Snakefile adds a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(f"error: {textwrap.shorten(str(error), 500)}")
    except (OSError, RuntimeError, MemoryError) as error:  # a folder in place of a file, ~nobody, endless nesting
        sys.exit(f"error: {type(error).__name__}: {textwrap.shorten(str(error), 500)}")


if workflow.is_main_process:
    or_exit(check_command_line, sys.argv[1:])
    or_exit(check_container, workflow.deployment_settings.deployment_method)

# Snakemake's `configfile:` is not used: it evaluates expressions in a file, and loses one of two equal keys.
layers = [CONFIG, *workflow.overwrite_configfiles]
chosen = or_exit(read_config, layers, workflow.config_settings.config)
config.clear()
config.update(chosen.as_plain())
if workflow.is_main_process:
    or_exit(check_room, Path("results"))
    or_exit(check_readable, Path("results"))
    if workflow.resource_settings.default_resources is None:  # Snakemake sets them for jobs on other machines
        or_exit(check_device, chosen.device, sees_gpu())

compare_replaced_files()
record_where_jobs_run()
take_turns(workflow)

VARIANTS, CHOICES, BASELINES = {}, {}, []
if chosen.sweep:
    chosen, VARIANTS = or_exit(with_sweep, chosen)
if chosen.calibrate:
    BASELINES = or_exit(baselines_of, chosen)
    chosen, CHOICES = or_exit(with_calibration, chosen)
# Snakemake knows its targets only after it has read all rules.
or_exit(check_request, chosen, targets_of(sys.argv[1:]))

plan = Plan(chosen)
code = partial(or_exit, plan.code)

if workflow.is_main_process:
    hint = hint_of_old_words(workflow.config_settings.config)
    print(plan.summary(), *([hint] if hint else []), sep="\n", file=sys.stderr, flush=True)

# A job with a model asks a cluster for one GPU. A profile may ask by another name, as the default resource `gres`.
GPUS = 0 if chosen.device == "cpu" or "gres" in (workflow.resource_settings.default_resources or ()) else 1
# On this machine, a job with a model takes one of the slots that the profile sets, if there is a GPU.
GPU_SLOTS = 1 if chosen.device.startswith("cuda") or (chosen.device == "auto" and sees_gpu()) else 0


def growing(amount):
    """Return a resource that grows with each attempt: on a cluster, a job that ended at a limit is tried again."""
    return lambda wildcards, attempt: amount * attempt


def in_report(path, caption, category, **labels):
    """Return an output that `make report` takes into the report."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


def drawn(figure, category, metric):
    """Return the files of a figure by format; the svg is in the report, with the caption in workflow/report/."""
    files = figure_files(figure)
    return files | {"svg": in_report(files["svg"], figure, category, benchmark="{benchmark}", metric=metric)}


def take_the_results():
    """Lock the results for this run, or end the run with one line that says why this is not possible."""
    global results_lock  # kept open as long as this process lives
    if not workflow.local_exec:
        wait_for_controller()  # which alone knows the jobs of an earlier run
    results_lock = or_exit(claim, Path("results"))
    or_exit(settle_orphans, Path.cwd(), chosen.orphans)


if workflow.is_main_process:
    before_planning(workflow, take_the_results)


def prepare_run():
    """Remove what killed jobs left half-written, and adapt Snakemake to the run."""
    remove_partial_files(Path("results"))
    prepare_snakemake(workflow)
    watch(workflow)


def show_the_result():
    """Print the first block of the table, if this run made one."""
    if any(job.rule.name == "table" for job in workflow.dag.jobs):
        print_closing_words(Path("results/table.md"), Path(TABLES["metrics"]))


def show_what_is_there():
    """Write the table of finished cells, and say which cells are missing and why."""
    has_failed.set()
    if not ending.is_set():
        given = [f"{key}={json.dumps(value)}" for key, value in workflow.config_settings.config.items()]
        preview(PROJECT / "scripts", given, workflow.overwrite_configfiles)
        for job in workflow.dag.jobs:
            if job.rule.name == "table":  # a file that was not there before is not a whole table yet
                workflow.persistence.started(job)


wildcard_constraints:
    benchmark="[^/]+",
    model="[a-z0-9_]+",
    dataset="|".join(chosen.datasets),
    forget_class="0|[1-9][0-9]*",
    seed="0|[1-9][0-9]*",
    shadow="0|[1-9][0-9]*",
