"""MMPretrain's folds, for datasets that make whole batches."""

from collections.abc import Callable

from mmpretrain.datasets import KFoldDataset as _KFoldDataset

from mmresizer.registry import DATASETS


@DATASETS.register_module()
class KFoldDataset(_KFoldDataset):
    """MMPretrain's ``KFoldDataset``, which also serves :class:`InMemoryImages`.

    The dataset inside makes whole batches if it can. It has the ``test_mode`` of the
    fold, so that the part for validation is not augmented.

    Args:
        dataset (dict): The dataset, see MMPretrain's class.
        **kwargs: ``fold``, ``num_splits``, ``test_mode`` and ``seed``, see there.
    """

    def full_init(self) -> None:
        """Reads the dataset and keeps the part."""
        super().full_init()
        self.dataset.test_mode = self.test_mode

    @property
    def __getitems__(self) -> Callable | None:
        """How torch's loader asks for a batch; None if the dataset has no such way."""
        return getattr(self.dataset, "__getitems__", None)
