"""Checks that no schema can make: relations between parts of a configuration, and between a configuration and files."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from unlearning.config.classes import is_several_classes
from unlearning.config.messages import known
from unlearning.config.model import EXTERNAL, REFERENCES, Benchmark, Config, MethodSettings, method_file
from unlearning.config.variants import VARIANT
from unlearning.errors import UserError, unreadable
from unlearning.paths import RESULTS
from unlearning.shown_paths import FIGURE_FILE
from unlearning.watched_code import code_of

VGG_LEAST_SIZE = 32

SIZES = ("retain_images", "forget_images", "steps_per_epoch", "steps_per_forget_pass")
"""What a constructor may ask for besides hyperparameters: the keys of `unlearning.runner.interface.sizes_of`."""


def check_names(config: Config) -> None:
    """Raise UserError if a name in the configuration refers to nothing, or if a suite cannot run.

    The schema cannot see such mistakes: they are relations between parts of the configuration.
    """
    for name, settings in config.benchmarks.items():
        where = f"configuration: benchmarks.{name}"
        known(name.split("-")[1], config.datasets, where)
        known(settings.protocol, config.protocols, f"{where}.protocol")
        if name.startswith("vgg16bn") and settings.image_size < VGG_LEAST_SIZE:
            raise UserError(f"{where}.image_size: vgg16bn halves the image five times; write {VGG_LEAST_SIZE} or more")
    for name in config.datasets:
        check_part(config, name)
    for name in config.methods:
        if name in REFERENCES:
            raise UserError(f"configuration: methods.{name}: the name of a reference row; give the method another one")
    known(config.suite, config.suites, "configuration: suite")
    for suite, contents in config.suites.items():
        for benchmark in contents.benchmarks:
            check_benchmark(config, Benchmark.parse(benchmark), f"configuration: suites.{suite}.benchmarks")
        for method in contents.methods:
            known(method, config.methods, f"configuration: suites.{suite}.methods")


def check_part(config: Config, name: str) -> None:
    """Raise UserError if the data set ``name`` is a part, and its entry contradicts itself or its original."""
    settings, where = config.datasets[name], f"configuration: datasets.{name}"
    if settings.part_of is None:
        for key in ("per_class", "test_per_class"):
            if getattr(settings, key) is not None:
                raise UserError(f"{where}.{key}: it is for a part of another data set; write part_of: NAME as well")
        return
    if settings.source is not None:
        raise UserError(f"{where}: it has a source and is a part of {settings.part_of}; write one of the two")
    if settings.per_class is None:
        raise UserError(f"{where}: how large is the part? write per_class: 400, training images of each class")
    classes = config.datasets[settings.part_of].classes
    if settings.classes != classes:
        raise UserError(f"{where}.classes: {settings.part_of} has {classes} classes, and so has its part; leave it out")


def check_checkpoints(config: Config) -> None:
    """Raise UserError if ``checkpoints`` names no folder, or the folder of this run's own results."""
    if config.checkpoints is None:
        return
    folder = Path(config.checkpoints).expanduser()
    where = f"checkpoints={config.checkpoints}"
    if not folder.is_dir():
        raise UserError(f"{where}: there is no such folder; name a copy of results/, or of the project that it is in")
    if Path(RESULTS).resolve() in (folder.resolve(), (folder / RESULTS).resolve()):
        raise UserError(
            f"{where}: these are this run's own results, which are removed before they are made again; "
            "move them: mv results old && ... --config checkpoints=old"
        )


OTHER_FOLDERS = ("datasets", "figures", "report", "reference", "checkpoints")
"""The folders of results/ that are no benchmark's."""


WITH_FILES = ("--report", "--forcerun", "-R", "--until", "-U", "--omit-from", "-O")
"""Options of Snakemake behind which files may stand that are no targets."""


def targets_of(arguments: Sequence[str]) -> list[str]:
    """Return the targets under results/ of Snakemake's command line, without the files that belong to an option."""
    targets, option = [], ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument
        elif argument.startswith(f"{RESULTS}/") and option not in WITH_FILES:
            targets.append(argument)
        if option == "--report" and argument != option:
            option = ""  # it has one file, others have all that follow
    return targets


