import re

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.config import Config

from mmresizer.apis import ImageResizer, resize_images
from mmresizer.models import InterpolationResizer, LearnedResizer
from mmresizer.models.utils import mount_resizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

NAME = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"
BILINEAR = "bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


@pytest.fixture
def folder(tmp_path):
    """Images of several sizes, one file in a folder below."""
    rng = np.random.default_rng(0)
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name, size in (
        ("a.png", (40, 60)), ("b.png", (96, 96)), ("below/c.png", (40, 60)),
    ):  # fmt: skip
        cv2.imwrite(
            str(tmp_path / "in" / name), rng.integers(0, 256, (*size, 3), np.uint8)
        )
    return tmp_path / "in"


def read(path):
    """As OpenMMLab's pipelines: BGR, channels first."""
    return torch.from_numpy(cv2.imread(str(path))).permute(2, 0, 1)


def test_a_bilinear_resizer_gives_what_torch_does(folder):
    """Normalised, resized and brought back, in the order of the files."""
    found = resize_images(BILINEAR, str(folder), batch_size=2)
    files = ["a.png", "b.png", "below/c.png"]
    for image, name in zip(found, files, strict=True):
        expected = F.interpolate(read(folder / name)[None].float(), 24, mode="bilinear")
        torch.testing.assert_close(image, expected[0], rtol=0, atol=1e-3)


def test_a_learned_resizer_gives_what_the_backbone_sees(folder):
    resizer = ImageResizer(NAME, device="cpu")
    model, seen = resizer.model, []
    hook = model.backbone.register_forward_pre_hook(lambda m, x: seen.append(x[0]))
    image = read(folder / "b.png")
    data = model.data_preprocessor({"inputs": image[None]}, False)
    model(data["inputs"])
    hook.remove()
    (found,) = resizer([image])
    normalize = model.data_preprocessor
    rgb = found.flip(0) if normalize.to_rgb else found
    torch.testing.assert_close((rgb - normalize.mean) / normalize.std, seen[0][0])
    (plain,) = resize_images(BILINEAR, image)
    assert (found - plain).abs().mean() > 1


def test_all_kinds_of_images_give_the_same(folder):
    path = folder / "a.png"
    (expected,) = resize_images(NAME, path)
    for images in (
        str(path), [path], str(folder / "a*.png"), cv2.imread(str(path)), read(path),
        read(path)[None], torch.stack([read(path)] * 2),
    ):  # fmt: skip
        found = resize_images(NAME, images)
        for image in found:
            torch.testing.assert_close(image, expected, rtol=0, atol=1e-3)
    assert len(found) == 2


def test_a_model_or_a_config(folder, demo_config, save_weights):
    config = demo_config()
    cfg = Config.fromfile(config)
    model, path = save_weights(
        cfg.model | dict(data_preprocessor=cfg.data_preprocessor)
    )
    image = folder / "a.png"
    (expected,) = resize_images(model, image)
    (found,) = resize_images(str(config), image, checkpoint=str(path))
    assert torch.equal(found, expected)
    (found,) = resize_images(Config.fromfile(config), image, checkpoint=str(path))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_writes_png_files(folder, tmp_path, num_workers):
    out = tmp_path / "out"
    files = resize_images(
        NAME, str(folder), out_dir=str(out), batch_size=2, num_workers=num_workers
    )
    names = ["a.png", "b.png", "below/c.png"]
    assert files == [out / name for name in names]
    assert sorted(p for p in out.rglob("*.png")) == sorted(files)
    for file, image in zip(files, resize_images(NAME, str(folder)), strict=True):
        expected = image.round().clip(0, 255).byte()
        assert torch.equal(read(file), expected)


def test_patterns_keep_folders_apart(folder, tmp_path):
    (folder / "below" / "a.png").write_bytes((folder / "a.png").read_bytes())
    pattern = str(folder / "**" / "a.png")
    files = resize_images(NAME, pattern, out_dir=str(tmp_path / "out"))
    assert files == [tmp_path / "out" / "a.png", tmp_path / "out" / "below" / "a.png"]


