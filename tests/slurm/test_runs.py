"""Whole runs on a real SLURM: the same table as on one machine, and nothing to do afterwards."""

import shutil

import pytest
from cluster import ClusterProject, gpus_of, until
from project import Project


@pytest.fixture
def fresh(project):
    """Return the project without any result and without its data set."""
    for name in ("results", "data"):
        shutil.rmtree(project.folder / name)
    return project


@pytest.mark.core
def test_a_first_run_makes_the_same_table_and_nothing_is_left_to_do(fresh, local):
    """The data set is made in the same run: for jobs of a cluster, Snakemake does not know its digest when it plans."""
    status, printed = fresh.submitted()
    assert status == 0, printed
    assert fresh.read("results/metrics.csv") == local.read("results/metrics.csv")
    for where in (ClusterProject.WHERE, ("--cores", "1")):
        fresh.WHERE = where
        assert "Nothing to be done" in fresh.submitted()[1]


def test_relearning_is_part_of_the_one_job_of_a_cell(project, drained):
    process = project.submit("--config", "relearning=true")
    jobs = until(lambda: len(jobs := project.queue("%k", "%i")) >= 4 and jobs)
    names = [[name] for name, _ in jobs]
    (cell,) = [number for name, number in jobs if name == "rule_cell_evaluate_relearn_unlearn"]
    assert gpus_of(cell) == "gres:gpu:1"  # its parts take turns with it
    drained()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert ["rule_cell_evaluate_relearn_unlearn"] in names


@pytest.mark.parametrize(
    ("resource", "asked"), [("gres=shard:1", "gres:shard:1"), ("gpu_model=made_up", "gres:gpu:made_up:1")]
)
def test_a_profile_asks_for_a_share_of_a_gpu_or_for_a_model(project, drained, resource, asked):
    """The command line replaces the profile's default resources, as an edit of the profile would."""
    project.submit("--default-resources", "slurm_partition=gpu", resource)
    ((job,),) = until(project.queue)
    assert gpus_of(job) == asked
    drained()
    until(lambda: project.queue("%T") == [["RUNNING"]])  # SLURM has what was asked for


@pytest.mark.digits
def test_the_digits_suite_makes_the_same_table_as_on_this_machine(cluster, tmp_path):
    metrics = []
    for name, kind in (("local", Project), ("cluster", ClusterProject)):
        project = kind(tmp_path / name, {})
        project.make("results/table.md")
        metrics.append(project.read("results/metrics.csv"))
    assert metrics[0] == metrics[1]
