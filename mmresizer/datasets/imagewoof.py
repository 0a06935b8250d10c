"""Imagewoof, ten breeds of dogs of ImageNet."""

from mmresizer.registry import DATASETS

from .imagenette import Imagenette


@DATASETS.register_module()
class Imagewoof(Imagenette):
    """`Imagewoof <https://github.com/fastai/imagenette#imagewoof>`_, of any size.

    Layout and arguments are those of :class:`Imagenette`.
    """

    WNIDS = (
        "n02086240",
        "n02087394",
        "n02088364",
        "n02089973",
        "n02093754",
        "n02096294",
        "n02099601",
        "n02105641",
        "n02111889",
        "n02115641",
    )
    METAINFO = {  # noqa: RUF012
        "classes": (
            "Shih-Tzu",
            "Rhodesian ridgeback",
            "beagle",
            "English foxhound",
            "Border terrier",
            "Australian terrier",
            "golden retriever",
            "Old English sheepdog",
            "Samoyed",
            "dingo",
        )
    }