def test_files_that_differ_in_their_suffix(folder, tmp_path):
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((40, 60, 3), np.uint8))
    files = resize_images(BILINEAR, folder, out_dir=tmp_path / "out")
    names = ["a.png", "a.png.png", "b.png", "below/c.png"]
    assert files == [tmp_path / "out" / name for name in names]


def test_unreadable_files(folder, tmp_path, run_tool):
    (folder / "0.jpg").write_bytes(b"no image")
    whole = (folder / "b.png").read_bytes()
    (folder / "z.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot load the image '.*0\.jpg'"):
        resize_images(NAME, str(folder))
    status, output = run_tool(
        "resize_images.py", NAME, folder, "--out", tmp_path / "out", "--workers", 2
    )
    assert status == 1
    assert f"3 images in {tmp_path / 'out'}" in output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert ["0.jpg" in errors[0], "z.png" in errors[1]] == [True, True]
    assert len(list((tmp_path / "out").rglob("*.*"))) == 3


def test_images_of_all_kinds(tmp_path):
    """Grey, transparent, of 16 bits, rotated by EXIF: 8 bits in three channels."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (32, 48, 3), np.uint8)
    grey = colour[..., 0]
    plain = {
        "colour.png": colour,
        "grey.png": grey,
        "alpha.png": np.dstack([colour, grey]),
        "deep.png": colour.astype(np.uint16) * 257,
        "deep_grey.png": grey.astype(np.uint16) * 257,
    }
    for name, pixels in plain.items():
        cv2.imwrite(str(tmp_path / name), pixels)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    turned = PIL.Image.fromarray(np.rot90(colour[..., ::-1]))
    turned.save(tmp_path / "turned.png", exif=exif)
    for name in [*plain, "turned.png"]:
        (found,) = resize_images(BILINEAR, tmp_path / name)
        source = np.dstack([grey] * 3) if "grey" in name else colour
        expected = F.interpolate(
            torch.from_numpy(source).permute(2, 0, 1)[None].float(), 24, mode="bilinear"
        )
        torch.testing.assert_close(found, expected[0], rtol=0, atol=1.0, msg=name)
    cv2.imwrite(str(tmp_path / "float.tif"), np.ones((8, 8), np.float32))
    with pytest.raises(InputError, match="pixels of mode 'F'"):
        resize_images(BILINEAR, tmp_path / "float.tif")


def test_a_model_of_one_channel_gets_grey_images(tmp_path):
    """Files, arrays and tensors; the values are those of OpenCV's grey image."""
    resizer = LearnedResizer(output_size=24, in_channels=1, zero_init=True)
    colour = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    path = tmp_path / "colour.png"
    cv2.imwrite(str(path), colour)
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    tensor = torch.from_numpy(grey)[None]
    expected = F.interpolate(tensor[None].float(), 24, mode="bilinear")[0]
    for image in (path, grey, grey[..., None], tensor, tensor[None]):
        (found,) = resize_images(resizer, image)
        torch.testing.assert_close(found, expected, rtol=0, atol=1.0)
    (file,) = resize_images(resizer, path, out_dir=tmp_path / "out")
    written = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert np.abs(written - expected[0].numpy()).max() <= 1.5
    with pytest.raises(InputError, match="in_channels=1, but got images of 3"):
        resize_images(resizer, colour)


def test_models_without_a_data_preprocessor(folder):
    """A resizer alone, or a foreign model that carries one, gets the pixels."""
    resizer = InterpolationResizer(output_size=24)
    carrier = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1))
    mount_resizer(carrier, InterpolationResizer(output_size=24))
    image = read(folder / "a.png")
    expected = F.interpolate(image[None].float(), 24, mode="bilinear")[0]
    for model in (resizer, carrier):
        (found,) = resize_images(model, image)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_an_image_that_is_too_small(folder, tmp_path):
    cv2.imwrite(str(folder / "0.png"), np.zeros((2, 2, 3), np.uint8))
    model = InterpolationResizer(scale_factor=0.25)
    sentence = re.escape(f"cannot resize the image '{folder / '0.png'}': ")
    with pytest.raises(InputError, match=f"{sentence}.*2x2"):
        resize_images(model, folder)
    errors = []
    files = resize_images(
        model, folder, out_dir=tmp_path / "out", on_error=lambda *e: errors.append(e)
    )
    assert len(files) == 3
    assert [name for name, _ in errors] == [str(folder / "0.png")]


