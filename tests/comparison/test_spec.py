"""Specs of comparisons."""

import pprint
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mmresizer.analysis.costs import build_model_to_count
from mmresizer.analysis.flops import count_macs
from mmresizer.comparison import matching
from mmresizer.comparison.matching import match_flops
from mmresizer.comparison.spec import load_spec
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError

DEMO = (
    "mmresizer::fine_textures/bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"
)
BILINEAR = dict(name="bilinear", baseline=True)
LEARNED = dict(name="learned", resizer=dict(type="mmresizer.LearnedResizer"))


@pytest.fixture
def load(tmp_path):
    """Writes a spec and loads it; None as a value leaves a key out."""

    def load(**changes):
        spec = dict(config=DEMO, arms=[BILINEAR, LEARNED], seeds=[0, 1]) | changes
        lines = [f"{k} = {pprint.pformat(v)}" for k, v in spec.items() if v is not None]
        (tmp_path / "spec.py").write_text("\n".join(lines))
        return load_spec(str(tmp_path / "spec.py"))

    return load


def test_arms_share_all_but_their_own_settings(load):
    spec = load(
        options={"train_cfg.max_epochs": 3},
        arms=[BILINEAR, {**LEARNED, "options": {"optim_wrapper.optimizer.lr": 0.5}}],
        _helper=7,
    )
    bilinear, learned = spec.arms
    assert spec.baselines == [bilinear]
    assert bilinear.cfg.model.resizer.type == "mmresizer.InterpolationResizer"
    assert learned.cfg.model.resizer.type == "mmresizer.LearnedResizer"
    assert bilinear.output_size == learned.output_size == (24, 24)
    assert bilinear.input_size == (96, 96)
    assert [arm.cfg.train_cfg.max_epochs for arm in spec.arms] == [3, 3]
    assert learned.cfg.optim_wrapper.optimizer.lr == 0.5
    assert bilinear.cfg.optim_wrapper.optimizer.lr == 2e-3


def test_output_size_of_an_arm(load):
    larger = dict(name="larger", baseline=True, output_size=48)
    arms = load(arms=[larger, LEARNED, dict(LEARNED, name="matched", output_size=32)])
    assert [arm.output_size for arm in arms.arms] == [(48, 48), (24, 24), (32, 32)]
    assert arms.arms[0].cfg.model.resizer.output_size == 48


def test_stage1_has_its_own_options(load):
    spec = load(stage1=dict(options={"train_cfg.max_epochs": 5}))
    assert spec.stage1.train_cfg.max_epochs == 5
    assert spec.arms[0].cfg.train_cfg.max_epochs == 8


@pytest.mark.slow
def test_matches_flops(load):
    """No other size costs nearer to what the learned arm costs."""
    larger = dict(name="larger", baseline=True, match_flops="learned")
    arms = {arm.name: arm for arm in load(arms=[larger, LEARNED]).arms}
    target = arms["learned"].macs
    cfg = arms["larger"].cfg
    distances = {}
    for size in range(24, 97):
        cfg.model.resizer.output_size = size
        model = build_model_to_count(cfg)
        distances[size] = abs(count_macs(model, (96, 96)) - target)
    assert arms["larger"].output_size == (min(distances, key=distances.get),) * 2
    assert list(arms) == ["larger", "learned"]


