"""The Containerfile's own steps, in a virtual environment in the place of an image."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import tomli_w
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, policy_table
from tests.guard.raw_sockets import Recorder
from tests.support.needs import absent

ROOT = Path(__file__).parents[2]
HOME, PLACE = "/opt/darkroom", "/etc/darkroom"
HEAVY = (
    *("torch", "transformers", "sklearn", "skimage", "pandas", "matplotlib", "PIL", "cma"),
    *("scipy", "jinja2", "rich", "typer", "tomli_w"),
)


class Step(NamedTuple):
    """An instruction, and what follows it."""

    name: str
    rest: str


KNOWN = frozenset(["FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "ENTRYPOINT"])
"""Instructions of which the steps here know what they do."""


def steps() -> list[Step]:
    """Reads the Containerfile strictly: an instruction a line, and none that is not known."""
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [Step(*line.split(maxsplit=1)) for line in lines]
    assert {step.name for step in found} <= KNOWN
    return found


def build() -> list[Step]:
    """Returns the steps of the first stage."""
    made = steps()
    second = [place for place, step in enumerate(made) if step.name == "FROM"][1]
    return made[1:second]


def test_the_image_runs_as_somebody_who_may_write_to_the_policys_folder_alone() -> None:
    image = {step.name: step.rest for step in steps()}  # the last of each name
    assert image["USER"] not in ("root", "0")
    assert f"useradd --system --uid 10001 {image['USER']}" in image["RUN"]
    assert f"chown {image['USER']} {PLACE}" in image["RUN"]
    assert image["WORKDIR"] == PLACE
    assert image["EXPOSE"] == "8000"
    assert HOME in image["COPY"]


def test_every_stage_and_source_is_there() -> None:
    stages: list[str] = []
    for name, rest in steps():
        words = rest.split()
        if name == "FROM":
            image, *named = words
            assert re.fullmatch(r"[a-z.]+/[a-z/]+:[0-9][\w.-]+", image), "a registry and a version"
            assert not named or (named[0], len(named)) == ("AS", 2)
            stages.append(named[1] if named else "")
        elif name == "COPY" and words[0].startswith("--"):
            assert words[0].removeprefix("--from=") in stages[:-1]
        elif name == "COPY":
            assert all((ROOT / one).exists() for one in words[:-1])
        elif name == "ENTRYPOINT":  # a list, so that signals reach the guard and no shell
            assert json.loads(rest)[0].startswith(HOME)
        elif name == "ENV":
            assert all(re.fullmatch(r"[A-Z_]+=\S+", one) for one in words)
    assert stages == ["build", ""]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Performs the steps of the first stage with a folder in the place of ``/opt/darkroom``."""
    folder = tmp_path_factory.mktemp("image")
    source, made = folder / "source", folder / "darkroom"
    source.mkdir()
    commands = []
    for name, rest in build():
        if name == "COPY":
            *these, into = rest.split()
            for one in these:
                copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copy
                copy(ROOT / one, source / into)
        elif name == "RUN":
            commands.append(rest.replace(HOME, str(made)))
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=source,
            env=surroundings(PATH=f"{programs}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            absent(f"the image cannot be built here: {done.stderr.strip()[-500:]}")
    return made


def surroundings(**more: str) -> dict[str, str]:
    """Returns the environment without what leads to this project's own modules."""
    own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {**{name: value for name, value in os.environ.items() if name not in own}, **more}


@pytest.mark.slow
def test_the_image_has_the_guard_and_nothing_of_the_rest(home: Path) -> None:
    code = (
        "import importlib.util, json, sys; import darkroom.commands.guard, darkroom.guard.server;"
        "import darkroom.guard.stores.redis, darkroom.guard.stores.postgres;"
        "found = [one for one in sys.argv[1:] if importlib.util.find_spec(one)];"
        "print(json.dumps([found, darkroom.__file__]))"
    )
    found, place = json.loads(
        subprocess.run(
            [home / "bin/python", "-c", code, *HEAVY],
            env=surroundings(),
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert found == []
    assert Path(place).is_relative_to(home)


@pytest.mark.slow
def test_the_entry_point_guards_a_model(home: Path, tmp_path: Path) -> None:
    entry = next(step.rest for step in steps() if step.name == "ENTRYPOINT")
    (tmp_path / "guard.toml").write_text(tomli_w.dumps(policy_table()))
    swapped = {HOME: str(home), PLACE: str(tmp_path), "0.0.0.0": "127.0.0.1"}

    def here(text: str) -> str:
        return re.sub("|".join(map(re.escape, swapped)), lambda at: swapped[at[0]], text)

    variables = next(step.rest for step in steps() if step.name == "ENV").split()
    environment = surroundings(**dict(here(one).split("=", 1) for one in variables))
    command = [here(one) for one in json.loads(entry)]
    subprocess.run([*command, "init"], cwd=tmp_path, env=environment, check=True)
    upstream, port = Recorder(), free_port()
    command += ["--upstream", upstream.url, "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as running:
        try:
            while True:
                try:
                    answer = httpx.post(
                        f"http://127.0.0.1:{port}/predict",
                        json={"inputs": [[1.5, 3.5]]},
                        headers={"x-api-key": KEYS["alice"]},
                        trust_env=False,
                    )
                    break
                except httpx.ConnectError:
                    assert running.poll() is None, shlex.join(command)
                    time.sleep(0.02)
            assert (answer.status_code, answer.json()) == (200, {"scores": [[0.25, 0.75]]})
            assert answer.headers["ratelimit"].startswith('"daily";r=9')
            assert (tmp_path / "guard.sqlite").exists()
        finally:
            running.terminate()
    upstream.close()


@pytest.fixture(scope="module")
def image() -> Iterator[list[str]]:
    """Builds the image with buildah, from a base image that is here; gives what runs in it."""
    base = next(step.rest.split()[0] for step in steps() if step.name == "FROM")
    program = shutil.which("buildah")
    if program is None:
        pytest.skip("buildah is not installed: apt-get install buildah")
    if subprocess.run([program, "images", base], capture_output=True, check=False).returncode:
        pytest.skip(f"{base} is not here: buildah pull {base}")
    # What pip needs to find packages here.
    variables = {
        name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_"))
    }
    files = [one for one in (*variables.values(), "/etc/pip.conf") if Path(one).is_absolute()]
    within = [word for name in variables for word in ("--env", name)]
    within += [word for one in files if Path(one).exists() for word in ("-v", f"{one}:{one}:ro")]
    alone = ("--isolation", "chroot")
    tag = "darkroom-guard-test"
    _said(program, "build", *alone, "--pull=never", *within, "-t", tag, "-f", "Containerfile", ".")
    container = _said(program, "from", "--pull=never", tag)
    try:
        yield [program, "run", *alone, container, "--"]
    finally:
        _said(program, "rm", container)
        _said(program, "rmi", tag)


def _said(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.slow
def test_a_real_image_runs_the_guard_as_nobody_special(image: list[str]) -> None:
    made = _said(*image, f"{HOME}/bin/darkroom", "guard", "key", "alice")
    assert 'key = "sha256:' in made
    assert "uid=10001" in _said(*image, "id")
    with pytest.raises(AssertionError, match="Permission denied"):
        _said(*image, "touch", f"{HOME}/bin/darkroom")
    code = "import importlib.util as u, sys; print([m for m in sys.argv[1:] if u.find_spec(m)])"
    assert _said(*image, f"{HOME}/bin/python", "-c", code, *HEAVY) == "[]"
