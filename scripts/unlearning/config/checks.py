"""The configuration: what is wrong with it, said in one line, before any job starts."""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from unlearning.errors import UserError
from unlearning.watched_code import SCRIPTS, code_of

REFERENCES = ("original", "retrain")
"""The rows that are no methods: the model before unlearning, and the oracle."""

VGG_LEAST_SIZE = 32

PUBLISHED_PROTOCOL = {
    "pretrain": {"epochs": 80, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
    "unlearn": {"epochs": 20, "learning_rate": 0.001},
}
"""What the publication says of its protocol; what was run otherwise is not set beside it."""

METHOD_NAME = re.compile("[a-z][a-z0-9_]*")
BENCHMARK_NAME = re.compile(r"(?P<model>[a-z0-9_]+)-(?P<dataset>[a-z0-9_]+)-class(?P<forget_class>0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, named ``{model}-{dataset}-class{forget_class}``."""

    model: str
    dataset: str
    forget_class: int

    @classmethod
    def parse(cls, name: str) -> Benchmark:
        """Take a name apart. Raises UserError if it does not have the form above."""
        match = BENCHMARK_NAME.fullmatch(name)
        if match is None:
            raise UserError(f"{name!r} is no benchmark; write MODEL-DATASET-classK, e.g. resnet20-cifar10-class0")
        return cls(match["model"], match["dataset"], int(match["forget_class"]))

    @property
    def pretraining(self) -> str:
        """The key under ``benchmarks:``; all forget classes share its settings and its pretrained model."""
        return f"{self.model}-{self.dataset}"


def known(name: str, choices: Iterable[str], where: str) -> str:
    """Return ``name`` if it is one of ``choices``. Raises UserError that names the nearest and all of them if not."""
    choices = list(choices)
    if name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"{where}: unknown name {name!r}; {hint}known: {', '.join(choices) or 'none'}")


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags that make objects, without aliases, and without a key that stands twice.

    Of two equal keys the first would be lost unseen; aliases can make a few lines a structure without end.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            problem = f"the alias *{event.anchor} is not allowed; write the value out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # which the base class refuses
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def check_yaml(path: Path) -> None:
    """Raise UserError unless ``path`` is YAML that can be read without running any code, each key standing once.

    Snakemake itself reads configurations with a loader that evaluates expressions where ``__use_yte__`` is set.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # nosec B506: a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path.name}{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name}: not valid YAML ({' '.join(str(error).split())})") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path.name}: it holds no keys; see config.yaml of the repository")
    if "__use_yte__" in content:
        raise UserError(f"{path.name}: __use_yte__ would run code; a configuration holds values only")


def read_switches(config: dict[str, Any]) -> None:
    """Read true and false of the top level as such, in place: Snakemake hands those of ``--config`` on as text."""
    switches = {"true": True, "false": False}
    for key, value in config.items():
        if isinstance(value, str) and value.lower() in switches:
            config[key] = switches[value.lower()]


def check_schema(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """Raise UserError for the gravest violation of ``schema``, naming the key and what is allowed there."""
    error = best_match(_Validator(schema).iter_errors(config))
    if error is not None:
        raise UserError(f"configuration: {_location(error)}: {_explanation(error)}")


def add_rule(config: dict[str, Any]) -> None:
    """Make the file that ``rule`` names a method, called as the file is, of the suite that runs; in place.

    ``config`` has passed `check_schema`. Raises UserError if no method can be called so, or another one is.
    """
    if "rule" not in config:
        return
    path, suite = config["rule"], known(config["suite"], config["suites"], "configuration: suite")
    name = Path(path).stem
    if not METHOD_NAME.fullmatch(name):
        raise UserError(
            f"rule={path}: the method is called as its file is, and {name!r} is no name: lower-case letters, digits "
            "and underscores, a letter first; rename the file"
        )
    method = config["methods"].setdefault(name, {"file": path})
    if method_file(name, method).resolve() != Path(path).expanduser().resolve():
        raise UserError(f"rule={path}: another method is called {name} already; rename the file")
    if name not in config["suites"][suite]["methods"]:
        config["suites"][suite]["methods"].append(name)


def asked_for(config: dict[str, Any], key: str) -> Any:
    """Return relearning or shadow_models: that of the top level, if it is there, or else of the suite."""
    return config.get(key, config["suites"][config["suite"]].get(key, 0))


def check_names(config: dict[str, Any]) -> None:
    """Raise UserError if anything in the configuration refers to what is not there, or if a suite cannot run.

    ``config`` has passed `check_schema`. The schema cannot see these: they are relations between its parts.
    """
    for name, settings in config["benchmarks"].items():
        where = f"configuration: benchmarks.{name}"
        known(name.split("-")[1], config["datasets"], where)
        known(settings["protocol"], config["protocols"], f"{where}.protocol")
        if name.startswith("vgg16bn") and settings.get("image_size", VGG_LEAST_SIZE) < VGG_LEAST_SIZE:
            raise UserError(f"{where}.image_size: vgg16bn halves the image five times; write {VGG_LEAST_SIZE} or more")
    for name in config["methods"]:
        if name in REFERENCES:
            raise UserError(f"configuration: methods.{name}: the name of a reference row; give the method another one")
    known(config["suite"], config["suites"], "configuration: suite")
    for suite, contents in config["suites"].items():
        for benchmark in contents["benchmarks"]:
            check_benchmark(config, Benchmark.parse(benchmark), f"configuration: suites.{suite}.benchmarks")
        for method in contents["methods"]:
            known(method, config["methods"], f"configuration: suites.{suite}.methods")


def check_request(config: dict[str, Any], targets: Iterable[str]) -> None:
    """Raise UserError if what this run is asked for cannot be made.

    ``targets`` are the files and rules named on the command line. Those under results/{benchmark}/ ask for cells by
    path; without any, the configured suite is asked for. Checks class, method file, hyperparameters and data set.
    """
    suite, targets = config["suites"][config["suite"]], list(targets)
    cells = [Path(target).parts[1:] for target in targets if Path(target).parts[:1] == ("results",)]
    cells = [parts for parts in cells if len(parts) > 1 and parts[0] != "datasets"]
    benchmarks = [parts[0] for parts in cells] or suite["benchmarks"]
    methods = [parts[2] for parts in cells if len(parts) > 3] if cells else suite["methods"]
    for name in benchmarks:
        if "-class" in name:
            check_benchmark(config, Benchmark.parse(name), "results")
        else:
            known(name, config["benchmarks"], "results")
        check_data(config, name.split("-")[1])
    for parts in cells:
        check_shadows(config, parts)
    for file, switch in {"sweep.md": "sweep", "calibration.md": "calibrate"}.items():
        if any(Path(target).parts[1:2] == (file,) for target in targets) and config.get(switch) is not True:
            raise UserError(f"results/{file} is made with: --config {switch}=true")
    for name in methods:
        if name not in REFERENCES:
            check_method(known(name, config["methods"], "results"), config["methods"][name])


def check_shadows(config: dict[str, Any], parts: tuple[str, ...]) -> None:
    """Raise UserError if the path with ``parts`` needs a shadow model that the configuration does not have."""
    shadows = asked_for(config, "shadow_models")
    if parts[-1] == "ulira.json" and not shadows:
        raise UserError("results: U-LiRA needs shadow models; add e.g. --config shadow_models=8")
    index = re.fullmatch("shadow([0-9]+)", parts[1])
    if index and int(index[1]) >= shadows:
        raise UserError(f"results: {parts[1]}: there are {shadows} shadow models; write --config shadow_models=N")


def as_published(config: Mapping[str, Any]) -> list[str]:
    """Return those benchmarks of the suite that run as they were published: the rest compares with nothing."""
    names = config["suites"][config["suite"]]["benchmarks"]
    settings = {name: config["benchmarks"][Benchmark.parse(name).pretraining] for name in names}
    return [name for name, its in settings.items() if is_as_published(its, config["protocols"][its["protocol"]])]


def is_as_published(benchmark: dict[str, Any], protocol: dict[str, Any]) -> bool:
    """Return whether a benchmark's settings are full size and its protocol's known constants the published ones."""
    full_size = (benchmark["width"], benchmark["image_size"]) == (1, 32)
    return full_size and all(
        protocol[part].items() >= constants.items() for part, constants in PUBLISHED_PROTOCOL.items()
    )


def check_data(config: dict[str, Any], dataset: str) -> None:
    """Raise UserError if the data set's file is missing and nothing says where to get it."""
    file = dataset_file(config, dataset)
    if "source" not in config["datasets"][dataset] and not file.exists():
        raise UserError(f"{file} is not there and datasets.{dataset} has no source; put the file in place by hand")
    if (file.exists() or file.is_symlink()) and not file.is_file():
        raise UserError(f"{file}: not a file; a data set is one .npz file")


def dataset_file(config: dict[str, Any], dataset: str) -> Path:
    """Return the data set's file, relative to the working directory unless data_dir is absolute.

    A data set that is carved out of another (see `unlearning.config.variants`) is a result; one that differs in its
    settings alone (see `unlearning.config.calibration`) has no file of its own.
    """
    dataset = config["datasets"].get(dataset, {}).get("same_as", dataset)
    if "carved_from" in config["datasets"].get(dataset, {}):
        return Path("results/datasets") / f"{dataset}.npz"
    return Path(config["data_dir"]).expanduser() / f"{dataset}.npz"


def check_benchmark(config: dict[str, Any], benchmark: Benchmark, where: str) -> None:
    """Raise UserError if ``benchmark`` has no settings or its data set no such class."""
    known(benchmark.pretraining, config["benchmarks"], where)
    classes = config["datasets"][benchmark.dataset]["classes"]
    if benchmark.forget_class >= classes:
        name = f"{benchmark.pretraining}-class{benchmark.forget_class}"
        raise UserError(f"{where}: {name}: {benchmark.dataset} has the classes 0 to {classes - 1}")


def method_file(name: str, settings: dict[str, Any]) -> Path:
    """Return a method's file: its ``file`` setting, from the working directory, or else scripts/methods/NAME.py."""
    return Path(settings["file"]).expanduser() if "file" in settings else SCRIPTS / "methods" / f"{name}.py"


def check_method(name: str, settings: dict[str, Any]) -> None:
    """Raise UserError if the method's file is missing or does not take its hyperparameters; the file is not run."""
    file, where = method_file(name, settings), f"configuration: methods.{name}"
    if not file.is_file():
        raise UserError(f"{where}: there is no file {file}; write the rule there or name another with file:")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file}: not valid Python: {error}") from None
    code_of(file)  # what it imports of the project as well
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "UnlearningMethod"]
    given, grid = settings.get("hyperparameters", {}), settings.get("grid", {})
    accepted = _constructor_arguments(classes[-1]) if classes else None
    if accepted is None:
        return
    for key in [*given, *grid]:
        if key not in accepted:
            raise UserError(
                f"{where}.hyperparameters: {file.name} takes no {key!r}; it takes: {', '.join(accepted) or 'none'}"
            )
    missing = [key for key, required in accepted.items() if required and key not in given]
    if missing:
        raise UserError(f"{where}.hyperparameters: {file.name} needs a value for {missing[0]!r}")


