"""Reads and checks the configuration and gives the rules what they need of it."""

import os
import sys
import textwrap
import threading
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import validate

SCRIPTS = Path(workflow.basedir).parent / "scripts"
SCHEMA = Path(workflow.basedir) / "schemas" / "config.schema.yaml"

if str(SCRIPTS) not in sys.path:
    sys.path.insert(0, str(SCRIPTS))

from unlearning.config.calibration import add_calibration, baselines_of
from unlearning.config.checks import (
    REFERENCES,
    Benchmark,
    add_rule,
    as_published,
    asked_for,
    check_names,
    check_request,
    check_schema,
    check_yaml,
    dataset_file,
    method_file,
    read_switches,
)
from unlearning.watched_code import code_of, digest_of
from unlearning.errors import UserError
from unlearning.config.variants import VALIDATION, add_sweep
from unlearning.workflow.workspace import check_room, claim, end_jobs_with_me, remove_partial_files, sees_gpu

CONFIG = Path(workflow.basedir).parent / "config.yaml"


def or_exit(function, *arguments):
    """Call ``function``; a UserError ends the run. Any way out of a Snakefile but SystemExit adds a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(f"error: {textwrap.shorten(str(error), 500)}")
    except (OSError, RuntimeError, MemoryError) as error:  # a folder in place of a file, ~nobody, endless nesting
        sys.exit(f"error: {type(error).__name__}: {textwrap.shorten(str(error), 500)}")


or_exit(check_yaml, CONFIG)


configfile: CONFIG


def check_config():
    """Check everything that can be checked before any job starts."""
    read_switches(config)
    check_schema(config, load_configfile(SCHEMA))
    add_rule(config)
    validate(config, SCHEMA)  # fills in the schema's defaults
    check_names(config)
    # Snakemake itself knows its targets only after it has read all rules.
    check_request(config, [argument for argument in sys.argv[1:] if argument.startswith("results/")])


or_exit(check_config)
if workflow.is_main_process:
    or_exit(check_room, Path("results"))

VARIANTS = or_exit(add_sweep, config) if config["sweep"] else {}
LINES = or_exit(add_calibration, config) if config["calibrate"] else {}
BASELINES = baselines_of(config) if config["calibrate"] else []
SUITE = config["suites"][config["suite"]]
RELEARNING = asked_for(config, "relearning")
SHADOW_MODELS = asked_for(config, "shadow_models")
ROWS = [*REFERENCES, *SUITE["methods"]]

# What a job that runs a model takes of a GPU. The profile says how many slots there are; a cluster counts whole GPUs.
GPU_SLOTS = 1 if config["device"].startswith("cuda") or (config["device"] == "auto" and sees_gpu()) else 0


def prepare_run():
    """Make the results this run's own, or end it with one line that says why they cannot be."""
    global results_lock  # for as long as this process lives
    results_lock = or_exit(claim, Path("results"))
    remove_partial_files(Path("results"))
    if workflow.local_exec:
        end_jobs_with_me()
        # Its limit of 100 jobs a second is for clusters. Here it only makes the scheduler look again after every second,
        # once for each job that it has started so far, and the run end a second late.
        workflow.scheduler.job_rate_limiter = None
        # Its handler of SIGTERM takes a lock that the interrupted code may hold, and would wait for itself.
        workflow.scheduler._lock = threading.RLock()


wildcard_constraints:
    model="[a-z0-9_]+",
    dataset="|".join(config["datasets"]),
    forget_class="0|[1-9][0-9]*",
    seed="0|[1-9][0-9]*",
    shadow="0|[1-9][0-9]*",


def code(script):
    """Return the code that a script runs, as inputs: Snakemake does not follow imports by itself."""
    return relative(or_exit(code_of, SCRIPTS / script))


# Each job depends on the code and the data that it uses in two ways. As inputs, Snakemake names those that changed. As
# digests among its parameters, they are noticed also where time stamps say nothing: a file that was replaced by an older
# one, or edited while the job was running.
def code_digest(script, of_method=False):
    """Return a parameter function: a digest of the code that a script runs, and with it the method's."""
    own = or_exit(code_of, SCRIPTS / script)
    return lambda wildcards: digest_of([*own, *(method_files(wildcards) if of_method else [])])


def data_digest(wildcards):
    """Return a digest of the data set; while the file is not there, Snakemake takes the error for "to be made"."""
    return digest_of([dataset(wildcards)])


def missing(*files):
    """Return a parameter function: which inputs are missing. While its output is there, Snakemake makes none again."""

    def those_missing(wildcards):
        paths = [file(wildcards) if callable(file) else file for file in files]
        return [path for path in (str(path).format(**wildcards) for path in paths) if not Path(path).exists()]

    return those_missing


