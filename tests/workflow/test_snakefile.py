"""The rules as they stand: what every one of them must have, and how chapters hang together."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from conftest import ROOT, SMOKE

from dimofs.cli import app
from workflow.compile_dvc import build_dag, chapter, scenarios
from workflow.fingerprint import fingerprint

CHAPTERS = (
    "datasets", "pairs", "pretrain", "pose", "tracking", "motion", "actions", "features", "clusters",
    "recognition", "paper",
)  # fmt: skip


@pytest.fixture(scope="module")
def jobs() -> list[Any]:
    return [job for job in build_dag(ROOT).jobs if chapter(job.rule)]


@pytest.fixture(scope="module")
def rules(jobs: list[Any]) -> list[Any]:
    """Rules that do work; the others are the targets of chapters."""
    return list({job.rule.name: job.rule for job in jobs if not job.rule.norun}.values())


def test_chapters_are_named_alike_everywhere(jobs: list[Any]) -> None:
    assert {chapter(job.rule) for job in jobs} == set(CHAPTERS)
    assert {job.rule.name for job in jobs if job.rule.norun} == set(CHAPTERS)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    assert set(CHAPTERS) == config.keys() - {"seed", "seeds", "model"}
    for scenario in (ROOT, ROOT / SMOKE):
        stages = yaml.safe_load((scenario / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        assert tuple(stages) == CHAPTERS


def test_chapters_form_a_dag(jobs: list[Any]) -> None:
    """A chapter reads from chapters before it only; a rule belongs to one chapter."""
    makers = {str(path): chapter(job.rule) for job in jobs for path in job.output}
    for job in jobs:
        for path in job.input:
            maker = makers.get(str(path), chapter(job.rule))
            assert CHAPTERS.index(maker) <= CHAPTERS.index(chapter(job.rule)), (job.rule.name, path)
    files: dict[str, set[str]] = {}
    for job in jobs:
        files.setdefault(job.rule.name, set()).add(str(job.rule.snakefile))
    assert all(len(where) == 1 for where in files.values())


def test_outputs_stay_home(jobs: list[Any]) -> None:
    for job in jobs:
        name = chapter(job.rule)
        homes = [r"results/[^/]+"] if name == "paper" else [rf"(data|results)/{name}/[^/]+"]
        for path in job.output:
            assert any(re.fullmatch(home, str(path)) for home in homes), (job.rule.name, path)
        for path in [*job.log, *([job.benchmark] if job.benchmark else [])]:
            assert str(path).startswith("logs/"), (job.rule.name, path)
    outputs = [str(path) for job in jobs for path in job.output]
    assert len(outputs) == len(set(outputs))


def test_every_rule_is_complete(rules: list[Any]) -> None:
    for rule in rules:
        assert re.search(r"\((Table|Figure|§)", rule.docstring or ""), f"{rule.name}: a docstring with its place"
        assert rule.log, f"{rule.name}: log"
        assert rule.benchmark, f"{rule.name}: benchmark"
        assert rule.message, f"{rule.name}: message"
        assert "mem_mb" in rule.resources, f"{rule.name}: mem_mb"
        own = Path(rule.snakefile).read_text(encoding="utf-8").partition(f"rule {rule.name}:")[2]
        assert re.search(r"^\s+threads:", re.split(r"^\s*(?:use )?rule ", own, flags=re.M)[0], re.M), (
            f"{rule.name}: threads"
        )


def test_every_rule_calls_one_verb_and_says_so_plainly(rules: list[Any]) -> None:
    for rule in rules:
        words = rule.shellcmd.split()
        assert words.count("dimofs") == 1, rule.name
        assert words[0] == "dimofs", rule.name
        assert rule.shellcmd.endswith("> {log:q} 2>&1"), f"{rule.name}: what the verb prints goes to the log"
        for field in re.findall(r"\{(.+?)\}", rule.shellcmd):
            assert field.endswith(":q") or field == "threads", f"{rule.name}: {field} is not quoted"
        source = Path(rule.snakefile).read_text(encoding="utf-8")
        for line in re.findall(r'^\s+"(.+)"$', source.partition("shell:")[2], re.M):
            assert len(re.findall(r"(?<!\S)--?\w", line)) <= 1, f"{rule.snakefile}: one flag a line, not {line!r}"


def test_rules_record_the_code_of_the_verb_that_they_call(jobs: list[Any]) -> None:
    command = typer.main.get_command(app)
    for job in jobs:
        if job.rule.norun:
            continue
        verb: Any = command
        for word in job.rule.shellcmd.split()[1:3]:
            verb = getattr(verb, "commands", {}).get(word, verb)
        wanted = {f"{name}={content}" for name, content in fingerprint(inspect.unwrap(verb.callback).__name__).items()}
        recorded = {value for value in job.params if isinstance(value, str) and value.startswith("dimofs/")}
        assert recorded == wanted, job.rule.name


def test_parameters_name_themselves(jobs: list[Any]) -> None:
    """Snakemake compares parameters as a set without names: 8 and 16 exchanged would pass unseen."""
    for job in jobs:
        for value in job.params:
            for entry in [value] if isinstance(value, str) else value:
                assert re.fullmatch(r"[\w./]+=.*", entry), (job.rule.name, entry)


def test_reading_the_rules_loads_neither_torch_nor_pandas() -> None:
    """Every call of Snakemake reads them, and a second `make results/table3.csv` must answer at once."""
    program = (
        "import sys\n"
        "from snakemake.cli import main\n"
        "for name in ('torch', 'torchvision', 'pandas', 'pyarrow', 'cv2', 'matplotlib', 'sklearn', 'scipy'):\n"
        "    sys.modules.setdefault(name, None)\n"  # from here on, importing one that Snakemake has not is an error
        "main(['--list-rules'])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "train_pose" in result.stdout, result.stderr
    assert "torch" not in result.stderr


def test_official_archives_take_the_place_of_rendering(tmp_path: Path) -> None:
    """The stills have no archive here: they are rendered all the same."""
    (tmp_path / "config").mkdir()
    for file in (ROOT / SMOKE / "config").iterdir():
        text = file.read_text(encoding="utf-8").replace("source: rendered", "source: archives")
        (tmp_path / "config" / file.name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--directory", str(tmp_path), "datasets"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert re.search(r"^unpack +3$", result.stdout, re.M), result.stdout
    assert re.search(r"^render +2$", result.stdout, re.M), result.stdout  # stills and the corpus


def in_the_papers_scenario(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call Snakemake in a copy of the paper's scenario, which has no archives."""
    shutil.copytree(ROOT / "scenarios/paper/config", tmp_path / "config", dirs_exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-q", "rules", "--directory", str(tmp_path), *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_papers_scenario_shows_its_plan_and_says_what_is_missing(tmp_path: Path) -> None:
    plan = in_the_papers_scenario(tmp_path, "-n", "results/table3.csv")
    assert plan.returncode == 0, plan.stdout
    for rule, count in (("unpack", 2), ("fetch_still", 1), ("train_pose", 1), ("train_actions", 5), ("table3", 1)):
        assert re.search(rf"^{rule} +{count}$", plan.stdout, re.M), (rule, plan.stdout)
    assert not re.search(r"^(render|train_still)\b", plan.stdout, re.M)
    for part in ("data/archives/splits.zip", "posetrack18_images.tar.aa", "by hand:", "terms:"):
        assert part in plan.stdout
    assert "iving48" not in plan.stdout  # which Table 3 does not need


def test_the_papers_scenario_runs_nothing_without_its_archives(tmp_path: Path) -> None:
    run = in_the_papers_scenario(tmp_path, "--cores", "1", "results/table3.csv")
    assert run.returncode != 0
    assert "archives of jhmdb, posetrack18 are missing; nothing was run" in run.stdout
    assert "data/archives/splits.zip: no such file" in run.stdout
    assert not (tmp_path / "logs").exists()
    assert not (tmp_path / "results").exists()


def test_what_was_unpacked_stays_where_its_archives_are_gone(tmp_path: Path) -> None:
    """Rules that have changed would unpack it again, and Snakemake empties a job's folder before the job can fail."""
    kept = tmp_path / "data/datasets/jhmdb/splits/catch_test_split1.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("what is left of the archives", encoding="utf-8")
    manifest = tmp_path / "data/datasets/jhmdb.csv"
    manifest.touch()
    run = in_the_papers_scenario(tmp_path, "--cores", "1", "data/datasets/jhmdb.csv")
    assert run.returncode != 0
    assert "archives of jhmdb are missing; nothing was run" in run.stdout
    assert "--touch data/datasets/jhmdb.csv" in run.stdout
    assert kept.exists()
    for advice in (["--touch"], []):  # after which there is nothing to do
        run = in_the_papers_scenario(tmp_path, "--cores", "1", *advice, "data/datasets/jhmdb.csv")
        assert run.returncode == 0, run.stdout
        assert kept.exists()


def test_footage_takes_the_place_of_posetrack18_and_stills(tmp_path: Path) -> None:
    """What there is of actions is neither made nor asked for; DVC, whose remotes pass data on, has no part in it."""
    shutil.copytree(ROOT / "scenarios/street/config", tmp_path / "config")
    (tmp_path / "data/street").mkdir(parents=True)
    for name in ("vtest.avi", "000001_street.json"):
        (tmp_path / "data/street" / name).touch()
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--directory", str(tmp_path), "all"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    planned = dict(re.findall(r"^(\w+) +(\d+)$", result.stdout, re.M))
    wanted = {"label": "1", "cut": "2", "train_still": "1", "train_pose": "2", "table1": "1", "table2": "1"}
    assert wanted.items() <= planned.items(), result.stdout
    assert {"figure3", "figure6", "motion_table", "training_curves"} <= planned.keys()
    assert not {"render", "train_actions", "table3", "claims", "fit_clusters"} & planned.keys()
    assert [folder.name for folder in scenarios() if folder.name == "street"] == []


def test_every_training_runs_for_each_seed(tmp_path: Path) -> None:
    """Files of the first seed have the names that they have with one; all of another hang on its own still network."""

    def outputs(seeds: str) -> dict[str, tuple[str, str]]:
        """Give the checkpoint of every planned training, with what it starts from and its seed."""
        text = (ROOT / SMOKE / "config/config.yaml").read_text(encoding="utf-8")
        assert "seeds: [0]" in text
        folder = tmp_path / seeds
        (folder / "config").mkdir(parents=True)
        for sheet in (ABLATIONS, RECOGNITION):
            shutil.copy(ROOT / SMOKE / "config" / sheet, folder / "config")
        (folder / "config/config.yaml").write_text(text.replace("seeds: [0]", f"seeds: [{seeds}]"), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "-n", "-p", "--directory", str(folder), "all"]
        plan = subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        verbs = re.findall(r"dimofs (?:pretrain|actions train) .*", plan.stdout)
        option = {
            name: [re.search(rf"--{name}[ =](\S+)", verb) for verb in verbs]
            for name in ("out", "init", "seed", "resume")
        }
        assert len({found[1] for found in option["resume"] if found}) == len(verbs)
        return {
            str(out and out[1]): (init[1] if init else "", str(seed and seed[1]))
            for out, init, seed in zip(option["out"], option["init"], option["seed"], strict=True)
        }

    one, two = outputs("0"), outputs("0, 1")
    assert {"results/pretrain/still.safetensors", "results/actions/dimofs.safetensors"} <= one.keys()
    assert {seed for _, seed in one.values()} == {"0"}
    other = {
        out.replace(".safetensors", "-seed1.safetensors"): (init.replace(".safetensors", "-seed1.safetensors"), "1")
        for out, (init, _) in one.items()
    }
    assert two == one | other


def test_recorded_motions_are_made_only_when_asked_for(tmp_path: Path) -> None:
    """They need an optional package, so `all` must not lead to them; the networks are those of the other data."""

    def planned(target: str) -> dict[str, int]:
        shutil.copytree(ROOT / SMOKE / "config", tmp_path / target / "config")
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--directory", str(tmp_path / target)]
        result = subprocess.run([*command, target], cwd=ROOT, check=True, capture_output=True, text=True)
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", result.stdout, re.M)}

    own = {
        "render_captured": 1, "list_captured_pairs": 1, "predict_captured_poses": 2, "evaluate_captured_poses": 1,
        "measure_captured_motion": 1, "evaluate_captured_motion": 1, "motion_capture_tables": 1,
    }  # fmt: skip
    asked, everything = planned("results/motion_capture.csv"), planned("all")
    assert own.items() <= asked.items()
    assert not own.keys() & everything.keys()
    assert asked.keys() - own.keys() - {"total"} <= everything.keys()


def broken(tmp_path: Path, name: str, old: str, new: str) -> str:
    """Give what Snakemake says where a file of the configuration holds a mistake."""
    (tmp_path / "config").mkdir()
    for file in (CONFIG, ABLATIONS, RECOGNITION):
        text = (ROOT / SMOKE / "config" / file).read_text(encoding="utf-8")
        if file == name:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "config" / file).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "-n", "--directory", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode != 0
    assert "Traceback" not in result.stdout
    return result.stdout


