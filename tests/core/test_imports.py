"""What an import costs: settings machinery, SQL, web and CLI packages stay outside until they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import payhub_core

# httpx itself imports click and rich, and httpcore trio, where they are installed.
HEAVY = {
    *("stamina", "tenacity", "pydantic_settings", "sqlalchemy", "alembic", "starlette", "uvicorn", "jinja2"),
    *("pytest", "hypothesis", "psycopg", "django", "flask", "fastapi", "segno", "opentelemetry"),
}


def loaded_by(code: str) -> set[str]:
    """The top-level packages of a fresh interpreter that ran ``code``."""
    program = f"{code}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "code", ["import payhub_core", "import payhub_dummy", "import payhub_gpu", "from payhub_core import *"]
)
def test_importing_the_core_loads_nothing_heavy(code: str) -> None:
    """Nor does importing the plugin."""
    assert not loaded_by(code) & HEAVY


@pytest.mark.parametrize("package", ["payhub_dummy", "payhub_gpu", "payhub_sandbox"])
def test_the_core_never_imports_the_plugin_nor_its_sandbox(package: str) -> None:
    """It is one of many, and no line of the core names either."""
    assert package not in loaded_by("import payhub_core")
    core = Path(payhub_core.__file__).parent
    assert [path.name for path in core.rglob("*.py") if package in path.read_text("utf-8")] == []


@pytest.mark.parametrize(
    ("code", "outside"),
    [
        ("import payhub_core", "payhub_core.kit"),
        ("import payhub_core.kit", "cryptography"),
        ("import payhub_gpu", "payhub_core.kit.ways"),
    ],
)
def test_what_few_need_is_loaded_when_they_do(code: str, outside: str) -> None:
    """An application with other providers pays for neither."""
    program = f"{code}\nimport sys\nsys.exit({outside!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_opening_a_hub_from_a_dict_loads_no_settings_machinery() -> None:
    """Only load_config does, and retries load their library when something is retried."""
    code = (
        "from payhub_core import Hub, load_accounts\n"
        "account = {'provider': 'gpu', 'base_url': 'https://g.example', 'appid': 'a', 'secret': 'x' * 16}\n"
        "hub = Hub(load_accounts({'accounts': {'shop': account}}))\n"
        "hub['shop']"
    )
    assert not loaded_by(code) & HEAVY


@pytest.mark.parametrize(
    ("missing", "words"), [("sqlalchemy", "sqlalchemy is not installed"), ("greenlet", "greenlet")]
)
def test_the_ledger_says_what_it_lacks(missing: str, words: str) -> None:
    """SQLAlchemy's own error of a missing greenlet names no module."""
    code = f"import sys\nsys.modules[{missing!r}] = None\nimport payhub_core.ledger"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    last = result.stderr.splitlines()[-1]
    assert "ConfigError: the ledger cannot be used" in last
    assert words in last
    assert "pip install 'payhub-core[ledger]'" in last