def check_request(config: Config, targets: Iterable[str]) -> None:
    """Raise UserError if this run cannot make its targets.

    ``targets`` are the files and rules named on the command line. Targets under results/{benchmark}/ ask for cells by
    path; with other targets, or without any, the configured suite is asked for. Checks class, method file,
    hyperparameters and data set. The cells of a sweep and of a calibration are there if ``config`` has their settings
    and choices.
    """
    check_checkpoints(config)
    if config.choices and not config.calibrate:
        raise UserError("choices= is for a calibration: make calibration CHOICES=..., or --config calibrate=true")
    targets = list(targets)
    files = [Path(target).parts[1:] for target in targets if Path(target).parts[:1] == ("results",)]
    cells = [parts for parts in files if len(parts) > 1 and parts[0] not in OTHER_FOLDERS]
    is_for_suite = len(cells) < len(files) or not files
    benchmarks = [*(parts[0] for parts in cells), *(config.chosen.benchmarks if is_for_suite else ())]
    methods = [*(parts[2] for parts in cells if len(parts) > 3), *(config.chosen.methods if is_for_suite else ())]
    for name in (*methods, *benchmarks):
        check_variant(config, name)
    for name in benchmarks:
        if is_several_classes(name):
            raise UserError(f"results: {name}: a path has one class; for the table: --config benchmarks='{name}'")
        if "-class" in name:
            check_benchmark(config, Benchmark.parse(name), "results")
        else:
            known(name, config.benchmarks, "results")
        check_data(config, name.split("-")[1])
    for parts in cells:
        check_shadows(config, parts)
    for file, switch in {"sweep.md": "sweep", "calibration.md": "calibrate"}.items():
        if any(Path(target).parts[1:2] == (file,) for target in targets) and not getattr(config, switch):
            raise UserError(f"results/{file} is made with: --config {switch}=true")
    check_figures(config, targets)
    for name in methods:
        if name not in REFERENCES and config.methods[known(name, config.methods, "results")].kind != EXTERNAL:
            check_method(name, config.methods[name])


def check_variant(config: Config, name: str) -> None:
    """Raise UserError if only a sweep or a calibration has the method or benchmark ``name``, and none is on."""
    if VARIANT in name and name not in config.methods and not (config.sweep or config.calibrate):
        raise UserError(f"results: {name} is of a sweep or a calibration: add --config sweep=true or calibrate=true")


def check_figures(config: Config, targets: Iterable[str]) -> None:
    """Raise UserError if a target is a figure of a benchmark that the table has not, or of a sweep that is not run."""
    for target in targets:
        match = FIGURE_FILE.fullmatch(target)
        if match is None:
            continue
        if match["figure"] != "sensitivity":
            known(match["benchmark"], config.chosen.benchmarks, target)
        elif not config.sweep:
            raise UserError(f"{target} is made with: --config sweep=true")


def check_command_line(arguments: Sequence[str]) -> None:
    """Raise UserError if --config, --configfile or a key stands twice: Snakemake would use only the last one."""
    for option, short in (("--config", "-C"), ("--configfile", "--configfiles")):
        count = sum(argument.split("=")[0] in (option, short) for argument in arguments)
        if count > 1:
            raise UserError(f"{option} stands {count} times, and only the last counts; put everything behind one")
    keys: set[str] = set()
    is_setting = False
    for argument in arguments:
        if argument.startswith("-"):
            option, _, argument = argument.partition("=")
            is_setting = option in ("--config", "-C")
        key, equals, _ = argument.partition("=")
        if is_setting and equals and key in keys:
            raise UserError(f"--config: {key}= stands twice, and only the last counts; write it once")
        keys |= {key} if is_setting and equals else set()


def check_device(device: str, is_there: bool) -> None:
    """Raise UserError if the configuration's ``device`` is a GPU and there is none (``is_there``)."""
    if device.startswith("cuda") and not is_there:
        raise UserError(f"configuration: device: {device}, but this machine has no such GPU; write auto or cpu")


