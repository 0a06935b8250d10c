"""The page of a server, in a real browser."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import sync_playwright
from small_classifiers import build_classifier
from test_serving import serving

from conftest import ROOT
from mmresizer.deploy import export_model
from mmresizer.models.utils import normalize_images

WEB = ROOT / "mmresizer" / "deploy" / "web"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm"),
]


@pytest.fixture(scope="module")
def model():
    return build_classifier(output_size=16, output_range=(-3, 3))


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    subprocess.run(["npm", "ci", "--prefix", WEB], check=True, capture_output=True)
    out = tmp_path_factory.mktemp("exported")
    for part in ("resizer", "backbone"):
        export_model(model, out, part, uint8=part == "resizer")
    sample = out / "sample.png"
    Image.fromarray(make_pixels(7)).save(sample)
    with serving(out, "--samples", sample, cwd=out) as (url, _, _):
        yield url


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        camera = [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ]
        with playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", *camera]
        ) as started:
            yield started


@pytest.fixture
def page(browser, url):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    yield page
    # Screenshots to look at.
    if folder := os.environ.get("MMRESIZER_SCREENSHOTS"):
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].split()[0]
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    assert faults == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360  # no sideways scrolling on a phone
    page.close()


def make_pixels(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (50, 37, 3), np.uint8)


def write(folder, seed=0):
    Image.fromarray(make_pixels(seed)).save(folder / f"{seed}.png")
    return folder / f"{seed}.png"


def wait_until(page, expression):
    """Playwright's own waiting evaluates text, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.inner_text("body"))


def take_run(page):
    wait_until(page, "Boolean(window.lastRun)")
    return json.loads(
        page.evaluate(
            "JSON.stringify(window.lastRun, (_, value) => "
            "value instanceof Uint8Array ? [...value] : value)"
        )
    )


def check_run(run, model):
    """The levels and the classes are those of PyTorch, for the pixels of the page."""
    pixels = np.array(run["image"], np.uint8).reshape(run["height"], run["width"], 3)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    with torch.no_grad():
        images = normalize_images(model, images.flip(1))
        model_levels = model.resizer.eight_bit.encode(model.resizer(images))
        values = model.resizer(images)
        scores = model(images).softmax(1)[0]
    levels = torch.tensor(run["levels"]).view(16, 16, 3).permute(2, 0, 1)[None]
    assert (levels - model_levels.int()).abs().max() <= 1
    # Where no level went the other way, the tensor is that of PyTorch.
    differs = levels != model_levels
    assert differs.float().mean() < 0.01
    decoded = model.resizer.eight_bit.decode(levels)
    assert (decoded - values)[~differs].abs().max() < 1e-3
    assert [c["index"] for c in run["small"]] == scores.argsort(
        descending=True
    ).tolist()
    assert run["small"][0]["score"] == pytest.approx(float(scores.max()), abs=1e-2)
    return pixels


def test_a_chosen_file(page, model, tmp_path):
    page.set_input_files("#file", write(tmp_path))
    run = take_run(page)
    pixels = check_run(run, model)
    assert (pixels == make_pixels(0)).all()
    assert [c["index"] for c in run["photo"]] == [c["index"] for c in run["small"]]
    assert "the first class agrees" in page.inner_text("#status")
    assert page.inner_text("#error") == ""
    assert "768 bytes, sent" in page.get_by_role("img", name="Learned").get_attribute(
        "aria-label"
    )


def test_a_dropped_file_and_the_photograph_stays(page, model, tmp_path):
    page.get_by_label("Compare with the photograph").uncheck()
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    content = [*write(tmp_path).read_bytes()]
    transfer = page.evaluate_handle(
        "bytes => { const data = new DataTransfer(); data.items.add(new File("
        "[new Uint8Array(bytes)], 'a.png', {type: 'image/png'})); return data; }",
        content,
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    run = take_run(page)
    check_run(run, model)
    assert run["photo"] is None
    assert not [address for address in sent if "classify_photo" in address]


def test_a_sample_by_keyboard(page, model):
    sample = page.get_by_role("button", name="Sample 1")
    sample.wait_for()
    page.get_by_role("button", name="Choose a file").focus()
    for _ in range(3):  # the camera, the checkbox, the sample
        page.keyboard.press("Tab")
    assert sample.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")
    assert (check_run(take_run(page), model) == make_pixels(7)).all()


def test_the_camera(page, model):
    page.get_by_role("button", name="Use the camera").click()
    wait_until(page, "document.querySelector('video').videoWidth > 0")
    page.locator("#take").click()
    check_run(take_run(page), model)


def test_what_is_no_picture(page, model, tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    page.set_input_files("#file", tmp_path / "a.txt")
    page.get_by_role("alert").filter(has_text="a.txt is not a picture").wait_for()
    page.set_input_files("#file", write(tmp_path, 3))
    check_run(take_run(page), model)
    assert page.inner_text("#error") == ""


def test_dark(browser, url):
    page = browser.new_page(color_scheme="dark")
    page.goto(url)
    colors = page.evaluate(
        "[getComputedStyle(document.body).color, "
        "getComputedStyle(document.documentElement).backgroundColor, "
        "getComputedStyle(document.body).backgroundColor]"
    )
    text, *grounds = (
        [*map(int, c[c.index("(") + 1 : -1].split(",")[:3])] for c in colors
    )
    assert min(text) > 180
    assert min(map(max, grounds)) < 60
    page.close()
