"""What the process of one training run does."""

import json
import os
import time
from datetime import date
from pathlib import Path

import torch

from mmresizer.apis.training import train_model
from mmresizer.config.loading import load_config
from mmresizer.engine import DivergedError
from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line
from mmresizer.utils.machine import describe_machine

from .runs import RECORD, WEIGHTS, end_run, weights_digest


def train_run(folder: Path, fingerprint: str, threads: int | None = None) -> str:
    """Trains the config in a folder, and notes there how it ended.

    Args:
        folder (Path): Made ready by :meth:`Run.prepare`.
        fingerprint (str): Of the run.
        threads (int, optional): CPU threads; by default torch's choice.

    Returns:
        str: The status.
    """
    start = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    cfg = load_config(str(folder / "config.py"))
    try:
        origin = weights_digest(cfg.load_from) if _is_file(cfg.get("load_from")) else ""
        train_model(cfg)
        saved = folder / f"epoch_{cfg.train_cfg.max_epochs}.pth"
        saved.replace(folder / WEIGHTS)
        (folder / "last_checkpoint").unlink(missing_ok=True)
        record = json.loads((folder / RECORD).read_text())
        device = "cuda" if torch.cuda.is_available() else "cpu"
        record.update(
            origin=origin,
            weights=weights_digest(str(folder / WEIGHTS)),
            seconds=round(time.monotonic() - start, 1),
            machine=(
                f"{describe_machine(device)} ({torch.get_num_threads()} CPU threads, "
                f"torch {torch.__version__})"
            ),
            date=date.today().isoformat(),
        )
        end_run(folder, fingerprint, "finished", **record)
        return "finished"
    except DivergedError as e:
        end_run(folder, fingerprint, "diverged", str(e))
        return "diverged"
    except Exception as e:  # whatever it is, the other runs go on
        reason = one_line(e)
        if not isinstance(e, InputError):
            reason = f"{type(e).__name__}: {reason}"
        end_run(folder, fingerprint, "failed", reason)
        raise


def _is_file(path: str | None) -> bool:
    return path is not None and os.path.isfile(path)