def _constructor_arguments(class_: ast.ClassDef) -> dict[str, bool] | None:
    """Return the constructor's arguments and whether each is required; None where the text does not tell."""
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


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 42.0 for an integer and lets NaN pass every minimum; a seed and a learning rate must not.
_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number).redefine("integer", _is_integer),
)


def _location(error: ValidationError) -> str:
    """Return the path of the offending key as a user writes it, e.g. suites.digits.seeds[0]."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return path.lstrip(".") or "top level"


def _explanation(error: ValidationError) -> str:
    value, rule = error.instance, error.schema
    if error.validator == "additionalProperties":
        allowed = sorted(rule.get("properties", {}))
        unknown = sorted(set(value) - set(allowed))[0]
        near = difflib.get_close_matches(str(unknown), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown key {unknown!r}; {hint}allowed: {', '.join(allowed)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in value)
        return f"the key {missing!r} is missing"
    if error.validator == "type":
        return f"{value!r} is not {_kind(error.validator_value)}{_text_number_hint(value, error.validator_value)}"
    if error.validator == "enum":
        return f"{value!r} must be one of: {', '.join(map(str, error.validator_value))}"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"the key {value!r} is not allowed; {rule.get('description', f'it must match {error.validator_value}')}"
    description = f" ({rule['description']})" if isinstance(rule, dict) and "description" in rule else ""
    return f"{error.message}{description}"


def _kind(type_name: str) -> str:
    names = {"integer": "an integer", "number": "a finite number", "string": "text", "boolean": "true or false"}
    return names.get(type_name, {"array": "a list", "object": "a mapping of keys to values"}.get(type_name, type_name))


def _text_number_hint(value: Any, type_name: str) -> str:
    """Explain the two ways in which a number becomes text: YAML's idea of 1e-3, and values nested in --config."""
    if type_name not in ("number", "integer") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    shown = int(number) if number.is_integer() else number
    return f": it was read as text; write {shown} in a YAML file (1e-3 and values nested in --config are read as text)"
