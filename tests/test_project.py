"""The project holds together: layers, versions, addresses, lock, notebooks."""

import ast
import json
import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sqa_core import __version__
from tests.conftest import ROOT

ADDRESS = "https://github.com/sqa-book/sqa-book"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules():
    return sorted((ROOT / "sqa_core").rglob("*.py"))


def test_environment_variables_are_read_in_one_place():
    for path in modules():
        reads = "os.environ" in path.read_text()
        # polyglot passes its environment on to eSpeak's process, and reads nothing from it
        assert not reads or path.name in {"environment.py", "polyglot.py"}, path


def test_version_and_address_are_the_same_everywhere():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["project"]["version"] == citation["version"] == __version__
    assert config["repository"]["url"] == citation["repository-code"] == PROJECT["project"]["urls"]["Homepage"] == ADDRESS
    assert config["repository"]["branch"] == f"v{__version__}"
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    for path in (ROOT / "notebooks").glob("*.py"):
        assert f"git+{ADDRESS}@v{__version__}" in path.read_text(), path


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {canonicalize_name(m[1]): m[2] for line in lines if (m := re.match(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", line))}


def declared() -> list[Requirement]:
    extras = [r for group in PROJECT["project"]["optional-dependencies"].values() for r in group]
    return [Requirement(r) for r in PROJECT["project"]["dependencies"] + extras]


def test_the_lock_satisfies_pyproject():
    pins = locked() | dict(re.findall(r"^(TORCH|TORCHAUDIO) \?= (\S+)", (ROOT / "Makefile").read_text(), flags=re.M))
    pins |= {"torch": pins["TORCH"], "torchaudio": pins["TORCHAUDIO"]}
    for requirement in declared():
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in requirements.lock; run `make lock`"
        assert requirement.specifier.contains(pins[name]), f"{name} {pins[name]} is locked, {requirement} is asked for"


def test_the_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--index|--find-links|nvidia|^torch==", text, flags=re.M)
    assert text.count("--hash=sha256:") > len(locked())
    assert len(locked()) > 100


def test_workflows_install_torch_by_its_hashes():
    """The versions are the Makefile's, with a hash for each Python that is tested."""
    pins = dict(re.findall(r"^(TORCH|TORCHAUDIO) \?= (\S+)", (ROOT / "Makefile").read_text(), flags=re.M))
    text = (ROOT / "torch-cpu.lock").read_text()
    workflows = {path.name: path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    pythons = yaml.safe_load(workflows["tests.yml"])["jobs"]["tests"]["strategy"]["matrix"]["python"]
    for name, version in (("torch", pins["TORCH"]), ("torchaudio", pins["TORCHAUDIO"])):
        (found,) = re.findall(rf"^{name}==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{{64}})+)$", text, flags=re.M)
        assert found[0] == version
        assert found[1].count("--hash") == len(pythons)
    installing = {name: text for name, text in workflows.items() if "make .venv" in text}
    assert installing
    for name, workflow in installing.items():
        assert "TORCH_LOCK: torch-cpu.lock" in workflow, name


def test_environment_yml_is_in_step_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    listed = [d for d in environment["dependencies"] if isinstance(d, str)]
    listed += [d for d in environment["dependencies"][-1]["pip"] if not d.startswith("-e")]
    names = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    found = {canonicalize_name(names.get(r.name, r.name)): r.specifier for r in map(Requirement, listed) if r.name not in ("python", "pip")}
    wanted = {canonicalize_name(r.name): r.specifier for r in map(Requirement, PROJECT["project"]["dependencies"])}
    assert found == wanted
    assert f"python{PROJECT['project']['requires-python']}" in environment["dependencies"]


def test_notebooks_start_with_colab_and_parameters_and_stay_short():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        assert "colab" in cells[0]["metadata"]["tags"]
        assert "parameters" in cells[1]["metadata"]["tags"]
        for cell in cells:
            assert not cell.get("outputs")
            source = "".join(cell["source"])
            if cell["cell_type"] == "code":
                assert source.count("\n") < 25, source
                assert not re.search(r"^\s*def ", source, flags=re.M), source


def test_no_recording_is_committed():
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    assert [f for f in files if f.lower().endswith((".wav", ".flac", ".mp3", ".ogg", ".opus", ".g722"))] == []


def test_every_package_that_the_library_imports_is_declared():
    """A wheel brings all that it needs; what only some functions need is in the extras."""
    import sys

    known = {
        "PIL": "matplotlib",
        "parselmouth": "praat-parselmouth",
        "sklearn": "scikit-learn",
        "huggingface_hub": "transformers",
        "jupyter_client": "nbclient",
        "urllib3": "requests",
        "cycler": "matplotlib",
        "IPython": "ipykernel",
        "yaml": "jupyter-book",
        "myst_nb": "jupyter-book",
        "visqol": "visqol-python",
    }
    wanted = {canonicalize_name(r.name) for r in declared()}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - {"sqa_core"}:
                assert canonicalize_name(known.get(name, name)) in wanted, f"{path}: {name}"


def test_the_wheel_carries_what_the_library_reads_from_the_book():
    """Folders of the checkout that code names by `environment.resource`."""
    carried = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
    named = {"/".join(m) for path in modules() for m in re.findall(r'resource\("(book)", "(\w+)"', path.read_text())}
    assert named
    assert named <= carried