def check_shadows(config: Config, parts: tuple[str, ...]) -> None:
    """Raise UserError if the path with ``parts`` needs a shadow model that the configuration does not have."""
    shadows = config.shadows
    if parts[-1] == "ulira.json" and not shadows:
        raise UserError("results: U-LiRA needs shadow models; add e.g. --config shadow_models=8")
    index = re.fullmatch("shadow([0-9]+)", parts[1])
    if index and int(index[1]) >= shadows:
        raise UserError(f"results: {parts[1]}: there are {shadows} shadow models; write --config shadow_models=N")


def check_data(config: Config, dataset: str) -> None:
    """Raise UserError if the data set's file is missing and nothing says where to get it."""
    original, whole = config.datasets[dataset].part_of, config.datasets[dataset].carved_from
    if original is not None:
        own = config.file_by_hand(dataset)
        if own.exists():
            raise UserError(
                f"{own} is there, but datasets.{dataset} is a part of {original}, which is made from that; to use the "
                f"file, remove part_of and per_class from the entry; to use the part, move the file away"
            )
        check_data(config, original)
        return
    if whole is not None:
        check_data(config, whole)
        return
    file = config.dataset_file(dataset)
    if file.parent.is_symlink() and not file.parent.exists():
        raise UserError(f"{file.parent}: a link to {os.readlink(file.parent)}, which is not there; make that folder")
    if config.datasets[dataset].source is None and not file.exists():
        raise UserError(f"{file} is not there and datasets.{dataset} has no source; put the file in place by hand")
    if (file.exists() or file.is_symlink()) and not file.is_file():
        raise UserError(f"{file}: not a file; a data set is one .npz file")
    if file.exists() and not os.access(file, os.R_OK):
        raise unreadable(file)


def check_benchmark(config: Config, benchmark: Benchmark, where: str) -> None:
    """Raise UserError if ``benchmark`` has no settings, or if its data set does not have the class."""
    known(benchmark.pretraining, config.benchmarks, where)
    classes = config.datasets[benchmark.dataset].classes
    if benchmark.forget_class >= classes:
        name = f"{benchmark.pretraining}-class{benchmark.forget_class}"
        raise UserError(f"{where}: {name}: {benchmark.dataset} has the classes 0 to {classes - 1}")


def check_method(name: str, settings: MethodSettings) -> None:
    """Raise UserError if the method's file is missing or does not accept its hyperparameters. The file is not run."""
    file, where = method_file(name, settings.file), f"configuration: methods.{name}"
    if not file.is_file():
        raise UserError(f"{where}: there is no file {file}; write the method there or name another with file:")
    code_of(file)  # says which file is not valid Python: this file, or one that it imports
    tree = ast.parse(file.read_bytes())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "UnlearningMethod"]
    given, grid = settings.hyperparameters, settings.grid
    accepted = _constructor_arguments(classes[-1]) if classes else None
    if accepted is None:
        return
    for key in [*given, *grid]:
        if key not in accepted:
            raise UserError(
                f"{where}.hyperparameters: {file.name} takes no {key!r}; it takes: {', '.join(accepted) or 'none'}"
            )
    missing = [key for key, required in accepted.items() if required and key not in (*given, *SIZES)]
    if missing:
        raise UserError(f"{where}.hyperparameters: {file.name} needs a value for {missing[0]!r}")


def _constructor_arguments(class_: ast.ClassDef) -> dict[str, bool] | None:
    """Return the constructor's arguments and whether each is required, or None if the source text does not tell."""
    constructors = [node for node in class_.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    if not constructors:
        return None if class_.bases or class_.decorator_list else {}
    arguments = constructors[-1].args
    if arguments.kwarg:
        return None
    positional = [argument.arg for argument in arguments.posonlyargs + arguments.args][1:]
    required = {name: index < len(positional) - len(arguments.defaults) for index, name in enumerate(positional)}
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return required | {argument.arg: default is None for argument, default in keywords}
