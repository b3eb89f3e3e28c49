"""The authors' files become checkpoints of ours, or are refused with every reason named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from pasco_core.checkpoints import convert, load_checkpoint
from pasco_core.checkpoints.architectures import architecture_of_weights
from pasco_core.checkpoints.conversion import _once_each
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.errors import CheckpointError, ConfigError
from pasco_core.systems.pasco.config import PaSCoConfig

# Trainable parameters of the published networks.
PARAMETERS = {
    "semkitti_n1": 117_023_641, "semkitti_n3": 126_495_889, "semkitti_n1_heavy": 111_050_393,
    "semkitti_n3_heavy": 120_522_641, "kitti360_n1": 117_004_655, "kitti360_n2": 121_740_328,
}


@pytest.fixture
def saved(tmp_path):
    """A function that saves a content as a training file."""

    def save(content, name: str = "authors.ckpt") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "ours.safetensors"


def refusal(source: Path, target: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        convert(source, target)
    assert str(source) in str(caught.value)
    assert not target.exists()
    assert sorted(path.name for path in target.parent.iterdir()) == [source.name], "a temporary file was left behind"
    return str(caught.value)


def test_every_variant_is_recognised_and_keeps_every_weight(variant, small_config, make_state, make_lightning_file,
                                                            saved, target):
    config = small_config(variant)
    state = make_state(config)
    report = convert(saved(make_lightning_file(state)), target)
    checkpoint = load_checkpoint(target)
    assert PaSCoConfig.from_dict(report.config) == config == PaSCoConfig.from_dict(checkpoint.header.config)
    kept = {key for key in state if not key.startswith(("criterion.", "unet3d.transformer_predictor",
                                                        "unet3d.decoder_generative.transformer_predictor"))}
    assert set(checkpoint.state_dict) == kept
    assert all(torch.equal(checkpoint.state_dict[key], state[key]) for key in kept)
    labels = KITTI_360 if variant.startswith("kitti360") else SEMANTIC_KITTI
    assert checkpoint.header.class_names == labels.class_names == report.class_names


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_networks_keys_shapes_and_parameter_counts_are_those_expected(name, shared_data):
    dump = shared_data.parent / "specs" / f"pasco_statedict_{name}.json"
    if not dump.is_file():
        pytest.skip(f"key list not there: ../shared/specs/{dump.name}")
    shapes = {key: tuple(shape) for key, shape in json.loads(dump.read_text()).items()}
    state, notes = _once_each("pasco", {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()})
    architecture = architecture_of_weights("pasco", state)
    assert architecture.shapes == {key: shapes[key] for key in state}
    assert architecture.config["heavy"] == name.endswith("heavy")
    assert architecture.config["n_subnets"] == int(name.split("_n")[1][0])
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(v.numel() for k, v in state.items() if not k.endswith(buffers)) == PARAMETERS[name]
    assert "148 repetitions" in notes[1]


def test_the_header_names_source_hash_config_and_what_was_dropped(small_config, make_state, make_lightning_file, saved,
                                                                  target):
    source = saved(make_lightning_file(make_state(small_config("semkitti_n1"))))
    report = convert(source, target)
    header = load_checkpoint(target).header
    assert header.source == "authors.ckpt" and header.format_version == 1 and header.system == "pasco"
    assert header.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest() == report.source_sha256
    assert header.created_by.startswith("pasco ")
    assert header.notes[0] == ("2 buffers of the training losses dropped "
                               "(criterion.empty_weight, criterion.compl_labelweights)")
    assert "repetitions of transformer_predictor.* dropped" in header.notes[1]


def test_converting_twice_gives_the_same_bytes(small_config, make_state, saved, tmp_path):
    source = saved({"state_dict": make_state(small_config("kitti360_n1"))})
    convert(source, tmp_path / "a.safetensors")
    convert(source, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("alias", ["unet3d.transformer_predictor.", "unet3d.decoder_generative.transformer_predictor."])
def test_a_repetition_of_the_transformer_that_differs_is_named(small_config, make_state, saved, target, alias):
    state = make_state(small_config("semkitti_n1"))
    key = alias + "decoder_norm.weight"
    state[key] = state[key].clone()
    state[key][3] += 1e-3
    assert key in refusal(saved({"state_dict": state}), target)


def test_missing_unexpected_and_misshapen_keys_are_named_and_the_rest_counted(small_config, make_state, saved, target):
    state = make_state(small_config("semkitti_n1"))
    gone = [key for key in state if key.startswith("unet3d.dense3d.0.") and key.endswith("weight")][:13]
    for key in gone:
        del state[key]
    state["unet3d.encoder.surprise"] = torch.zeros(2)
    state["transformer_predictor.class_embed.bias"] = torch.zeros(5)
    for alias in ("unet3d.transformer_predictor.", "unet3d.decoder_generative.transformer_predictor."):
        del state[alias + "class_embed.bias"]
    message = refusal(saved({"state_dict": state}), target)
    assert f"13 missing: {', '.join(gone[:10])} and 3 more" in message
    assert "1 unexpected: unet3d.encoder.surprise" in message
    assert "transformer_predictor.class_embed.bias (5,) instead of (21,)" in message


@pytest.mark.parametrize("key", ["unet3d.encoder.enc_in_feats.kernel", "transformer_predictor.query_feat.weight",
                                 "feat.PPmodel.1.weight"])
@pytest.mark.parametrize("shape", [(3,), (), (2, 0), (2, 3, 4, 5)])
def test_a_weight_the_variant_is_read_from_may_have_any_shape_without_a_crash(small_config, make_state, saved, target,
                                                                               key, shape):
    state = {k: v for k, v in make_state(small_config("semkitti_n1")).items() if "t3d.transf" not in k
             and "generative.transf" not in k}
    state[key] = torch.zeros(shape)
    refusal(saved({"state_dict": state}), target)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(small_config, make_state, saved, target, bad):
    state = make_state(small_config("semkitti_n1"))
    state["feat.PPmodel.1.weight"][0, 0] = bad
    message = refusal(saved({"state_dict": state}), target)
    assert "1 with NaN or infinity: feat.PPmodel.1.weight" in message


def test_half_precision_weights_become_float32_with_a_note(small_config, make_state, saved, target):
    state = make_state(small_config("semkitti_n1"))
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    report = convert(saved({"state_dict": half}), target)
    assert "weights converted from float16 to float32" in report.notes
    loaded = load_checkpoint(target).state_dict
    assert all(torch.equal(value, half[key].to(value.dtype)) for key, value in loaded.items())


def test_integer_weights_are_refused_by_key(small_config, make_state, saved, target):
    state = make_state(small_config("semkitti_n1"))
    state["feat.PPmodel.1.weight"] = state["feat.PPmodel.1.weight"].to(torch.int32)
    message = refusal(saved({"state_dict": state}), target)
    assert "1 of another type: feat.PPmodel.1.weight torch.int32" in message


def test_settings_that_contradict_the_weights_are_noted(small_config, make_state, make_lightning_file, saved, target):
    names = ["unlabeled", *SEMANTIC_KITTI.class_names[1:]]
    content = make_lightning_file(make_state(small_config("semkitti_n1_heavy")), heavy_decoder=False, n_infers=1,
                                  class_names=names)
    notes = convert(saved(content), target).notes
    assert "the file's setting heavy_decoder is False but its weights say True" in notes
    assert "class names differ from the file's (0: 'unlabeled' is 'empty' here)" in notes
    assert not any("n_infers" in note for note in notes)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_waffleiron_file_is_recognised_with_and_without_its_prefix(waffleiron_state, saved, target, prefix):
    content = {"net": {prefix + key: value for key, value in waffleiron_state.items()}, "epoch": 45, "optim": {}}
    report = convert(saved(content, "ckpt_last.pth"), target)
    checkpoint = load_checkpoint(target)
    assert report.system == checkpoint.header.system == "waffleiron"
    assert (report.config["channels"], report.config["depth"]) == (8, 3)
    assert checkpoint.header.class_names == SEMANTIC_KITTI.class_names[1:]
    assert all(torch.equal(checkpoint.state_dict[key], value) for key, value in waffleiron_state.items())
    assert checkpoint.state_dict.keys() == waffleiron_state.keys()


def test_weights_of_another_network_are_refused_with_their_first_keys(saved, target):
    message = refusal(saved({"state_dict": {"backbone.conv1.weight": torch.zeros(3)}}), target)
    assert "PaSCo" in message and "WaffleIron" in message and "backbone.conv1.weight" in message


def test_a_target_of_another_ending_or_without_a_folder_is_wrong_use(saved, tmp_path):
    source = saved({"state_dict": {}})
    with pytest.raises(ConfigError, match=r"end in \.safetensors, got .*ours\.ckpt"):
        convert(source, tmp_path / "ours.ckpt")
    with pytest.raises(ConfigError, match="folder of the new checkpoint to exist"):
        convert(source, tmp_path / "nowhere" / "ours.safetensors")


def test_a_converted_file_is_not_converted_again(tmp_path):
    with pytest.raises(ConfigError, match="already converted"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors")


def test_a_refused_conversion_leaves_an_existing_target_as_it_was(saved, target):
    target.write_bytes(b"earlier")
    with pytest.raises(CheckpointError):
        convert(saved({"state_dict": {"a": torch.zeros(1)}}), target)
    assert target.read_bytes() == b"earlier"
