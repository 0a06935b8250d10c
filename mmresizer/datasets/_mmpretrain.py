"""MMPretrain's datasets, without the line that one of them prints to be missing."""

import io
from contextlib import redirect_stdout

with redirect_stdout(io.StringIO()):
    import mmpretrain.datasets  # noqa: F401