def relative(files):
    """Return paths from the working directory, so that a project that moved as a whole is not rebuilt."""
    return [os.path.relpath(file) for file in files]


def by_key(settings):
    """Return nested settings sorted by key: Snakemake compares parameters by their text."""
    if isinstance(settings, dict):
        return {key: by_key(settings[key]) for key in sorted(settings)}
    return settings


def benchmark_settings(wildcards):
    return config["benchmarks"][f"{wildcards.model}-{wildcards.dataset}"]


def protocol(wildcards):
    return config["protocols"][benchmark_settings(wildcards)["protocol"]]


AUGMENTATION = ["crop_padding", "flip"]


def protocol_of(*keys):
    """Return a parameter function for some constants of the protocol: a job depends on those that it uses."""
    return lambda wildcards: by_key({key: protocol(wildcards)[key] for key in keys})


training_protocol = protocol_of("batch_size", "precision", *AUGMENTATION, "pretrain")
general_unlearning_protocol = protocol_of("batch_size", "precision", *AUGMENTATION, "unlearn")
relearning_protocol = protocol_of(*AUGMENTATION, "relearn")
evaluation_protocol = protocol_of(*AUGMENTATION)


def unlearning_protocol(wildcards):
    """Return the protocol of unlearning, with what the variant of a calibration has otherwise."""
    general, otherwise = general_unlearning_protocol(wildcards), config["methods"][wildcards.method].get("unlearn", {})
    return by_key(general | {"unlearn": general["unlearn"] | otherwise})


def training_settings(wildcards):
    """Return what determines the training of the original model and of the oracle."""
    return by_key({"width": benchmark_settings(wildcards)["width"], "protocol": training_protocol(wildcards)})


def hyperparameters(wildcards):
    return by_key(config["methods"][wildcards.method]["hyperparameters"])


def dataset_settings(key):
    """Return a parameter function for one setting of the data set."""
    return lambda wildcards: config["datasets"][wildcards.dataset].get(key)


def image_settings(wildcards):
    """Return how the data set is read and made into what the model sees."""
    of_dataset = {key: config["datasets"][wildcards.dataset][key] for key in ("classes", "fit", "normalisation")}
    return by_key(of_dataset | {"image_size": benchmark_settings(wildcards)["image_size"]})


def dataset(wildcards):
    return dataset_file(config, wildcards.dataset)


def method(wildcards):
    return relative([method_file(wildcards.method, config["methods"][wildcards.method])])[0]


def method_files(wildcards):
    """Return the method's file and what it imports; while it is being edited into no valid Python, the file alone."""
    file = Path(method(wildcards))
    try:
        return code_of(file)
    except UserError:
        return [file]


def method_code(wildcards):
    """Return the modules of the project that the method's file imports."""
    return relative(method_files(wildcards))


def checkpoint_of(wildcards):
    """Return the model that a row of the table is about."""
    if wildcards.method == "original":
        return "results/{model}-{dataset}/seed{seed}/pretrained.pt"
    name = "retrained.pt" if wildcards.method == "retrain" else "unlearned.pt"
    return f"results/{{model}}-{{dataset}}-class{{forget_class}}/seed{{seed}}/{{method}}/{name}"


def suite_files(pattern, methods, benchmarks=SUITE["benchmarks"], seeds=SUITE["seeds"]):
    """Return `pattern` for every benchmark, method and seed of the suite, in the table's order, each file once."""
    files = [
        pattern.format(**vars(Benchmark.parse(benchmark)), method=method, seed=seed)
        for benchmark in benchmarks
        for method in methods
        for seed in seeds
    ]
    return list(dict.fromkeys(files))


def cell_files(name, methods, *which):
    """Return the file `name` of every cell of the suite for `methods`."""
    cell = "results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}"
    return suite_files(f"{cell}/{name}", methods, *which)


def kinds_of_rows():
    """Return what each row of the suite is, in its order: a reference, or the kind of its method."""
    methods = {name: config["methods"][name]["kind"] for name in SUITE["methods"]}
    return dict.fromkeys(REFERENCES, "reference") | methods


def settings_of_rows():
    """Return whose hyperparameters each row of the suite has; a reference has none."""
    return {name: config["methods"][name]["settings"] for name in SUITE["methods"]}


def calibration_files(name):
    """Return the file `name` of every cell of the calibration: as chosen, and each line otherwise."""
    files = cell_files(name, [*REFERENCES, *BASELINES])
    for suffix in LINES:
        if BASELINES[0] + suffix in config["methods"]:
            files += cell_files(name, [baseline + suffix for baseline in BASELINES])
        else:
            benchmarks = [benchmark.replace("-class", f"{suffix}-class") for benchmark in SUITE["benchmarks"]]
            files += cell_files(name, [*REFERENCES, *BASELINES], benchmarks)
    return files
