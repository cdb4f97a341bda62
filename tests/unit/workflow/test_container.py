"""What is refused when jobs shall run in a container."""

import pytest
from snakemake.settings.types import DeploymentMethod

from unlearning.errors import UserError
from unlearning.workflow.container import check_container

CONDA, APPTAINER = DeploymentMethod.CONDA, DeploymentMethod.APPTAINER


@pytest.fixture
def image(tmp_path, monkeypatch):
    """Return the path of an image that is not there, in a folder of its own. No program is there either."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "envs").mkdir()
    return tmp_path / "envs/unlearning.sif"


def install(program, image):
    (image.parents[1] / "bin" / program).touch(mode=0o755)


@pytest.mark.parametrize("asked", [[], [CONDA]])
def test_without_a_container_nothing_is_needed(image, asked):
    check_container(asked, image)


def test_without_a_program_no_job_could_start(image):
    image.touch()
    with pytest.raises(UserError, match=r"^--sdm apptainer: there is no command apptainer or singularity; install"):
        check_container([APPTAINER], image)


@pytest.mark.parametrize("program", ["apptainer", "singularity"])
def test_an_image_that_is_not_there_is_named_with_the_command_that_builds_it(image, program):
    install(program, image)
    command = "apptainer build envs/unlearning.sif envs/unlearning.def"
    with pytest.raises(
        UserError, match=f"^--sdm apptainer: {image} is not there; build it in {image.parents[1]}: {command}$"
    ):
        check_container([APPTAINER], image)
    image.touch()
    check_container([APPTAINER], image)


def test_conda_inside_the_container_is_refused(image):
    install("apptainer", image)
    image.touch()
    with pytest.raises(UserError, match="the image has no conda; write one of the two"):
        check_container([CONDA, APPTAINER], image)
