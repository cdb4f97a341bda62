"""The data dictionary: every column of the tables in results/, said once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column. ``better`` is "↑", "↓", "oracle" (the nearer to the oracle's value the better) or empty."""

    name: str
    unit: str
    range: str
    better: str
    definition: str
    source: str = ""


def _share(name: str, better: str, definition: str, source: str = "protocol") -> Column:
    return Column(name, "share", "0 to 1", better, definition, source)


CELL = (
    Column("benchmark", "", "", "", "{model}-{dataset}-class{forgotten class}"),
    Column("method", "", "", "", "a name under methods in the configuration, or a reference: original (before unlearning), retrain (the oracle)"),
    Column("seed", "", "0 and up", "", "all methods of a benchmark and seed start from the same pretrained model"),
    Column("status", "", "ok, failed, diverged", "", "failed: the method raised or broke its contract or the protocol; diverged: loss, weights or logits not finite"),
    Column("kind", "", "reference, control, baseline, method, external", "", "references, controls and external models (unlearned by another program) do not compete"),
    Column("classes", "", "2 and up", "", "the classes of the data set; chance is 1 / classes"),
    Column("changed_weights", "share", "0 to 1", "", "share of the weights (without the statistics of batch norms) that are no longer those of the original model; 0: the method has changed none, whatever the metrics say; empty for references and external models"),
    Column("settings", "", "authors, tuned, own", "", "whose hyperparameters a method has: its authors', chosen by a sweep on a validation part of the training data, or one's own"),
)  # fmt: skip

MEASURED = (
    _share("retain_acc", "↑", "accuracy on test images of the retained classes"),
    _share("forget_acc", "↓", "accuracy on test images of the forget class; 0 says that the class is no longer named, not that it is erased"),
    _share("forget_mia_auc", "↓", "area under the ROC curve of telling the forget class's training images (members) from its test images (non-members) by the largest softmax probability; ties count one half; a model that never saw the class has about .5"),
    _share("unlearn_score", "↑", "(retain_acc + (1 − forget_acc) + (1 − forget_mia_auc)) / 3, the primary metric; rewards an AUC below .5, which is no erasure"),
    Column("forget_mia_auc_se", "share", "0 and up", "", "standard error of forget_mia_auc over draws of images, the model given; 0 where the two sets do not overlap, empty with fewer than two images on a side", "DeLong et al., Biometrics 1988"),
    Column("forget_mia_auc_two_sided", "share", ".5 to 1", "↓", "max(A, 1 − A) of A = forget_mia_auc: what an attacker gets who may turn the attack around; its mean is above .5 by chance alone"),
    _share("forget_mia_auc_augmented", "oracle", "forget_mia_auc with each member image cropped and flipped once, as in training; the same draw for all methods of a seed", ""),
    _share("forget_mia_auc_loss", "oracle", "the same area with minus the cross-entropy of the true label as score, members plain", "Yeom et al., CSF 2018"),
    _share("forget_mia_auc_entropy", "oracle", "the same area with minus the entropy of the softmax as score, members plain", "Salem et al., NDSS 2019"),
    _share("forget_mia_tpr_at_1pct_fpr", "oracle", "share of members whose largest softmax probability is strictly above that of all but 1 % (rounded down) of the non-members; below 100 non-members: of all", "Carlini et al., IEEE S&P 2022"),
    _share("retain_train_acc", "oracle", "accuracy on training images of the retained classes, unaugmented"),
    _share("forget_train_acc", "oracle", "accuracy on training images of the forget class, unaugmented"),
    _share("test_acc", "oracle", "accuracy on all test images"),
    _share("probe_acc", "oracle", "balanced accuracy of a linear probe (logistic regression on standardised penultimate features of the test images, 5-fold cross-validated) for the forget class against the rest; chance is .5; high for a model that never saw the class as well: read it beside the oracle's", "Alain & Bengio, ICLR 2017 workshop"),
)  # fmt: skip

ON_REQUEST = (
    Column("relearn_epochs", "epochs", "0 to the limit", "oracle", "epochs of fine-tuning on a few forget and as many retained images (model in eval mode, the head's row of the forget class first set to the mean of the others, so that only features count) until half of original's forget_acc is back; 0: it was never gone; the protocol's relearn.epochs: that many or more. With --config relearning=true", "Golatkar et al., CVPR 2020; Tarun et al., TNNLS 2023"),
    _share("ulira_auc", "oracle", "area of U-LiRA, the likelihood-ratio attack with shadow models that unlearned (original: that did not); .5 is nothing found. With --config shadow_models=8", "Hayes et al., 2024"),
    _share("ulira_tpr_at_1pct_fpr", "oracle", "share of members that U-LiRA finds with at most 1 % false alarms", "Hayes et al., 2024"),
    Column("ulira_failure", "", "", "", "why U-LiRA has no result although the cell is ok: what the method did on a shadow model"),
)  # fmt: skip

TO_ORACLE = (
    _share("mean_abs_gap", "↓", "mean distance to the oracle of the same seed over retain_acc, forget_acc and forget_mia_auc_two_sided", ""),
    _share("tow", "↑", "tug of war: product of 1 − |difference of accuracy to the oracle| over forget_train_acc, retain_train_acc and test_acc", "Zhao et al., NeurIPS 2024"),
    Column("js_to_oracle", "bits", "0 to 1", "↓", "mean Jensen–Shannon divergence between the softmax of the model and of the oracle on test images of the forget class", "Lin, IEEE Trans. Inf. Theory 1991"),
)  # fmt: skip

