"""Compile the models of `dimofs.config` into a JSON Schema, for editors and for whoever reads about the configuration.

`python -m workflow.compile_schema` writes it. The workflow itself checks against the models.
"""

from pathlib import Path

import yaml

from dimofs.config import Config

PATH = Path(__file__).resolve().parent / "schemas" / "config.schema.yaml"
HEADER = "# Compiled from dimofs/config.py by workflow/compile_schema.py. Do not edit: a test compares.\n"


def compiled() -> str:
    """Give the text of the schema."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return HEADER + yaml.safe_dump(schema, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    PATH.write_text(compiled(), encoding="utf-8")
