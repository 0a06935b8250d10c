"""A server that classifies small images which devices have resized."""

import asyncio
import os
import socket
import warnings
import webbrowser
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import numpy as np
import requests
from async_batcher.batcher import AsyncBatcher
from async_batcher.exceptions import QueueFullException
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from mmengine.config import Config
from mmpretrain.models import BaseClassifier
from PIL import Image
from prometheus_client import CollectorRegistry, Histogram
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel, Field
from requests.adapters import HTTPAdapter
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from urllib3 import Retry

from mmresizer.hub.loading import load_named_model
from mmresizer.models import InterpolationResizer
from mmresizer.models.resizers import EightBit
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError
from mmresizer.utils.limits import Limits
from mmresizer.utils.processes import end_with_parent
from mmresizer_client import Codec, ExportedModel, Pipeline, parse_codec

from .calibration import find_pixel_range
from .export import export_model

WEB = Path(__file__).parent / "web"
# onnxruntime-web, which npm installs.
RUNTIME = WEB / "node_modules" / "onnxruntime-web" / "dist"
PHOTO_FORMATS = ("JPEG", "PNG", "WEBP")
# What a codec may add to the bytes of raw pixels.
_OVERHEAD = 4096
_CONNECTIONS = 4096
_MAX_PORT = 65535
_DEFAULT_LIMITS = Limits()
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
    "img-src 'self' blob: data:"
)


class _Arguments(BaseModel, extra="forbid"):
    """What stands behind the question mark of a request; nothing else may."""

    top: int = Field(5, ge=1)


class _SmallArguments(_Arguments):
    split_id: str
    codec: str


class Split:
    """The two exported parts of a model.

    Args:
        folder (str | os.PathLike): Where ``tools/deploy/export.py`` wrote a resizer
            (``--part resizer --uint8``) and its backbone, to ONNX.

    Attributes:
        resizer (ExportedModel): What devices run.
        backbone (ExportedModel): What the server runs.
        pipeline (Pipeline): What prepares a photograph for the resizer.

    Raises:
        InputError: If they are not there, do not belong together, or are of no
            classifier.
    """

    def __init__(self, folder: str | os.PathLike):
        files = {
            part: sorted(Path(folder).glob(f"*{ending}.onnx"))
            for part, ending in (
                ("resizer", "_resizer_uint8"),
                ("backbone", "_backbone"),
            )
        }
        for part, found in files.items():
            if len(found) != 1:
                raise InputError(
                    f"the folder {str(folder)!r} must have one file of the {part} "
                    "(tools/deploy/export.py --part resizer --uint8, and --part "
                    f"backbone), but has {len(found)}"
                )
        self.resizer, self.backbone = (
            ExportedModel(file, part) for part, (file,) in files.items()
        )
        self.resizer.check_split()
        self.backbone.check_split()
        if self.resizer.split_id != self.backbone.split_id:
            raise InputError(
                f"the resizer and the backbone in {str(folder)!r} are of different "
                "models, or of different settings"
            )
        self.shape = self.backbone.output_shape
        self.pipeline = Pipeline(self.resizer.card["test_pipeline"])
        outputs = self.backbone.card["output"]["shape"][1:]
        if "channels" in self.backbone.card["output"]:
            raise InputError(
                f"a server needs a classifier, but the model in {str(folder)!r} is a "
                "detector"
            )
        # A checkpoint may lack the names.
        names = self.backbone.card["classes"] or [str(n) for n in range(outputs[0])]
        if len(names) < 2 or outputs != [len(names)]:
            raise InputError(
                "a server needs a classifier that gives one value for each class, but "
                f"the one in {str(folder)!r} has {len(names)} classes and gives "
                f"{outputs} values"
            )
        self.classes: list[str] = names

    def read_photo(self, content: bytes, limits: Limits) -> np.ndarray:
        """Returns the levels of a photograph, (H, W, C)."""
        image = self.pipeline(content, PHOTO_FORMATS, limits.photo_pixels)
        return self.resizer.resize(image)

    def rank(self, logits: np.ndarray, top: int) -> dict[str, Any]:
        """Returns the answer for an image."""
        powers = np.exp(logits - logits.max())
        scores = powers / powers.sum()
        best = np.argsort(-scores, kind="stable")[:top]
        return {
            "classes": [
                {"index": int(i), "name": self.classes[i], "score": float(scores[i])}
                for i in best
            ]
        }


class _Backbone(AsyncBatcher[np.ndarray, np.ndarray]):
    """Runs the backbone on images that wait together."""

    def __init__(self, backbone: ExportedModel, limits: Limits, sizes: Histogram):
        # One batch at a time: a batch has all cores, and others gather meanwhile.
        super().__init__(
            max_batch_size=limits.batch_size,
            max_queue_time=0,
            max_queue_size=limits.waiting,
            executor=ThreadPoolExecutor(1),
        )
        self._backbone = backbone
        self._sizes = sizes

    def process_batch(self, batch: list[np.ndarray]) -> list[np.ndarray]:  # type: ignore[override]
        self._sizes.observe(len(batch))
        return [*self._backbone.run(np.stack(batch).transpose(0, 3, 1, 2))]


