"""Python imports this at start where the folder is on PYTHONPATH: what a `dimofs` verb reads and loads goes on record.

The record is a JSON file in $DIMOFS_SPY: the command, the keys of the configuration that were read as
"<class>.<field>" ("<class>.*" for a dump of all), and the modules of the package that were loaded. What the checks of
the configuration itself read while it is loaded decides nothing about a result and is left out.
"""

import atexit
import json
import os
import sys
import uuid
from pathlib import Path


def _watch(folder: Path) -> None:
    import dimofs.config
    from dimofs.config import Config, Section, check_config

    seen: set[str] = set()
    loading = False

    def check_unseen(raw: object, path: Path) -> Config:
        nonlocal loading
        loading = True
        try:
            return check_config(raw, path)
        finally:
            loading = False

    def spy(section: Section, name: str) -> object:
        if loading:
            pass
        elif name in type(section).model_fields:
            seen.add(f"{type(section).__name__}.{name}")
        elif name.startswith("model_dump"):
            seen.add(f"{type(section).__name__}.*")
        return object.__getattribute__(section, name)

    def write() -> None:
        modules = sorted(name for name in sys.modules if name.partition(".")[0] == "dimofs")
        record = {"command": sys.argv[1:], "keys": sorted(seen), "modules": modules}
        (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(record))

    dimofs.config.check_config = check_unseen
    Section.__getattribute__ = spy  # type: ignore[method-assign,assignment]
    atexit.register(write)


if "DIMOFS_SPY" in os.environ and any(Path(part).name == "dimofs" for part in sys.orig_argv[1:2]):
    _watch(Path(os.environ["DIMOFS_SPY"]))
