"""The machine: its name and its devices."""

import platform
import re
from pathlib import Path

import torch

from .errors import InputError, one_line


def describe_machine(device: str) -> str:
    """Returns the name of the processor or of the GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.processor()


def check_device(device: str | None) -> torch.device:
    """Returns a device; by default "cuda" where there is one, else "cpu".

    Raises:
        InputError: If the device is not there.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as e:
        raise InputError(f"the device {device!r} is not there ({one_line(e)})") from e
