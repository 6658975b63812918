"""The hash of a verb's code: blind to comments, alert to logic, complete."""

from pathlib import Path

import pytest

from workflow import fingerprint as module

CLI = '''
"""Doc."""
import sys
from typing import TYPE_CHECKING

from dimofs.config import load_config

if TYPE_CHECKING:
    from dimofs.typing_only import Thing

SCALE = 2


def first(name: str) -> None:
    """Doc."""
    from dimofs.task import run

    run(_read(name) * SCALE)  # comment


def second() -> None:
    from dimofs.other import go

    go()


def _read(name):
    from dimofs.sub import reader

    return reader(load_config(name))
'''
FILES = {
    "dimofs/__init__.py": "",
    "dimofs/cli.py": CLI,
    "dimofs/config.py": "def load_config(name):\n    return name\n",
    "dimofs/task.py": 'def run(value):\n    """Doc."""\n    from dimofs import lazy\n    return lazy\n',
    "dimofs/lazy.py": "X = 1\n",
    "dimofs/other.py": "def go():\n    pass\n",
    "dimofs/typing_only.py": "class Thing:\n    pass\n",
    "dimofs/sub/__init__.py": "from dimofs.sub.inner import reader\n",
    "dimofs/sub/inner.py": "def reader(value):\n    return value\n",
    "dimofs/sub/reference.csv": "a,b\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def fingerprint(verb: str) -> dict[str, str]:
    for cached in (module._cli, module._code, module._file):
        cached.cache_clear()
    return module.fingerprint(verb)


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    for cached in (module._cli, module._code, module._file):
        cached.cache_clear()


def edit(tree: Path, name: str, old: str, new: str) -> None:
    text = (tree / name).read_text(encoding="utf-8")
    assert old in text
    (tree / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_it_follows_every_import_of_the_verb_and_no_other(tree: Path) -> None:
    assert set(fingerprint("first")) == {
        "dimofs/__init__.py", "dimofs/cli.py", "dimofs/task.py", "dimofs/lazy.py",
        "dimofs/sub/__init__.py", "dimofs/sub/inner.py", "dimofs/sub/reference.csv",
    }  # fmt: skip
    assert set(fingerprint("second")) == {"dimofs/__init__.py", "dimofs/cli.py", "dimofs/other.py"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("dimofs/cli.py", "# comment", "# another"),
        ("dimofs/cli.py", '"""Doc."""\n    from', '"""Other."""\n\n    from'),
        ("dimofs/cli.py", "name: str", "name: object"),
        ("dimofs/cli.py", "    go()", "    go(1)"),
        ("dimofs/task.py", '"""Doc."""', '"""Longer, and\n    over two lines."""'),
        ("dimofs/task.py", "def run(value):", "\n\ndef run(value):  # why"),
        ("dimofs/typing_only.py", "pass", "x = 1"),
        ("dimofs/config.py", "return name", "return [name]"),
    ],
)
def test_it_is_blind_to_what_does_not_run(tree: Path, name: str, old: str, new: str) -> None:
    before = fingerprint("first")
    edit(tree, name, old, new)
    assert fingerprint("first") == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("dimofs/cli.py", "SCALE = 2", "SCALE = 3"),
        ("dimofs/cli.py", "reader(load_config(name))", "reader(name)"),
        ("dimofs/cli.py", "* SCALE", "+ SCALE"),
        ("dimofs/lazy.py", "1", "2"),
        ("dimofs/sub/inner.py", "return value", "return -value"),
        ("dimofs/sub/reference.csv", "a", "c"),
    ],
)
def test_it_sees_what_runs(tree: Path, name: str, old: str, new: str) -> None:
    before = fingerprint("first")
    edit(tree, name, old, new)
    after = fingerprint("first")
    assert {key for key in before if before[key] != after[key]} == {name}


def test_a_verb_that_is_not_there_is_an_error(tree: Path) -> None:
    with pytest.raises(ValueError, match="no verb 'third'"):
        fingerprint("third")


BRANCHES = """
try:
    import json
except ImportError:
    from dimofs.other import go
if json:
    pass
else:
    from dimofs import lazy
"""


@pytest.mark.parametrize("name", ["dimofs/other.py", "dimofs/lazy.py"])
def test_it_follows_imports_in_every_branch(tree: Path, name: str) -> None:
    (tree / "dimofs/task.py").write_text("def run(value):\n    return value\n", encoding="utf-8")
    assert name not in fingerprint("first")
    (tree / "dimofs/task.py").write_text(BRANCHES, encoding="utf-8")
    assert name in fingerprint("first")


@pytest.mark.parametrize("name", ["reference.csv", "claims.yaml", "page.html.jinja"])
def test_it_sees_every_kind_of_data_beside_a_module(tree: Path, name: str) -> None:
    (tree / "dimofs/sub" / name).write_text("a", encoding="utf-8")
    before = fingerprint("first")
    (tree / "dimofs/sub" / name).write_text("b", encoding="utf-8")
    after = fingerprint("first")
    assert {key for key in before if before[key] != after[key]} == {f"dimofs/sub/{name}"}


def test_it_sees_what_runs_instead_of_what_type_checkers_read(tree: Path) -> None:
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = 0\nelse:\n    X = {}\n"
    (tree / "dimofs/lazy.py").write_text(code.format(1), encoding="utf-8")
    before = fingerprint("first")
    (tree / "dimofs/lazy.py").write_text(code.format(2), encoding="utf-8")
    assert fingerprint("first") != before


def test_it_sees_statements_that_are_calls(tree: Path) -> None:
    (tree / "dimofs/lazy.py").write_text("X = []\nX.append(1)\n", encoding="utf-8")
    before = fingerprint("first")
    edit(tree, "dimofs/lazy.py", "append(1)", "append(2)")
    assert fingerprint("first") != before


def test_it_follows_helpers_of_helpers(tree: Path) -> None:
    edit(tree, "dimofs/cli.py", "    return reader(load_config(name))", "    return _deeper(reader(load_config(name)))")
    helper = "\n\ndef _deeper(value):\n    from dimofs.other import go\n\n    return go(value)\n"
    with (tree / "dimofs/cli.py").open("a", encoding="utf-8") as file:
        file.write(helper)
    before = fingerprint("first")
    assert "dimofs/other.py" in before
    edit(tree, "dimofs/cli.py", "go(value)", "go(-value)")
    assert fingerprint("first") != before


PREDICTORS = (
    "pose_predict", "tracking_predict", "motion_measure", "features_extract", "actions_predict",
    "recognition_describe", "recognition_predict_rivals",
)  # fmt: skip
TRAININGS = "pretrain", "motion_fit", "actions_train", "recognition_train", "recognition_train_rival"


@pytest.mark.parametrize("verb", [*TRAININGS, *PREDICTORS])
def test_what_trains_and_predicts_does_not_hang_on_how_it_is_judged(verb: str) -> None:
    """A change of the intervals is to cost the minutes of the tables, not the hours of the trainings."""
    assert not [name for name in fingerprint(verb) if name == "dimofs/statistics.py" or name.endswith("/evaluate.py")]