def test_results_are_not_inputs(folder):
    """A second call into a folder below the first one's."""
    (folder / "sub.png").mkdir()
    for _ in range(2):
        files = resize_images(BILINEAR, folder, out_dir=folder / "out")
        assert len(files) == 3
    inside = [folder / "a.png", folder / "out" / "below" / "c.png"]
    before = inside[1].read_bytes()
    with pytest.raises(InputError, match="would be overwritten; take another folder"):
        resize_images(BILINEAR, [*inside, f"{folder}/**/c.png"], out_dir=folder / "out")
    assert inside[1].read_bytes() == before


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("nowhere.png", r"cannot load the image 'nowhere\.png'"),
        ("nowhere*.png", r"no file matches the pattern 'nowhere\*\.png'"),
        ([], "images must name at least one image"),
        (5, "images must be files, folders, .* but is 5"),
        ([5], "an image must be a file, a folder, .* but is 5"),
        ("", "an image must be a file, a folder, .* but is ''"),
        (
            np.zeros((8, 8, 2), np.uint8),
            r"\(H, W, 3\) or \(H, W\) .* is of shape \(8, 8, 2\)",
        ),
        (np.zeros((8, 8, 3)), "uint8, but is of shape .* float64"),
        (torch.zeros(2, 8, 8), r"C = 1 or 3, but is of \(2, 8, 8\)"),
        (torch.zeros(3, 8, 8) * 1j, "must hold real numbers, but is of .*complex64"),
    ],
)
def test_refuses_images(images, message):
    with pytest.raises(InputError, match=message):
        resize_images(BILINEAR, images)


def test_refuses_arguments(folder, tmp_path, demo_config):
    image = str(folder / "a.png")
    for kwargs, message in (
        (dict(model="resnet"), "the zoo has no model 'resnet'"),
        (dict(model=str(demo_config())), "needs a checkpoint"),
        (dict(model="resizerx2_resnet50_8xb32_in1k_224px"), "needs a checkpoint"),
        (dict(batch_size=0), "batch_size must be an int of 1 or more, got 0"),
        (dict(device="abacus"), "the device 'abacus' is not there"),
        (dict(device=1.5), "the device 1.5 is not there"),
        (dict(model="mmresizer::nothing.py"), "cannot read the config 'mmresizer::no"),
        (dict(checkpoint=""), "the checkpoint '' does not exist"),
        (dict(model=ImageResizer(BILINEAR), device="cpu"), "are those of the ImageR"),
        (dict(out_dir=image), "the output folder .* is a file"),
        (dict(out_dir=5), "the output folder must be a path, but is 5"),
        (dict(out_dir=""), "the output folder must be a path, but is ''"),
        (dict(out_dir="/proc/1/x"), r"cannot write to '/proc/1/x' \("),
        (dict(out_dir=f"{image}/x"), r"cannot write to '.*a\.png/x' \(Not a dir"),
        (dict(out_dir=str(folder)), "would be overwritten; take another folder"),
    ):
        with pytest.raises(InputError, match=message):
            resize_images(**(dict(model=BILINEAR, images=image) | kwargs))
    with pytest.raises(InputError, match="would both be written to"):
        resize_images(BILINEAR, [image, image], out_dir=str(tmp_path / "out"))
    plain = MODELS.build(dict(type="mmpretrain.ResNet", depth=18))
    with pytest.raises(InputError, match="must have one resizer, but it has 0"):
        ImageResizer(plain)


@pytest.mark.gpu
def test_on_a_gpu(folder):
    for found, expected in zip(
        resize_images(NAME, folder, device="cuda"),
        resize_images(NAME, folder, device="cpu"),
        strict=True,
    ):
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=0.5)
