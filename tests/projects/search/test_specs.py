"""The searches can be run again, with hooks that the package does not have."""

import pytest
from mmengine.utils import import_modules_from_strings

from conftest import ROOT
from mmresizer.config.loading import load_config
from mmresizer.registry import HOOKS

SPECS = sorted((ROOT / "projects" / "search").glob("*.py"))
LOST = {
    "search_flowers12_lite0": {"ClipResizerGradHook"},
    "search2_flowers12_lite0": {"DistillationHook"},
    "stability_flowers12_lite0": {"RecomputeNormsHook"},
}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_hook_is_found(path):
    spec = load_config(str(path))
    modules = spec.get("options", {}).get("custom_imports.imports", [])
    import_modules_from_strings(modules)
    hooks = [
        hook
        for arm in spec.arms
        for hook in arm.get("options", {}).get("custom_hooks", [])
    ]
    built = [HOOKS.build(dict(hook)) for hook in hooks]
    lost = {
        type(hook).__name__
        for hook in built
        if type(hook).__module__.startswith("projects.")
    }
    assert lost == LOST.get(path.stem, set())
    assert ("projects.search.hooks" in modules) == bool(lost)


def test_finds_the_specs():
    assert {*LOST} < {path.stem for path in SPECS}
