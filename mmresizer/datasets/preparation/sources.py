"""Where the datasets come from: addresses, published sizes and digests.

Sizes and SHA-256 digests are from TensorFlow Datasets, for Imagewoof from fastai and
FastAI.jl, for Flowers17 from projects that download it. The MD5 digest is from
DeepMind's dm_nevis. We have fetched none of the archives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmresizer.datasets.imagenette import Imagenette
from mmresizer.datasets.imagewoof import Imagewoof

from . import (
    ava,
    cats_dogs,
    cub,
    cub_100,
    deep_pcb,
    flowers,
    imagenet,
    imagenette,
    magnetic_tiles,
    neu,
    playing_cards,
    rsscn7,
    scene_15,
)


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        url (str): Its address; the last part is its name.
        digest (str, optional): "sha256:HEX" or "md5:HEX", where one is published.
        size (int, optional): In bytes, where it is published.
        folder (str): The folder below the destination for the file or, if it is an
            archive, for its files.
    """

    url: str
    digest: str | None = None
    size: int | None = None
    folder: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A dataset.

    Attributes:
        folder (str): Its folder below the destination.
        prepare (Callable): Checks the folder, writes what the dataset classes need and
            returns a report of one line.
        archives (tuple[Archive, ...]): What to download.
        parent (str, optional): Name of the dataset that it is a part of.
        build (Callable, optional): Makes the folder from that of the parent.
        hint (str): Where a user gets it, if it cannot be downloaded.
    """

    folder: str
    prepare: Callable[[Path], str]
    archives: tuple[Archive, ...] = ()
    parent: str | None = None
    build: Callable[[Path, Path], None] | None = None
    hint: str = ""


def _imagenette(dataset: type[Imagenette], name: str, size: int, sha256: str) -> Source:
    url = f"https://s3.amazonaws.com/fast-ai-imageclas/{name}.tgz"
    prepare = partial(imagenette.prepare, dataset)
    return Source(name, prepare, (Archive(url, f"sha256:{sha256}", size),))


_MICROSOFT = "https://download.microsoft.com/download/3/E/1"
_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data/flowers"

SOURCES = {
    "imagenette": _imagenette(
        Imagenette,
        "imagenette2",
        1_557_161_267,
        "6cbfac238434d89fe99e651496f0812ebc7a10fa62bd42d6874042bf01de4efd",
    ),
    "imagenette-320": _imagenette(
        Imagenette,
        "imagenette2-320",
        341_663_724,
        "569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
    ),
    "imagenette-160": _imagenette(
        Imagenette,
        "imagenette2-160",
        99_003_388,
        "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5",
    ),
    "imagewoof": _imagenette(
        Imagewoof,
        "imagewoof2",
        1_343_715_595,
        "de3f58c4ea3e042cf3f8365fbc699288cfe1d8c151059040d181c221bd5a55b8",
    ),
    "imagewoof-320": _imagenette(
        Imagewoof,
        "imagewoof2-320",
        328_387_740,
        "7db6120fdb9ae079e26346f89e7b00d7f184f8137791609b97fd0405d3f92305",
    ),
    "imagewoof-160": _imagenette(
        Imagewoof,
        "imagewoof2-160",
        92_612_825,
        "b5ffa16037e07f60882434f55b7814a3d44483f2a484129f251604bc0d0f8172",
    ),
    "cats-dogs": Source(
        "PetImages",
        cats_dogs.prepare,
        (
            Archive(
                f"{_MICROSOFT}/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
                "kagglecatsanddogs_5340.zip",
                "sha256:"
                "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
                824_887_076,
            ),
        ),
    ),
    "cats-dogs-subset": Source(
        "cats_dogs",
        cats_dogs.prepare_subset,
        parent="cats-dogs",
        build=cats_dogs.build_subset,
    ),
    "cub": Source(
        "CUB_200_2011",
        cub.prepare,
        (
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "sha256:"
                "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
                1_150_585_339,
            ),
        ),
    ),
    "flowers17": Source(
        "flowers17",
        flowers.prepare_17,
        (
            Archive(
                f"{_OXFORD}/17/17flowers.tgz",
                "sha256:"
                "fe38a60f8b4a95e657551247d3e7d799a3fafcdbc595be504b12839967823d70",
                folder="flowers17",
            ),
            Archive(
                f"{_OXFORD}/17/datasplits.mat",
                "md5:4828cddfd0d803c5abbdebcb1e148a1e",
                folder="flowers17",
            ),
        ),
    ),
    "flowers12": Source(
        "flowers12",
        flowers.prepare_12,
        parent="flowers17",
        build=flowers.build_12,
    ),
    "flowers102": Source(
        "flowers102",
        flowers.prepare_102,
        (
            Archive(
                f"{_OXFORD}/102/102flowers.tgz",
                "sha256:"
                "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
                344_862_509,
                "flowers102",
            ),
            Archive(
                f"{_OXFORD}/102/imagelabels.mat",
                "sha256:"
                "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
                502,
                "flowers102",
            ),
            Archive(
                f"{_OXFORD}/102/setid.mat",
                "sha256:"
                "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
                14_989,
                "flowers102",
            ),
        ),
    ),
    "imagenet": Source(
        "imagenet",
        imagenet.prepare,
        hint="ImageNet-1k is handed out at image-net.org after registration; put it "
        "there as train/WNID/*.JPEG and val/WNID/*.JPEG",
    ),
    "ava": Source(
        "ava",
        ava.prepare,
        hint="AVA's authors publish no archive; put the ratings there as AVA.txt and "
        "the images as images/ID.jpg (github.com/imfing/ava_downloader lists copies)",
    ),
    "cub-100": Source(
        "cub_100",
        cub_100.prepare,
        hint="put there the folder ex03/task2/bird_dataset of "
        "github.com/serizba/vision at commit 16a8a47",
    ),
    "deep-pcb": Source(
        "deep_pcb",
        deep_pcb.prepare,
        hint="put there the folder PCBData of github.com/tangsanli5201/DeepPCB at "
        "commit 08e98c4",
    ),
    "deep-pcb-patches": Source(
        "deep_pcb_patches",
        deep_pcb.prepare_patches,
        parent="deep-pcb",
        build=deep_pcb.build_patches,
    ),
    "magnetic-tiles-source": Source(
        "magnetic_tiles_source",
        magnetic_tiles.prepare_source,
        hint="put there the six folders of github.com/abin24/"
        "Magnetic-tile-defect-datasets. at commit cc4eb53",
    ),
    "magnetic-tiles": Source(
        "magnetic_tiles",
        magnetic_tiles.prepare,
        parent="magnetic-tiles-source",
        build=magnetic_tiles.build,
    ),
    "neu-steel": Source(
        "neu_steel",
        neu.prepare,
        hint="put there the folder IMAGES of github.com/siddhartamukherjee/"
        "NEU-DET-Steel-Surface-Defect-Detection at commit 351bee2",
    ),
    "playing-cards": Source(
        "playing_cards",
        playing_cards.prepare,
        hint="put there the folder dataset of github.com/hiroonwijekoon/"
        "pytorch-cnn-playing-cards-classifier at commit fd36c16",
    ),
    "rsscn7": Source(
        "rsscn7",
        rsscn7.prepare,
        hint="put there the seven folders of github.com/palewithout/RSSCN7 at commit "
        "6d77849, in a folder images",
    ),
    "scene-15": Source(
        "scene_15",
        scene_15.prepare,
        hint="put there the folder data of github.com/jaaumeadrover/"
        "Landscape-Image-Classification at commit 7985b6b",
    ),
}
