"""`retort`, whose model waits at the texts of one word until a pipe of that name is opened and closed: `$HOLD_AT`.

The word's token is `$HOLD_ID`.  Whoever opens the pipe to write waits, in turn, for the model to come to such a text.
"""

import os
from pathlib import Path
from typing import Any

from retort import serve
from retort.cli import main
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch

PIPE, WORD = Path(os.environ["HOLD_AT"]), int(os.environ["HOLD_ID"])

load = serve._Server.load


def load_held(server: Any) -> Any:
    """Called in the worker."""
    from retort.engine import loading

    open_session = loading.open_session

    def open_held(*args: Any) -> Any:
        session = open_session(*args)
        run = session.run

        def run_held(batch: Batch, stream: int | None = None) -> Floats:
            if (batch.input_ids == WORD).any():
                PIPE.read_text()
            return run(batch, stream)

        session.run = run_held  # type: ignore[method-assign]
        return session

    loading.open_session = open_held
    return load(server)


serve._Server.load = load_held  # type: ignore[method-assign]
main()
