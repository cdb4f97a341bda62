"""The models, compared with their published sizes and torchvision's architectures."""

import copy
import re

import pytest
import torch
import yaml
from project import ROOT
from torch import nn

from unlearning.data.sources import import_torchvision_datasets
from unlearning.models import MODELS, build_model, initialise


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [("resnet20", 10, 272_474), ("vgg16bn", 100, 14_774_436), ("mobilenetv2", 10, 2_236_682)],
)
def test_published_parameter_counts(name, classes, parameters):
    model = build_model(name, classes, channels=3)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("classes", "channels", "width"), [(10, 1, 0.25), (100, 3, 0.5)])
def test_any_width_and_number_of_channels(name, classes, channels, width):
    model = build_model(name, classes, channels, width)
    images = torch.randn(2, channels, 32, 32)
    assert model(images).shape == (2, classes)
    torch.testing.assert_close(model.eval()(images), model.head(model.embed(images)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_feature_map_is_channels_last(name, channels):
    model = build_model(name, 10, channels, 0.25)
    formats = []
    for module in model.features:
        module.register_forward_hook(
            lambda _module, _inputs, output: formats.append(
                output.is_contiguous(memory_format=torch.channels_last) or output.shape[2:] == (1, 1)
            )
        )
    model(torch.randn(4, channels, 32, 32))  # images in the default format
    assert formats
    assert all(formats)


def copy_weights_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers by position, so that equal outputs show the same layers in the same order."""
    tensors = list(source.state_dict().values())
    keys = list(target.state_dict())
    assert [t.shape for t in tensors] == [t.shape for t in target.state_dict().values()]
    target.load_state_dict(dict(zip(keys, tensors, strict=True)))


@pytest.fixture(scope="module")
def torchvision_models():
    import_torchvision_datasets()
    from torchvision import models

    return models


@pytest.mark.parametrize("training", [False, True])
def test_vgg_features_are_torchvisions(torchvision_models, training):
    torch.manual_seed(0)
    theirs = torchvision_models.vgg16_bn(weights=None).features.double().train(training)
    ours = build_model("vgg16bn", 10, 3).features.double().train(training)
    copy_weights_in_order(theirs, ours)
    images = torch.randn(4, 3, 32, 32).double()
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("training", [False, True])
def test_mobilenet_features_are_torchvisions_with_two_strides_less(torchvision_models, training):
    torch.manual_seed(0)
    theirs = torchvision_models.mobilenet_v2(weights=None).features.double().train(training)
    theirs[0][0].stride = (1, 1)  # the stem
    theirs[2].conv[1][0].stride = (1, 1)  # the first down-sampling stage
    ours = build_model("mobilenetv2", 10, 3).features.double().train(training)
    copy_weights_in_order(theirs, ours)
    images = torch.randn(4, 3, 32, 32).double()
    torch.testing.assert_close(ours(images), theirs(images))


def test_resnet_projects_where_the_shape_changes():
    model = build_model("resnet20", 10, 3)
    shortcuts = [block.shortcut for block in model.features if hasattr(block, "shortcut")]
    assert [isinstance(shortcut, nn.Identity) for shortcut in shortcuts] == [True] * 3 + [False, True, True] * 2
    assert model.features(torch.randn(2, 3, 32, 32)).shape == (2, 64, 8, 8)


def test_initialisation_is_the_published_one():
    torch.manual_seed(0)
    model = build_model("vgg16bn", 1000, 3)
    convolution = model.features[7]  # 64 to 128 channels: fan-in and fan-out differ
    assert isinstance(convolution, nn.Conv2d)
    fan_out = convolution.out_channels * 9
    assert convolution.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    assert model.head.weight.std().item() == pytest.approx((2 / model.head.in_features) ** 0.5, rel=0.02)
    assert not model.head.bias.any()
    assert not convolution.bias.any()


def test_initialising_again_forgets_everything():
    fresh = build_model("resnet20", 10, 3, 0.25)
    trained = copy.deepcopy(fresh)
    trained(torch.randn(8, 3, 32, 32))  # moves the running statistics
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    for model in (fresh, trained):
        torch.manual_seed(5)
        initialise(model)
    for name, tensor in fresh.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor, rtol=0, atol=0)


def test_the_schema_knows_exactly_these_models():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    pattern = schema["$defs"]["benchmark_name"]["pattern"]
    assert re.search(r"\((.*?)\)", pattern)[1].split("|") == list(MODELS)
