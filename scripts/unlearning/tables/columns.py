"""The columns of the files in results/: what each one means, and how tables show it. Nowhere else is this said."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unlearning.tables.blocks import Block, Heading, Terms, Words, as_markdown

SCORES, DISTANCES, FEATURES, REQUESTED, COSTS = "scores", "distances", "features", "requested", "costs"
"""Blocks of the comparison table."""

TO_THE_ORACLE = "oracle"
HIGHER, LOWER, COMPARE = "↑", "↓", "→"
"""The arrows in headings; a column to compare with the oracle has the last."""


@dataclass(frozen=True)
class Column:
    """One column.

    ``better`` is "↑", "↓", "oracle" (a value nearer to the oracle's is better) or empty. Tables show the column under its
    ``title``, or under its ``name`` if it has none, with this number of ``decimals``. ``block`` is the block of the
    comparison table that shows it, or none. ``has_best`` is False if the best value must not be
    bold. ``at_oracle`` is the value of a model that equals the oracle, for a distance to the oracle (0) or a likeness (1).
    ``is_shared_by_seeds`` is True if the seeds share a part of the measurement, so that their spread is no error.
    ``counted_in`` names a column with a number that stands in the heading, and the words behind that number.
    """

    name: str
    unit: str
    range: str
    better: str
    definition: str
    source: str = ""
    title: str = ""
    block: str = ""
    decimals: int = 3
    has_best: bool = True
    at_oracle: float | None = None
    is_shared_by_seeds: bool = False
    counted_in: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.title or self.name

    @property
    def arrow(self) -> str:
        """The direction as a sign: "↑", "↓", "→" (compare with the oracle) or nothing."""
        return self.better.replace(TO_THE_ORACLE, COMPARE)

    @property
    def heading(self) -> str:
        """The name in tables with the direction, e.g. "ToW ↑"."""
        return f"{self.label} {self.arrow}".rstrip()

    @property
    def in_words(self) -> str:
        """The name in figures with the direction, e.g. "ToW (higher is better)"."""
        return f"{self.label} ({DIRECTIONS[self.better]})" if self.better else self.label

    @property
    def is_likeness(self) -> bool:
        """Whether a larger value means nearer to the oracle."""
        return self.at_oracle == 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest possible value, from the range in words; infinite where the range is open."""
        numbers = [float(word) for word in self.range.replace("−", "-").split() if re.fullmatch(r"-?\d*\.?\d+", word)]
        return (numbers[0] if numbers else -math.inf), (numbers[1] if len(numbers) > 1 else math.inf)

    def merit(self, values: Any, of_oracle: Any) -> Any:
        """Return numbers that are higher for better ``values``: for "oracle", minus the distance to the oracle's."""
        if self.better == TO_THE_ORACLE:
            return -abs(values - of_oracle)
        return values if self.better == "↑" else -values

    def best(self, values: Sequence[float]) -> float | None:
        """Return the best of ``values``, or None where no value counts as the best."""
        if not values or not self.has_best or self.better not in ("↑", "↓"):
            return None
        return max(values) if self.better == "↑" else min(values)


DIRECTIONS = {"↑": "higher is better", "↓": "lower is better", TO_THE_ORACLE: "nearer to `retrain` is better"}
ARROWS = {better.replace(TO_THE_ORACLE, COMPARE): words.replace("`", "") for better, words in DIRECTIONS.items()}
"""What an arrow in a heading says."""


def _share(name: str, better: str, definition: str, source: str = "protocol", **shown: Any) -> Column:
    return Column(name, "share", "0 to 1", better, definition, source, **shown)


SPOTTER, RULER = "Spotter, arXiv 2506.01318", "RULER, arXiv 2605.27569"

CELL = (
    Column("benchmark", "", "", "", "{model}-{dataset}-class{forgotten class}"),
    Column("method", "", "", "", "a name under methods in the configuration, or a reference: original (before unlearning), retrain (the oracle)"),
    Column("seed", "", "0 and up", "", "all methods of a benchmark and seed start from the same pretrained model"),
    Column("status", "", "ok, failed, diverged", "", "failed: the method raised an error or broke its contract or the protocol; diverged: loss, weights or logits are not finite"),
    Column("kind", "", "reference, control, baseline, method, external", "", "references, controls and external models (unlearned by another program) are not ranked"),
    Column("classes", "", "2 and up", "", "number of classes of the data set; chance is 1 / classes"),
    Column("changed_weights", "share", "0 to 1", "", "share of the weights (without the statistics of batch norms) that differ from the original model's; 0: the method has changed no weight, whatever the metrics say; empty for references and external models"),
    Column("settings", "", "authors, task, tuned, own, none", "", "where the hyperparameters of a method come from; authors: from its authors, as docs/methods.md proves; task: published with the task; tuned: chosen by a sweep on a validation part of the training data; own: chosen in another way; none: there are none"),
)  # fmt: skip

MEASURED = (
    _share("retain_acc", "↑", "accuracy on test images of the retained classes", block=SCORES),
    _share("forget_acc", "↓", "accuracy on test images of the forget class; 0 means that the model no longer names the class, not that the class is erased", block=SCORES),
    _share("forget_mia_auc", "↓", "area under the ROC curve of an attack that tells the training images of the forget class (members) from its test images (non-members) by the largest softmax probability, in double precision; a tie counts one half (a collapsed model that is surer than 1 − 1e-16 of many images has ties by rounding, and too small a standard error); about .5 for a model that never saw the class", block=SCORES, has_best=False),
    _share("unlearn_score", "↑", "(retain_acc + (1 − forget_acc) + (1 − forget_mia_auc)) / 3, the primary metric; it rewards an AUC below .5, which is no erasure", block=SCORES),
    Column("forget_mia_auc_se", "share", "0 and up", "", "standard error of forget_mia_auc over draws of images, for a fixed model; 0 where the scores of members and non-members do not overlap, empty with fewer than two images on a side", "DeLong et al., Biometrics 1988"),
    Column("forget_mia_auc_two_sided", "share", ".5 to 1", "↓", "max(A, 1 − A), where A is forget_mia_auc: the area for an attacker who may turn the attack around; its mean is above .5 by chance alone", has_best=False),
    _share("forget_mia_auc_augmented", "oracle", "forget_mia_auc with each member image cropped and flipped once, as in training; the same draw for all methods of a seed", ""),
    _share("forget_mia_auc_loss", "oracle", "area as in forget_mia_auc, with minus the cross-entropy of the true label as the score; members not augmented", "Yeom et al., CSF 2018"),
    _share("forget_mia_auc_entropy", "oracle", "area as in forget_mia_auc, with minus the entropy of the softmax as the score; members not augmented", "Salem et al., NDSS 2019"),
    _share("forget_mia_tpr_at_1pct_fpr", "oracle", "share of members whose largest softmax probability is strictly above that of all but 1 % (rounded down) of the non-members; with fewer than 100 non-members: above all of them", "Carlini et al., IEEE S&P 2022"),
    _share("retain_train_acc", "oracle", "accuracy on training images of the retained classes, not augmented"),
    _share("forget_train_acc", "oracle", "accuracy on training images of the forget class, not augmented"),
    _share("test_acc", "oracle", "accuracy on all test images"),
    _share("probe_acc", "oracle", "balanced accuracy of a linear probe (logistic regression on standardised penultimate features of the test images, 5-fold cross-validated) for the forget class against the rest; chance is .5; also high for a model that never saw the class: compare it with the oracle's", "Alain & Bengio, ICLR 2017 workshop", title="probe", block=FEATURES),
)  # fmt: skip

ERASURE = (
    _share("prototype_acc_1", "oracle", "share of forget test images that are named right after one image of the forget class has rebuilt the class's row in the head: the row becomes the image's features, made as long as the mean of the other rows, and the row's bias the largest with which at most 1 % of the retained test images that were named right change to the class; mean over 10 draws of the image, the same for all models. The row and the bias that a method left behind change nothing. A value far below the oracle's is no erasure: the class's features were pushed away, and other columns may still find them", SPOTTER),
    _share("prototype_acc_5", "oracle", "prototype_acc_1 with the normalised mean of the features of 5 images", SPOTTER),
    _share("prototype_acc_10", "oracle", "prototype_acc_1 with the normalised mean of the features of 10 images", SPOTTER, title="prototype", block=FEATURES),
    _share("class_mean_acc", "oracle", "share of forget test images whose nearest class mean, by the cosine of penultimate features, is that of the forget class; a mean is of 10 training images, and all classes have one; mean over 5 draws of the images, the same for all models", "Rebuffi et al., CVPR 2017; CMF, arXiv 2604.08271", title="class mean", block=FEATURES),
    _share("few_shot_probe_acc", "oracle", "share of forget test images that a linear probe of all classes names right (multinomial logistic regression on standardised penultimate features of 10 training images per class); mean over 5 draws of the images, the same for all models (of 100 classes the sample has just the 10 images, so that only those of the forget class differ between draws); on easy images near 1 for the oracle too", "CMF, arXiv 2604.08271; Alain & Bengio, ICLR 2017 workshop", title="few-shot", block=FEATURES),
    _share("forget_logit_auc", "oracle", "area under the ROC curve of telling the forget class's test images from the retained classes' by z − log Σ exp of the other logits, where z is the forget class's logit; no bias of the class changes it", "this project", title="readout", block=FEATURES),
    _share("routing_tv", "↓", "total variation distance between the model's and the oracle's mean softmax on test images of the forget class: whether the two send the class to the same other classes", "arXiv 2506.20893v1", title="routing", block=DISTANCES, at_oracle=0),
    _share("cka_to_oracle", "↑", "linear centred kernel alignment of the model's and the oracle's penultimate features of the forget class's test images; to be read beside two oracles of different seeds, and never alone, because a few far images can move it at will (Davari et al., arXiv 2210.16156), and because with few images for the width of the features it is near 1 for any two models (about .8 for 100 random images and 512 features); empty if all features are equal", "Kornblith et al., ICML 2019", title="CKA", block=DISTANCES, has_best=False, at_oracle=1),
    Column("residue_cosine", "", "−1 to 1", "", "M1 of RULER: mean cosine between the model's and the oracle's penultimate features of the forget class's training images, unit by unit. It is meant for models whose units correspond because they began with the same weights. Long trainings lose that, and fresh weights never have it: then a part of the cosine is what all features of a network share, and a collapsed model can have the highest", RULER),
    Column("residue_against_retained", "", "−2 to 2", "", "M2 of RULER: residue_cosine minus the median of the same cosine on retained training images; 0: the forget class is where the oracle has it, as far as the other classes are; below 0: residue; same condition as residue_cosine", RULER),
    Column("residue_against_original", "", "−2 to 2", "", "M3 of RULER: residue_cosine minus the original model's; 0: no nearer to the oracle than before unlearning; same condition as residue_cosine", RULER),
    _share("residue_rank", "oracle", "M4 of RULER, from the model alone: mean rank of a forget training image's nearest cosine to a retained training image among the retained images' own nearest cosines; .5: forget images lie among the retained ones as these do themselves; near 0: apart, as a class of their own", RULER, title="residue", block=FEATURES),
)  # fmt: skip
"""What compare.json has: the features, not the logits, of a sample of at most 1,000 images of each part of the split."""

ON_REQUEST = (
    Column("relearn_epochs", "epochs", "0 to the limit", "oracle", "epochs of fine-tuning on a few forget images and as many of each retained class (at most 1,000 of these in all: with 99 of them 10 each, so that the forget class is more frequent than in the data; model in eval mode) until the class is back, the smaller number of two starts: relearn_epochs_reset and relearn_epochs_as_is. The class is back when half of original's forget_acc is reached, and retain_acc, on at most 1,000 test images, is at least .9 of what it was at the start (of original's, if that is lower; of chance, if the model began below chance). 0: it was never gone; the protocol's relearn.epochs: this number or more. Only with --config relearning=true", "Golatkar et al., CVPR 2020; Tarun et al., TNNLS 2023", title="relearning", block=REQUESTED, decimals=1),
    Column("relearn_epochs_reset", "epochs", "0 to the limit", "oracle", "relearn_epochs with the head's row of the forget class first set to the mean of the other rows: a suppressed logit hides nothing, and only features count", title="reset", block=REQUESTED, decimals=1),
    Column("relearn_epochs_as_is", "epochs", "0 to the limit", "oracle", "relearn_epochs from the model as it is", title="as it is", block=REQUESTED, decimals=1),
    Column("relearn_epochs_random", "epochs", "0 to the limit", "", "relearn_epochs of a model with random weights; only in the row of original; its retain_acc begins at chance, so that no more than .9 of chance is asked of it: what it takes to learn the class from the sample, but not the others", decimals=1),
    _share("retain_relearned_acc", "oracle", "forget_acc after one pass of fine-tuning on the retained training images alone (model as it is, in eval mode); compare with forget_acc: what comes back without an image of the class was still there. Only with --config retain_relearning=true", "Siddiqui et al., arXiv:2505.22310, 2025", title="by retained", block=REQUESTED),
    _share("ulira_auc", "oracle", "area under the ROC curve of U-LiRA, the likelihood-ratio attack that tells the training images of the forget class from its test images by shadow models that have unlearned one half of both (for original: that have not); the answers of each model minus their mean; .5: the attack finds nothing, which says little unless it finds something on original: compare with its value there, which shows the attack's power. All seeds share the shadow models: an interval over seeds does not cover them. Only with --config shadow_models=8", "Hayes et al., 2024; Carlini et al., IEEE S&P 2022", title="U-LiRA", block=REQUESTED, counted_in=("ulira_shadows", "shadow models"), is_shared_by_seeds=True),
    _share("ulira_tpr_at_1pct_fpr", "oracle", "share of members that U-LiRA finds with at most 1 % false alarms", "Hayes et al., 2024", is_shared_by_seeds=True),
    _share("ulira_class_auc", "oracle", "area under the ROC curve of telling the model from the oracle of the same seed by the images of the forget class, training and test: by the likelihood ratio of each image, shadow models that have unlearned the class (for original: that have not) against shadow models that never saw it; .5: the images do not tell that the model once had the class (the oracle itself has .5 by definition); near 1 for original if the attack has power. A shift of all answers of one model counts as evidence, also a shift by chance: compare with ulira_class_auc_by_chance. Shadow models as for ulira_auc", "idea: Hayes et al., 2024; Carlini et al., IEEE S&P 2022", title="U-LiRA of class", block=REQUESTED, is_shared_by_seeds=True),
    _share("ulira_class_auc_by_chance", "", "the largest ulira_class_auc that the shadow models which never saw the class have, each in the place of the model, the others against it: an ulira_class_auc that is no larger is no evidence. Empty for retrain", "", is_shared_by_seeds=True),
    Column("ulira_shadows", "", "4 and up", "", "number of shadow models behind the metrics above: half of them have unlearned an image, the other half have never seen it; as many again were trained without the class"),
    Column("ulira_failure", "", "", "", "why U-LiRA has no result although the cell is ok: what the method did wrong on a shadow model"),
)  # fmt: skip

TO_ORACLE = (
    _share("mean_abs_gap", "↓", "mean distance to the oracle of the same seed over retain_acc, forget_acc and forget_mia_auc", "", title="gap", block=DISTANCES, at_oracle=0),
    _share("tow", "↑", "tug of war: product of 1 − |difference of accuracy to the oracle| over forget_train_acc, retain_train_acc and test_acc", "Zhao et al., NeurIPS 2024", title="ToW", block=DISTANCES, at_oracle=1),
    Column("js_to_oracle", "bits", "0 to 1", "↓", "mean Jensen–Shannon divergence between the softmax of the model and of the oracle on test images of the forget class", "Lin, IEEE Trans. Inf. Theory 1991", title="JS", block=DISTANCES, at_oracle=0),
)  # fmt: skip

FAILURE = (
    Column("reason", "", "", "", "why the status is not ok, in one line"),
    Column("epoch", "epochs", "0 and up", "", "the epoch in which it happened"),
    Column("step", "steps", "0 and up", "", "the step in this epoch"),
    Column("line", "", "1 and up", "", "the line of the method's file that caused it; if none did, the line where unlearn_step begins"),
)  # fmt: skip

WITHOUT_GAP = (
    "forget_mia_auc_se",
    "relearn_epochs_random",
    "ulira_class_auc_by_chance",
    "ulira_shadows",
    "ulira_failure",
    *(each.name for each in ERASURE if each.better != TO_THE_ORACLE),
)

GAPS = Column("gap_{metric}", "the metric's", "", "", "each measured metric minus the oracle's value of the same seed")

METRICS_CSV = (*CELL, *MEASURED, *ON_REQUEST, *TO_ORACLE, *ERASURE, GAPS, *FAILURE)

COSTS_CSV = (
    Column("rule", "", "", "", "the rule of the workflow; one row per job that made or measured a model of the table"),
    Column("benchmark", "", "", "", "{model}-{dataset}-class{k}; without the class for pretraining, which all classes share"),
    Column("model, dataset, forget_class, seed, method", "", "", "", "what the job was for"),
    Column("seconds", "s", "", "↓", "wall-clock time of the whole job, with imports, reading and writing; for a job that was interrupted, since it went on"),
    Column("training_seconds", "s", "", "↓", "wall-clock time of the training or unlearning: without imports, reading and writing, but with the test accuracy of every n-th epoch of training", title="seconds", block=COSTS, decimals=1),
    Column("steps", "steps", "", "↓", "number of calls of unlearn_step", block=COSTS, decimals=0),
    Column("peak_memory_mb", "MB", "", "↓", "largest resident memory of the job's process", title="MB", block=COSTS, decimals=0),
    Column("peak_gpu_memory_mb", "MB", "", "↓", "largest memory allocated on the GPU, where there is one; the table then shows it under MB"),
    Column("seconds_to_oracle", "", "", "↓", "training_seconds divided by the training_seconds of the oracle of the same benchmark and seed", title="× oracle's s", block=COSTS, decimals=2),
    Column("precision", "", "float32, tf32, bfloat16", "", "number format of the training or unlearning; everything else is computed in float32"),
    Column("device, processor, threads, torch, python", "", "", "", "the device, the processor of the machine, the number of threads and the versions that the job ran with"),
    Column("carried", "", "", "", "for a checkpoint that was taken from elsewhere (--config checkpoints=...): the project's commit there, or unknown; the row has the cost of its training there"),
)  # fmt: skip

SUMMARY_CSV = (
    Column("benchmark, method, metric", "", "", "", "the metric is a column of metrics.csv; a benchmark MODEL-DATASET-class* stands for all its classes in the suite"),
    Column("seeds", "", "1 and up", "", "number of cells behind the mean, one per seed (and class); cells that are not ok are left out"),
    Column("mean", "the metric's", "", "", "mean over seeds (and classes)"),
    Column("low, high", "the metric's", "the metric's", "", "with 2 to 4 cells (for all classes: class means) the smallest and the largest value; with 5 or more Student's 95 % interval of the mean, cut off at the metric's bounds; empty with one, and for metrics that seeds share a part of (U-LiRA's shadow models)"),
    Column("deviation", "the metric's", "0 and up", "", "sample standard deviation over the cells; empty with one"),
    Column("standard_error", "the metric's", "0 and up", "", "standard error over draws of images, for any number of seeds, all of which share the same images; known for forget_mia_auc and gap_forget_mia_auc", "DeLong et al., Biometrics 1988"),
    Column("in_floors", "", "0 and up", "", "the distance to the oracle divided by the mean distance between the oracles of two seeds; 1: as far as another oracle; empty with one seed and for metrics that are no distances"),
    Column("is_within_floor", "", "True, False", "", "whether the mean distance is not larger than the largest distance between the oracles of two seeds; empty as in_floors"),
)  # fmt: skip

COMPARISONS_CSV = (
    Column("benchmark, method, baseline, metric", "", "", "", "what is compared with what"),
    Column("seeds", "", "1 and up", "", "number of pairs: one per seed that both have; for a benchmark MODEL-DATASET-class* one per class, each the mean over its seeds"),
    Column("difference", "the metric's", "", "", "mean of method minus baseline; both of a pair start from the same pretrained model"),
    Column("half_width", "the metric's", "0 and up", "", "half of Student's 95 % interval of the mean difference; empty for one pair, and where all seeds share what was drawn, as U-LiRA's shadow models"),
    Column("p_value", "", "0 to 1", "", "of Student's paired t-test; empty where half_width is, and where all differences are equal"),
    Column("p_holm", "", "0 to 1", "", "the p-value after Holm's correction over all comparisons of the metric on the benchmark with baselines that have not collapsed (mean retain_acc at least .7 of original's), each pair once; empty for references, for collapsed baselines, for methods with a cell that is not ok, and for fewer than 3 pairs", "Holm, Scand. J. Statist. 1979"),
    Column("has_other_device", "", "True, False", "", "whether the two models of some pair were made on different devices"),
)  # fmt: skip

FLOOR_CSV = (
    Column("benchmark, metric", "", "", "", "the metric is a distance to the oracle, or a likeness, in metrics.csv"),
    Column("pairs", "", "1 and up", "", "number of pairs of oracles: of the suite's seeds, and for distances between outputs also of shadow models that never saw the class"),
    Column("mean", "the metric's", "", "", "mean over the pairs"),
    Column("furthest", "the metric's", "", "", "value of the pair that is furthest apart"),
    Column("deviation", "the metric's", "0 and up", "", "sample standard deviation over the pairs, which share oracles; empty with one pair"),
)  # fmt: skip

IMAGE_ERRORS_CSV = (
    Column("benchmark, method, metric", "", "", "", "forget_mia_auc, or gap_forget_mia_auc, its difference to the oracle's, paired by image and seed"),
    Column("seeds", "", "1 and up", "", "number of seeds behind the mean"),
    Column("standard_error", "share", "0 and up", "", "standard error of the mean over draws of images; placement values are averaged over seeds, which share the images", "DeLong et al., Biometrics 1988"),
)  # fmt: skip

AGREEMENT_CSV = (
    Column("benchmark, metric, other", "", "", "", "two metrics with a direction; one to compare with the oracle counts by its distance from it"),
    Column("methods", "", "4 and up", "", "number of methods and controls that have both"),
    Column("tau", "", "-1 to 1", "", "Kendall's tau-b between the orders in which the two metrics put the methods, best first: 1 means the same order", "Kendall, Biometrika 1938"),
)  # fmt: skip

FILES = {
    "metrics.csv": METRICS_CSV,
    "costs.csv": COSTS_CSV,
    "summary.csv": SUMMARY_CSV,
    "comparisons.csv": COMPARISONS_CSV,
    "floor.csv": FLOOR_CSV,
    "image_errors.csv": IMAGE_ERRORS_CSV,
    "agreement.csv": AGREEMENT_CSV,
}

COLUMN = {column.name: column for column in METRICS_CSV}
"""The columns of metrics.csv by name."""

COMPARED = tuple(name for name, column in COLUMN.items() if column.better)
"""The names of the metrics that have a direction: summary.csv and comparisons.csv have these."""


def in_block(block: str) -> list[Column]:
    """Return the columns of a block of the comparison table, in its order.

    Columns with a best value come first, then those to compare with the oracle.
    """
    shown = [column for column in (*METRICS_CSV, *COSTS_CSV) if column.block == block]
    return sorted(shown, key=lambda column: column.better == TO_THE_ORACLE)


CHECKPOINTS = (
    "A checkpoint (`pretrained.pt`, `retrained.pt`, `unlearned.pt`) holds `state_dict`, the weights, and `made_by`, the record",
    "of how they were made; `torch.load(path, weights_only=True)` reads it. To measure the model in another program: take the",
    "data set whose file has the digest `data` (the first 16 digits of its SHA-256), bring its images to `images.image_size` as",
    "`images.fit` says (pad with black, or resize), subtract the means in `normalisation`, and divide by the deviations. Means",
    "and deviations are per channel, on the scale 0 to 255, over the training images as they are stored, before `fit`: the",
    "black of the padding does not count. `seed`, `method`, `forget_class`, `protocol`, `hyperparameters`,",
    "`unlearning_protocol` and `outcome` say how the model was made, `computed_in` and `versions` with which precision and",
    "versions, `carried` that the checkpoint was taken from elsewhere.",
)


def render_dictionary() -> str:
    """Return results/metrics.md: what every column of the files in results/ means."""
    return as_markdown(dictionary())


def dictionary() -> list[Block]:
    """Return what every column of the files in results/ means."""
    directions = f"{', '.join(f'{better}: {words}' for better, words in DIRECTIONS.items())}."
    blocks: list[Block] = [Heading("The columns of the tables", 1), Words(directions)]
    for file, columns in FILES.items():
        blocks += [Heading(file), Terms([_entry(column) for column in columns])]
    return [*blocks, Heading("Checkpoints"), Words("\n".join(CHECKPOINTS))]


def _entry(column: Column) -> tuple[str, str]:
    title = column.title and f"in tables: {column.title}"
    properties = ", ".join(value for value in (column.unit, column.range, column.better, title) if value)
    names = ", ".join(f"`{name}`" for name in column.name.split(", "))
    source = f" [{column.source}]" if column.source else ""
    return f"{names}{f' ({properties})' if properties else ''}", f"{column.definition}{source}"