CONFIG, ABLATIONS, RECOGNITION = "config.yaml", "ablations.tsv", "recognition.tsv"


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (CONFIG, "resamples: 200", "resample: 200", ["config/config.yaml", "paper.resample:", "paper.resamples:"]),
        (CONFIG, "frame_size: 64", "frame_size: large", ["config/config.yaml", "datasets.frame_size"]),
        (CONFIG, "sweep: [dimofs", "sweep: [dimof", ["'dimof'", "inflated"]),
        (CONFIG, "seeds: [0]", "seeds: [0, 0]", ["config/config.yaml", "seeds:", "twice"]),
        (
            ABLATIONS,
            "dimofs\tflow",
            "dimofs\tstream",
            ["ablations.tsv, line", "'motion'", "offsets, flow, none"],
        ),
        (RECOGNITION, "trn\t2D", "trn\t4D", ["recognition.tsv, line 4", "'dims'", "2D or 3D"]),
    ],
    ids=["misspelled key", "wrong type", "unknown training", "a seed twice", "bad row", "bad row of Table 4"],
)
def test_a_mistake_in_the_configuration_is_named(
    tmp_path: Path, name: str, old: str, new: str, says: list[str]
) -> None:
    message = broken(tmp_path, name, old, new)
    for part in says:
        assert part in message