def create_app(
    folder: str | os.PathLike,
    limits: Limits = _DEFAULT_LIMITS,
    samples: Sequence[str | os.PathLike] = (),
) -> FastAPI:
    """Makes a server for the exported parts of a model.

    ``POST /classify`` takes a small image, ``POST /classify_photo`` a photograph. Each
    fault of a request is answered by a status of HTTP and ``{"error": SENTENCE}``.

    Args:
        folder (str | os.PathLike): See :class:`Split`.
        limits (Limits): What is accepted.
        samples (Sequence[str | os.PathLike]): Photographs for the page.

    Raises:
        InputError: If the folder does not have a model that can be served.
    """
    split = Split(folder)
    registry = CollectorRegistry()
    sizes = Histogram(
        "mmresizer_batch_size",
        "Images that the backbone got at once.",
        buckets=[2**n for n in range(limits.batch_size.bit_length() + 1)],
        registry=registry,
    )
    backbone = _Backbone(split.backbone, limits, sizes)
    photos = asyncio.Semaphore(os.cpu_count() or 1)  # each takes memory, and a core
    small_bytes = int(np.prod(split.shape)) + _OVERHEAD

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await backbone.stop()

    # Without FastAPI's pages, which load scripts from elsewhere.
    app = FastAPI(title="mmresizer", lifespan=lifespan, docs_url=None, redoc_url=None)
    Instrumentator(registry=registry).instrument(app).expose(app)
    _answer_faults(app)

    async def classify(image: np.ndarray, top: int) -> dict[str, Any]:
        try:
            # A request that ends must not take along those of its batch.
            logits = await asyncio.shield(backbone.process(image))
        except QueueFullException as e:
            raise HTTPException(
                503,
                f"{limits.waiting} requests are waiting; try again",
                {"Retry-After": "1"},
            ) from e
        return split.rank(logits, top)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Says that the server is there."""
        return {"status": "ok", "model": split.backbone.card["name"]}

    @app.get("/model")
    async def model() -> dict[str, Any]:
        """Returns the model card, and what a device has to know."""
        return {
            "split_id": split.resizer.split_id,
            "card": split.resizer.card,
            "classes": split.classes,
            "samples": [f"/samples/{n}" for n in range(len(samples))],
        }

    @app.get("/resizer.onnx")
    async def resizer() -> Response:
        """Returns what devices run."""
        return Response(split.resizer.content, media_type="application/octet-stream")

    @app.post("/classify")
    async def classify_small(
        request: Request, arguments: Annotated[_SmallArguments, Query()]
    ) -> dict[str, Any]:
        """Classifies what the resizer gave: its levels, written by a codec."""
        if arguments.split_id != split.backbone.split_id:
            raise HTTPException(
                409,
                "the small image must come from the resizer "
                f"{split.backbone.split_id}, but comes from "
                f"{arguments.split_id:.100}: load /resizer.onnx",
            )
        reading: Codec = parse_codec(arguments.codec)
        content = await _read_body(request, small_bytes, limits.seconds)
        async with asyncio.timeout(limits.seconds):
            image = await run_in_threadpool(reading.decode, content, split.shape)
            return await classify(image, arguments.top)

    @app.post("/classify_photo")
    async def classify_photo(
        request: Request, arguments: Annotated[_Arguments, Query()]
    ) -> dict[str, Any]:
        """Classifies a photograph, JPEG, PNG or WebP, which is resized here."""
        content = await _read_body(request, limits.photo_bytes, limits.seconds)
        async with asyncio.timeout(limits.seconds):
            async with photos:
                image = await run_in_threadpool(split.read_photo, content, limits)
            return await classify(image, arguments.top)

    @app.get("/samples/{number}")
    async def sample(number: int) -> Response:
        """Returns a photograph to try."""
        if not 0 <= number < len(samples):
            raise HTTPException(404, f"there are {len(samples)} samples")
        return Response(await run_in_threadpool(Path(samples[number]).read_bytes))

    @app.middleware("http")
    async def set_policy(request: Request, call_next: Any) -> Response:
        """The page loads nothing from elsewhere."""
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    if RUNTIME.is_dir():
        app.mount("/runtime", StaticFiles(directory=RUNTIME))
    app.mount("/", StaticFiles(directory=WEB / "page", html=True))
    return app


async def _read_body(request: Request, most: int, seconds: float) -> bytes:
    """Reads a body that is not too long, and not too slow."""
    too_long = HTTPException(413, f"a body may have {most} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long
    except TimeoutError as e:
        raise HTTPException(408, f"a body must arrive in {seconds:g} seconds") from e
    except ClientDisconnect as e:
        raise HTTPException(400, "the request ended before its body") from e
    return bytes(body)


def _answer_faults(app: FastAPI) -> None:
    """Makes each fault one sentence."""

    def answer(status: int, sentence: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(StarletteHTTPException)
    async def of_http(_: Request, e: StarletteHTTPException) -> JSONResponse:
        return answer(e.status_code, e.detail, e.headers)

    @app.exception_handler(RequestValidationError)
    async def of_arguments(_: Request, e: RequestValidationError) -> JSONResponse:
        faults = (f"{fault['loc'][-1]}: {fault['msg']}" for fault in e.errors())
        return answer(
            400, f"the arguments are not those accepted ({'; '.join(faults)})"
        )

    @app.exception_handler(InputError)
    async def of_input(_: Request, e: InputError) -> JSONResponse:
        return answer(400, str(e))

    @app.exception_handler(TimeoutError)
    async def of_time(_: Request, e: TimeoutError) -> JSONResponse:
        sentence = "no answer in time: the server is too busy, or the photograph large"
        return answer(503, sentence, {"Retry-After": "1"})

    @app.exception_handler(Exception)
    async def of_server(_: Request, e: Exception) -> JSONResponse:
        return answer(500, "the server has a fault, which is in its log")


def export_split(
    model: str | os.PathLike | Config,
    out_dir: str | os.PathLike,
    checkpoint: str | os.PathLike | None = None,
) -> None:
    """Exports the two parts of a model that :class:`Split` takes.

    Args:
        model (str | os.PathLike | Config): Name of a model of the zoo, or a config. A
            learned resizer must have an ``output_range``; what interpolation gives is
            rounded to pixels.
        out_dir (str | os.PathLike): Folder for the files.
        checkpoint (str | os.PathLike, optional): Weights. A config needs them.

    Raises:
        InputError: See :func:`export_model`.
    """
    loaded = load_named_model(model, checkpoint)
    if not isinstance(loaded, BaseClassifier):
        raise InputError(
            f"a server needs a classifier, but {str(model)!r} is a "
            f"{type(loaded).__name__}"
        )
    resizer = get_resizer(loaded)
    if isinstance(resizer, InterpolationResizer) and resizer.eight_bit is None:
        resizer.eight_bit = EightBit(find_pixel_range(loaded))
    if resizer.eight_bit is None:
        raise InputError(
            f"the resizer of {str(model)!r} has no output_range, so its output cannot "
            "be sent as bytes; tools/deploy/calibrate.py finds one"
        )
    for part in ("resizer", "backbone"):
        export_model(loaded, out_dir, part, uint8=part == "resizer")


def serve(
    folder: str | os.PathLike,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits = _DEFAULT_LIMITS,
    samples: Sequence[str | os.PathLike] = (),
    opens: bool = False,
) -> None:
    """Serves the exported parts of a model until it is interrupted.

    Args:
        folder (str | os.PathLike): See :class:`Split`.
        host (str): Address to listen on. Defaults to this machine alone.
        port (int): Defaults to 8000.
        limits (Limits): What is accepted.
        samples (Sequence[str | os.PathLike]): Photographs for the page.
        opens (bool): Whether to open the page in a browser. Defaults to False.

    Raises:
        InputError: If the folder does not have a model that can be served, or the
            address is taken.
    """
    if not 1 <= port <= _MAX_PORT:
        raise InputError(f"port must be from 1 to {_MAX_PORT}, but got {port}")
    Split(folder)  # before a process starts that could not tell
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise InputError(
                f"cannot listen on {host}:{port} ({e.strerror}); choose another --host "
                "or --port"
            ) from e
    server = Granian(
        "mmresizer",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        # A batch needs one process: a second one would share its cores.
        workers=1,
        respawn_failed_workers=True,
        # Waiting requests and slow ones; the rest is refused by `limits`.
        backpressure=_CONNECTIONS,
        backlog=_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=round(limits.seconds * 1000)),
        log_enabled=True,
        workers_kill_timeout=round(limits.seconds) + 1,
    )
    url = f"http://{host}:{port}"
    print(f"page: {url}", flush=True)
    if not RUNTIME.is_dir():
        print(f"for the page, first: npm ci --prefix {WEB}", flush=True)
    if opens:
        Thread(target=_open_page, args=(url,), daemon=True).start()
    server.serve(target_loader=partial(_load_app, folder, limits, samples))


def _open_page(url: str) -> None:
    """Opens the page as soon as the server answers."""
    answers = requests.Session()
    answers.mount("http://", HTTPAdapter(max_retries=Retry(10, backoff_factor=0.1)))
    with suppress(requests.RequestException):
        answers.get(f"{url}/health", timeout=10)
        webbrowser.open(url)


def _load_app(
    folder: str | os.PathLike,
    limits: Limits,
    samples: Sequence[str | os.PathLike],
    target: str,
) -> FastAPI:
    Thread(target=end_with_parent, daemon=True).start()
    # Pixels have a limit of ours.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return create_app(folder, limits, samples)
