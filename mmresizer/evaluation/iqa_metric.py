"""Agreement between predicted scores of images and those of people."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from scipy import stats

from mmresizer.models.losses import earth_movers_distance
from mmresizer.registry import METRICS
from mmresizer.utils import InputError

# From these, the hooks that look for the best checkpoint know whether more is better.
for hook in (CheckpointHook, EarlyStoppingHook):
    hook._default_greater_keys = [*hook._default_greater_keys, "PLCC", "SRCC", "KRCC"]
    hook._default_less_keys = [*hook._default_less_keys, "MSE", "EMD"]


@METRICS.register_module()
class IQAMetric(BaseMetric):
    """Correlations of mean scores, and distances of distributions.

    - ``PLCC``, ``SRCC``, ``KRCC``: the correlation coefficients of Pearson, Spearman
      and Kendall (tau-b) between predicted and given mean scores;
    - ``MSE``: the mean squared error of the mean scores;
    - ``EMD``: :func:`mmresizer.models.losses.earth_movers_distance`, mean over the
      images; not for heads that predict the mean alone.

    All are computed over the whole set, from the results of all processes. If all
    scores are equal, a correlation is not defined, and is NaN.

    Args:
        emd_r (int): The r of the distance. Defaults to 1, as in published results.
        **kwargs: ``collect_device`` and ``prefix`` of mmengine's ``BaseMetric``.

    Raises:
        InputError: If ``emd_r`` is neither 1 nor 2.
    """

    default_prefix = "iqa"

    def __init__(self, emd_r: int = 1, **kwargs):
        if emd_r not in (1, 2):
            raise InputError(f"emd_r must be 1 or 2, got {emd_r!r}")
        super().__init__(**kwargs)
        self.emd_r = emd_r

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keeps the scores of a batch."""
        for sample in data_samples:
            given = sample["gt_score"].double().cpu()
            scores = torch.arange(1, len(given) + 1, dtype=torch.double)
            if "pred_score" in sample:
                # Test-time augmentation averages the distribution alone.
                predicted = sample["pred_score"].double().cpu()
                mean = (predicted @ scores).item()
                emd = earth_movers_distance(
                    predicted[None], given[None], self.emd_r
                ).item()
            else:
                mean, emd = float(sample["pred_mean"]), None
            self.results.append((mean, (given @ scores).item(), emd))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Computes all metrics.

        Args:
            results (list): Predicted mean, given mean and distance of each image.
        """
        predicted, given, emds = zip(*results, strict=True)
        x, y = np.array(predicted), np.array(given)
        metrics = dict.fromkeys(("PLCC", "SRCC", "KRCC"), float("nan"))
        if min(np.ptp(x), np.ptp(y)) > 0:
            metrics["PLCC"] = float(stats.pearsonr(x, y).statistic)
            metrics["SRCC"] = float(stats.spearmanr(x, y).statistic)
            metrics["KRCC"] = float(stats.kendalltau(x, y).statistic)
        metrics["MSE"] = float(np.mean((x - y) ** 2))
        if None not in emds:
            metrics["EMD"] = float(np.mean(emds))
        return metrics
