"""Python imports this at start where the folder is on PYTHONPATH: what a `dimofs` verb reads and loads goes on record.

The record is a JSON file in $DIMOFS_SPY: the command, the keys of the configuration that were read as
"<class>.<field>" ("<class>.*" for a dump of all), and the modules of the package that were loaded.
"""

import atexit
import json
import os
import sys
import uuid
from pathlib import Path


def _watch(folder: Path) -> None:
    from dimofs.config import Section

    seen: set[str] = set()

    def spy(section: Section, name: str) -> object:
        if name in type(section).model_fields:
            seen.add(f"{type(section).__name__}.{name}")
        elif name.startswith("model_dump"):
            seen.add(f"{type(section).__name__}.*")
        return object.__getattribute__(section, name)

    def write() -> None:
        modules = sorted(name for name in sys.modules if name.partition(".")[0] == "dimofs")
        record = {"command": sys.argv[1:], "keys": sorted(seen), "modules": modules}
        (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(record))

    Section.__getattribute__ = spy  # type: ignore[method-assign,assignment]
    atexit.register(write)


if "DIMOFS_SPY" in os.environ and any(Path(part).name == "dimofs" for part in sys.orig_argv[1:2]):
    _watch(Path(os.environ["DIMOFS_SPY"]))