FAILURE = (
    Column("reason", "", "", "", "why the status is not ok, in one line"),
    Column("epoch", "epochs", "0 and up", "", "the epoch in which it happened"),
    Column("step", "steps", "0 and up", "", "the step of that epoch"),
    Column("line", "", "1 and up", "", "the line of the method's file; where unlearn_step begins if no line of its own is to blame"),
)  # fmt: skip

WITHOUT_GAP = ("forget_mia_auc_se", "ulira_failure")

GAPS = Column("gap_{metric}", "the metric's", "", "", "each of the measured metrics minus the oracle's of the same seed")  # fmt: skip

METRICS_CSV = (*CELL, *MEASURED, *ON_REQUEST, *TO_ORACLE, GAPS, *FAILURE)

COSTS_CSV = (
    Column("rule", "", "", "", "the workflow's rule; one row a job that made or measured a model of the table"),
    Column("benchmark", "", "", "", "{model}-{dataset}-class{k}; without class for pretraining, which all classes share"),
    Column("model, dataset, forget_class, seed, method", "", "", "", "what the job was for"),
    Column("seconds", "s", "", "↓", "wall clock of the whole job, with imports, reading and writing; of one that was interrupted, since it went on"),
    Column("training_seconds", "s", "", "↓", "wall clock of the training or unlearning: without imports, reading and writing, but with the test accuracy of every n-th epoch of training"),
    Column("seconds_to_oracle", "", "", "↓", "training_seconds over those of the oracle of the same benchmark and seed"),
    Column("steps", "steps", "", "↓", "calls of unlearn_step"),
    Column("peak_memory_mb", "MB", "", "↓", "largest resident memory of the job's process"),
    Column("peak_gpu_memory_mb", "MB", "", "↓", "largest memory allocated on the GPU, where there is one"),
    Column("precision", "", "float32, tf32, bfloat16", "", "what the training or unlearning was computed in; everything else is computed in float32"),
    Column("device, threads, torch, python", "", "", "", "what it ran on"),
    Column("carried", "", "", "", "of a checkpoint that was taken from elsewhere (--config checkpoints=...) the project's commit there, or unknown; the row is that of its training there"),
)  # fmt: skip

SUMMARY_CSV = (
    Column("benchmark, method, metric", "", "", "", "the metric is a column of metrics.csv"),
    Column("seeds", "", "1 and up", "", "how many seeds it is over; those whose cell is not ok are left out"),
    Column("mean", "the metric's", "", "", "mean over seeds"),
    Column("half_width", "the metric's", "0 and up", "", "half of Student's 95 % interval of the mean; empty for one seed"),
)  # fmt: skip

COMPARISONS_CSV = (
    Column("benchmark, method, baseline, metric", "", "", "", "what is compared with what"),
    Column("seeds", "", "1 and up", "", "how many seeds both have"),
    Column("difference", "the metric's", "", "", "mean over seeds of method minus baseline, each pair from the same pretrained model"),
    Column("half_width", "the metric's", "0 and up", "", "half of Student's 95 % interval of that mean; empty for one seed"),
    Column("excludes_zero", "", "True, False", "", "whether the interval excludes zero; empty for one seed and where all differences are alike"),
)  # fmt: skip

FILES = {
    "metrics.csv": METRICS_CSV,
    "costs.csv": COSTS_CSV,
    "summary.csv": SUMMARY_CSV,
    "comparisons.csv": COMPARISONS_CSV,
}

COMPARED = {column.name: column.better for column in (*MEASURED, *ON_REQUEST, *TO_ORACLE) if column.better}
"""The metrics that have a direction, with it."""


CHECKPOINTS = (
    "## Checkpoints",
    "",
    "A checkpoint (`pretrained.pt`, `retrained.pt`, `unlearned.pt`) holds `state_dict`, the weights, and `made_by`, the record",
    "of what made them; `torch.load(path, weights_only=True)` reads it. To measure the model elsewhere: the images of the data",
    "set whose file has the digest `data` (the first 16 digits of its SHA-256) are brought to `images.image_size` as",
    "`images.fit` says (pad with black, or resize); then the means in `normalisation` are subtracted, and the result is divided by",
    "the deviations. Both are per channel, on the scale 0 to 255, of the training images as they are stored, before `fit`: the",
    "padding's black does not count. `seed`, `method`, `forget_class`, `protocol`, `hyperparameters`, `unlearning_protocol` and",
    "`outcome` say how the model came about, `computed_in` and `versions` with what, `carried` that it was taken from elsewhere.",
)


def render_dictionary() -> str:
    """Return results/metrics.md: what every column of the tables in results/ is."""
    lines = [
        "# The columns of the tables",
        "",
        "↑ higher is better, ↓ lower is better, oracle: nearer to `retrain` is better.",
    ]
    for file, columns in FILES.items():
        lines += ["", f"## {file}", ""]
        lines += [_entry(column) for column in columns]
    return "\n".join([*lines, "", *CHECKPOINTS]) + "\n"


def _entry(column: Column) -> str:
    properties = ", ".join(value for value in (column.unit, column.range, column.better) if value)
    names = ", ".join(f"`{name}`" for name in column.name.split(", "))
    source = f" [{column.source}]" if column.source else ""
    return f"- {names}{f' ({properties})' if properties else ''}: {column.definition}{source}"
