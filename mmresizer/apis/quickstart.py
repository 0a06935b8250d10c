"""The demonstration: a task that needs a resizer which looks at all pixels."""

import time
from pathlib import Path

import torch
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from PIL import Image

from mmresizer.analysis.costs import model_costs
from mmresizer.analysis.flops import count_parameters
from mmresizer.models.utils import get_resizer
from mmresizer.registry import DATASETS
from mmresizer.utils.tables import make_table
from mmresizer.visualization import draw_resizer

from .training import train_model

ARMS = {
    "antialiased bilinear": "bilinear-aax4",
    "bilinear": "bilinearx4",
    "learned": "resizerx4",
}
CONFIG = "mmresizer::fine_textures/{}_resnet18-cifar-w16_1xb32_fine-textures_24px.py"
HEADER = (
    "resizer",
    "top-1 (%)",
    "parameters of resizer",
    "GMAC of resizer",
    "GMAC in all",
    "training (s)",
)


def run_quickstart(work_dir: str, seed: int = 0) -> str:
    """Trains each arm, prints a table and draws what the learned resizer does.

    Args:
        work_dir (str): Folder for the runs, ``table.md`` and ``resizer.png``.
        seed (int): Random seed of the runs. Defaults to 0.

    Returns:
        str: The table, in Markdown.
    """
    folder = Path(work_dir)
    rows = []
    for i, (name, prefix) in enumerate(ARMS.items(), 1):
        print(f"Training {i} of {len(ARMS)}: {name}", flush=True)
        cfg = get_config(CONFIG.format(prefix))
        cfg.launcher = "none"
        cfg.work_dir = str(folder / prefix)
        cfg.log_level = "ERROR"
        cfg.randomness = dict(seed=seed)
        cfg.custom_hooks = [dict(type="mmresizer.ProgressBarHook", title=name)]
        del cfg.default_hooks["resizer"]  # its pictures
        start = time.perf_counter()
        # The Runner adds to the config that it is given.
        model = train_model(cfg.copy()).eval()
        seconds = time.perf_counter() - start
        metrics = MessageHub.get_current_instance()
        accuracy = metrics.get_scalar("val/accuracy/top1").current()
        resizer = get_resizer(model)
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
        size = dataset[0]["inputs"].shape[-2:]
        costs = model_costs(model, size)
        parameters = f"{count_parameters(resizer):,}"
        giga = [f"{cost.macs / 1e9:.4f}" for cost in (costs.resizer, costs.total)]
        rows.append([name, f"{accuracy:.1f}", parameters, *giga, f"{seconds:.0f}"])
    table = make_table(HEADER, rows)
    (folder / "table.md").write_text(table + "\n")
    # Every other class: the eye hardly sees the difference between neighbours.
    images = [dataset[i]["inputs"] for i in range(0, 8, 2)]
    titles = [f"{dataset.metainfo['classes'][i]}" for i in range(0, 8, 2)]
    picture = folder / "resizer.png"
    Image.fromarray(draw_resizer(model, images, titles)).save(picture)
    print(
        f"\n{table}\n\nValidation images, last epoch, one seed ({seed}), "
        f"{torch.get_num_threads()} threads. Chance is 12.5 %.\n"
        "Antialiased interpolation removes the stripes, plain interpolation folds them "
        "into\ncoarser ones. README.md has the means of three seeds.\n"
        f"Table: {folder.resolve() / 'table.md'}\nPicture: {picture.resolve()}"
    )
    return table
