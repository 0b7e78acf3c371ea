"""An author's first minute: ``payhub new-provider`` out of the wheel, then built, installed and tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ACME = Path(__file__).parents[2] / "examples" / "payhub-acme"


@pytest.fixture(scope="module")
def package(clean_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new provider's package, rendered by the installed command, and its own wheel installed."""
    folder = tmp_path_factory.mktemp("author")
    command = [str(clean_python.with_name("payhub")), "new-provider", "my-bank"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert "pytest -x" in made.stdout
    package = folder / "payhub-my-bank"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(package)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    install = ["--python", str(clean_python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    return package


def run_tests(clean_python: Path, package: Path, *options: str) -> Any:
    """What ``pytest`` says in the package's folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # an author has none of ours
    command = [str(clean_python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)


def test_its_provider_is_installed_under_its_own_name(clean_python: Path, package: Path) -> None:
    """From the wheel, beside the others."""
    code = (
        "from payhub_core import load_accounts\n"
        "account = {'provider': 'my_bank', 'base_url': 'https://b.example', 'merchant': '1', 'key': 'x' * 16}\n"
        "print(type(load_accounts({'accounts': {'shop': account}})['shop']))"
    )
    command = [str(clean_python), "-c", code]
    result = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=True)
    assert result.stdout == "<class 'payhub_my_bank.provider.MyBank'>\n"


def test_its_own_tests_pass(clean_python: Path, package: Path) -> None:
    """All but the kit's, under the new name."""
    result = run_tests(clean_python, package, "--ignore=tests/test_contract.py")
    assert result.returncode == 0, result.stdout
    assert re.search(r"^\d+ passed", result.stdout, re.MULTILINE)


def test_its_kit_run_ends_with_the_one_next_thing_to_write(clean_python: Path, package: Path) -> None:
    """And with the next one, once that is written; with all of them written it passes."""
    contract = package / "tests" / "test_contract.py"
    example = (ACME / "tests" / "test_contract.py").read_text("utf-8").replace("Acme", "MyBank")
    bodies = dict(re.findall(r"# new-provider: .*write (\w+).*\n((?:.*\n)*?) *# new-provider: end", example))
    assert bodies.keys() == {"answer", "notify", "asked"}
    named: list[str] = []
    while (result := run_tests(clean_python, package, "-x", "tests/test_contract.py")).returncode:
        assert result.returncode == 1, result.stdout
        named += re.findall(r"next: write (\w+)\(\)", result.stdout.partition("short test summary")[0])
        assert len(named) == len(set(named)) == 3 - len(bodies) + 1
        body = bodies.pop(named[-1])
        blank = re.compile(rf".*next: write {named[-1]}.*\n")
        contract.write_text(blank.sub(lambda _, body=body: body, contract.read_text("utf-8")), "utf-8")
    assert {"answer", "notify"} <= set(named)