@pytest.mark.parametrize(
    ("macs", "size"), [(60, 32), (100, 32), (150, 32), (151, 64), (200, 64), (900, 96)]
)
def test_matches_flops_with_sizes_that_the_backbone_takes(
    load, monkeypatch, macs, size
):
    """Multiples of 16; 32 and 48 px cost 100, 64 and 80 cost 200, 96 costs 300."""

    def model_costs(cfg, input_size):
        output = cfg.model.resizer.output_size
        if output % 16:
            raise InputError("not taken")
        return SimpleNamespace(total=SimpleNamespace(macs=100 * (output // 32)))

    arm = replace(load().arms[0], macs=0)
    monkeypatch.setattr(matching, "model_costs", model_costs)
    assert match_flops(arm, macs).output_size == (size, size)


def test_sweep(load):
    spec = load(sweep=dict(arms=["bilinear", "learned"], input_sizes=[24, 48]))
    assert [(a.name, a.base, a.input_size, a.baseline) for a in spec.arms] == [
        ("bilinear 24 px", "bilinear", (24, 24), True),
        ("bilinear 48 px", "bilinear", (48, 48), True),
        ("learned 24 px", "learned", (24, 24), False),
        ("learned 48 px", "learned", (48, 48), False),
    ]
    for name in ("train", "val", "test"):
        dataset = DATASETS.build(spec.arms[1].cfg[f"{name}_dataloader"].dataset)
        assert dataset[0]["inputs"].shape == (3, 48, 48)


def test_sweep_up_to_the_full_size_beside_another_arm(load):
    """At 96 px nothing is resized: its images are those of the arm outside."""
    other = dict(name="other", baseline=True)
    sweep = dict(arms=["learned"], input_sizes=[24, 96])
    arms = load(arms=[other, LEARNED], sweep=sweep).arms
    assert [arm.input_size for arm in arms] == [(96, 96), (24, 24), (96, 96)]


def test_sweep_of_a_larger_output(load):
    """It matches the arm of its own input size."""
    larger = dict(name="larger", baseline=True, match_flops="learned")
    sweep = dict(arms=["larger", "learned"], input_sizes=[72, 96])
    arms = {arm.name: arm for arm in load(arms=[larger, LEARNED], sweep=sweep).arms}
    for size in (72, 96):
        alone = load(
            arms=[larger | {"input_size": size}, LEARNED | {"input_size": size}]
        )
        assert arms[f"larger {size} px"].output_size == alone.arms[0].output_size
    assert arms["larger 72 px"].output_size < arms["larger 96 px"].output_size


def test_holdout_is_a_part_of_the_training_set(load):
    folds = []
    for fold in range(4):
        cfg = load(holdout=dict(fold=fold, num_splits=4)).arms[0].cfg
        train, val = (
            DATASETS.build(cfg[f"{name}_dataloader"].dataset)
            for name in ("train", "val")
        )
        indices = [
            {dataset._get_ori_dataset_idx(i) for i in range(len(dataset))}
            for dataset in (train, val)
        ]
        assert not indices[0] & indices[1]
        assert indices[0] | indices[1] == set(range(1600))
        folds.append(indices[1])
    assert set.union(*folds) == set(range(1600))
    assert sum(map(len, folds)) == 1600


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(seeds=None), r"the spec '.*spec.py' has no `seeds`"),
        (dict(seeds=[3]), r"seeds must be 2 or more different ones.*got \[3\]"),
        (dict(seeds=[3, 3]), r"seeds must be 2 or more different ones.*got \[3, 3\]"),
        (dict(seeds=[0, -1]), r"seeds must be a list of ints.*got \[0, -1\]"),
        (dict(seed=[0, 1]), "has an unknown key 'seed'; accepted are config, "),
        (dict(arms=[]), r"arms must be a list of one or more dicts, but got \[\]"),
        (dict(arms=[LEARNED]), "at least one arm must be a baseline"),
        (
            dict(arms=[BILINEAR, BILINEAR]),
            "must be unique.*'bilinear', of arm 'bilinear', is taken",
        ),
        (
            dict(arms=[BILINEAR, dict(name="stage1")]),
            "must be unique, as folders too, but 'stage1'",
        ),
        (dict(arms=[dict(name="a/b")]), "the name of an arm must be .* got 'a/b'"),
        (dict(arms=[dict(name="_a")]), "the first a letter or digit, but got '_a'"),
        (dict(arms=[dict(nam="a")]), "an arm has an unknown key 'nam'"),
        (
            dict(arms=[BILINEAR, dict(name="big", resizer=dict(output_size=48))]),
            "arm 'big' has the output size 48x48, but 'bilinear' has 24x24",
        ),
        (
            dict(arms=[dict(name="big", output_size=48, match_flops="learned")]),
            "arm 'big' must have match_flops or output_size, and not both",
        ),
        (
            dict(arms=[BILINEAR, dict(name="big", output_size=0)]),
            "output_size must be a positive int.*got 0",
        ),
        (
            dict(arms=[BILINEAR, dict(name="big", match_flops="lerned")]),
            r"match_flops of arm 'big' must be .*\(bilinear\), but got 'lerned'",
        ),
        (
            dict(
                arms=[
                    BILINEAR,
                    dict(
                        name="a", match_flops="bilinear", resizer=dict(output_size=12)
                    ),
                    dict(name="b", match_flops="a"),
                ]
            ),
            r"match_flops of arm 'b' must be .*\(bilinear\), but got 'a'",
        ),
        (
            dict(
                arms=[
                    LEARNED,
                    dict(
                        name="b",
                        baseline=True,
                        match_flops="learned",
                        resizer=dict(output_size=(20, 24)),
                    ),
                ]
            ),
            "arm 'b' must have a square output for match_flops, but it has 20x24",
        ),
        (dict(arms=[dict(name="a", baseline="no")]), "baseline must be .* got 'no'"),
        (
            dict(arms=[BILINEAR, {**LEARNED, "match_flops": "bilinear"}]),
            "arm 'learned' costs 0.0311 GMAC already, more than the 0.0197",
        ),
        (
            dict(arms=[BILINEAR, dict(name="x", resizer=dict(type="Resizr"))]),
            "arm 'x': cannot build the model .*Resizr",
        ),
        (
            dict(arms=[BILINEAR, dict(name="x", input_size=97)]),
            r"input_size must be an int .*\(96\), but got 97",
        ),
        (
            dict(stage1=dict(checkpoint="absent.pth")),
            "the stage-1 checkpoint must be a file .*, but 'absent.pth' is none",
        ),
        (dict(stage1=dict(epochs=3)), "stage1 has an unknown key 'epochs'"),
        (dict(config="absent.py"), "the config '.*absent.py' does not exist"),
        (dict(config="mmresizer::absent.py"), "cannot read the config 'mmresizer::abs"),
        (dict(warmup_epochs=8), "warmup_epochs must be an int from 0 to 7.*got 8"),
        (dict(holdout=dict(fold=4, num_splits=4)), "holdout must be dict.*'fold': 4"),
        (dict(sweep=dict(arms=["x"])), r"sweep.arms must be names .*got \['x'\]"),
        (dict(sweep=dict(arms=[])), r"sweep.arms must be names .*got \[\]"),
        (
            dict(options={"custom_hooks": [dict(type="ResizerOptimiserHook")]}),
            r"custom_hooks\[0\] of arm 'bilinear': there is no type 'ResizerOptimiser",
        ),
        (
            dict(
                arms=[
                    BILINEAR,
                    LEARNED
                    | dict(
                        options=dict(
                            custom_hooks=[
                                dict(type="mmresizer.ResizerOptimizerHook", rate=0.1)
                            ]
                        )
                    ),
                ]
            ),
            r"cannot build custom_hooks\[0\] of arm 'learned' \(.*'rate'",
        ),
        (
            dict(options={"param_scheduler": [dict(type="CosineAnnealingLR", T_mx=3)]}),
            "param_scheduler of arm 'bilinear' has an unknown key 'T_mx'; .* T_max",
        ),
        (
            dict(options={"train_dataloader.dataset.num_sample": 3}),
            "train_dataloader.dataset of .* has an unknown key 'num_sample'; .* num",
        ),
        (
            dict(options={"model.head.num_classes": 7}),
            "the training data has 8 classes .*, but model.head.num_classes is 7",
        ),
        (
            dict(options={"train_dataloader.dataset.data_root": "absent"}),
            "the folder 'absent' of train_dataloader does not exist",
        ),
        (
            dict(options={"val_dataloader.batch_size": 0}),
            "arm 'bilinear': val_dataloader.batch_size must be an int of 1 .* is 0",
        ),
        (dict(options=3), "options must be a dict, but got 3"),
        (
            dict(options={"train_cfg": dict(_delete_=True, by_epoch=False)}),
            "arm 'bilinear': train_cfg.max_epochs must be an int .* is None",
        ),
        (dict(options={"train_cfg.max_epochs": "3"}), "must be an int .* is '3'"),
        (
            dict(
                arms=[dict(name="a", baseline=True, options={"train_dataloder.x": 1})]
            ),
            "options of 'a' have 'train_dataloder.x', which no config has; accepted",
        ),
        (
            dict(options={"train_cfg.max_epoch": 3}),
            "train_cfg has an unknown key 'max_epoch'; accepted .*max_epochs",
        ),
        (
            dict(options={"val_dataloader.batchsize": 3}),
            "val_dataloader has an unknown key 'batchsize'; accepted .*batch_size",
        ),
        (
            dict(options={"optim_wrapper.optimizer.lrr": 3}),
            "cannot build optim_wrapper of arm 'bilinear' .*'lrr'",
        ),
        (
            dict(stage1=dict(options={"optim_wrapper.optimiser.lr": 3})),
            "cannot build optim_wrapper of stage 1 .*'optimiser'",
        ),
        (dict(arms=[BILINEAR]), r"arms must be two or more.* got \['bilinear'\]"),
        (
            dict(arms=[BILINEAR, dict(name="Bilinear")]),
            "'bilinear', of arm 'Bilinear', is taken already",
        ),
        (
            dict(
                config="mmresizer::degraded/"
                "bicubicx4_resnet18-cifar-w16_1xb32_degraded-textures_24px.py"
            ),
            "needs a classifier, but the head is of type 'mmresizer.IQAHead'",
        ),
        (
            dict(options={"val_dataloader": None}),
            "`val_dataloader` must be a dict, but",
        ),
        (
            dict(stage1=dict(options={"model.resizer.type": "Resizr"})),
            "stage 1: cannot build the model .*Resizr",
        ),
        (
            dict(stage1=dict(options={}, checkpoint="x.pth")),
            "stage1 must have options, or a checkpoint, and not both",
        ),
        (
            dict(
                arms=[
                    BILINEAR,
                    dict(name="x", options={"val_dataloader.dataset.num_samples": 200}),
                ]
            ),
            "arm 'x' must be validated on the images of 'bilinear'",
        ),
        (
            dict(options={"val_dataloader.sampler.shuffle": True}),
            "none in random order",
        ),
        (  # which shuffles by default
            dict(
                options={
                    "val_dataloader.sampler": dict(_delete_=True, type="DefaultSampler")
                }
            ),
            "none in random order",
        ),
        (
            dict(
                arms=[
                    BILINEAR,
                    dict(name="x", options={"val_dataloader.drop_last": True}),
                ]
            ),
            "arm 'x' must be validated on the images of 'bilinear', all of them",
        ),
        (
            dict(options={"load_from": "absent.pth"}),
            "arm 'bilinear': a checkpoint must be a file .* 'absent.pth' is none",
        ),
        (
            dict(
                stage1=dict(options={}),
                options={
                    "model.backbone.init_cfg": dict(
                        type="Pretrained", checkpoint="absent.pth"
                    )
                },
            ),
            "arm 'bilinear': a checkpoint must be a file .* 'absent.pth' is none",
        ),
        (
            dict(
                options={
                    "custom_hooks": [
                        dict(type="mmresizer.ResizerVisualizationHook", interval=0)
                    ]
                }
            ),
            r"custom_hooks\[0\] of arm 'bilinear' \(interval must be an int of 1",
        ),
        (
            dict(options={"custom_hooks": dict(type="EMAHook")}),
            "arm 'bilinear': custom_hooks must be a list, but is {'type': 'EMAHook'}",
        ),
        (
            dict(
                options={
                    "train_dataloader.dataset.pipeline": [dict(type="RandomFlipp")]
                }
            ),
            "a transform of train_dataloader.dataset of .* no type 'RandomFlipp'",
        ),
        (
            dict(options={"val_evaluator.type": "Acuracy"}),
            "val_evaluator of arm 'bilinear': there is no type 'Acuracy'",
        ),
        (dict(options={"val_evaluator": None}), "val_evaluator must be a dict or a li"),
        (
            dict(options={"train_cfg.type": "EpochBasedTrainLop"}),
            "train_cfg.type must be a training loop, .* is 'EpochBasedTrainLop'",
        ),
    ],
)
def test_refuses(load, changes, sentence):
    with pytest.raises(InputError) as error:
        load(**changes)
    assert re.search(sentence, str(error.value)), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"val_dataloader.sampler": dict(_delete_=True, type="SequentialSampler")},
        {"val_dataloader.sampler": None},
        {
            "val_evaluator": dict(
                _delete_=True, type="Evaluator", metrics=dict(type="Accuracy")
            )
        },
    ],
    ids=["sequential", "no sampler", "evaluator"],
)
def test_accepts(load, options):
    assert load(options=options).arms


def test_accepts_a_loop_that_options_import(load, tmp_path, monkeypatch):
    (tmp_path / "imported_loop.py").write_text(
        "from mmengine.registry import LOOPS\n"
        "from mmengine.runner import EpochBasedTrainLoop\n"
        "@LOOPS.register_module()\n"
        "class ImportedLoop(EpochBasedTrainLoop):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    imports = dict(imports=["mmresizer", "imported_loop"], allow_failed_imports=False)
    options = {"custom_imports": imports, "train_cfg.type": "ImportedLoop"}
    assert load(options=options).arms


def test_refuses_weights_of_another_architecture(load, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"conv.weight": torch.zeros(3)}}, path)
    sentence = "arm 'bilinear': the checkpoint '.*other.pth' is of another architecture"
    with pytest.raises(InputError, match=sentence):
        load(stage1=dict(checkpoint=str(path)))
    with pytest.raises(InputError, match=sentence.replace("arm 'bilinear'", "stage 1")):
        load(stage1=dict(options={"load_from": str(path)}))
