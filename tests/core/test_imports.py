"""What an import costs: settings machinery, SQL, web and CLI packages stay outside until they are used."""

from __future__ import annotations

import re
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


def loaded_by(*lines: str) -> list[set[str]]:
    """The modules of a fresh interpreter after each of these lines."""
    program = "import sys\n" + "".join(f"{line}\nprint(*sys.modules)\n" for line in lines)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return [set(line.split()) for line in result.stdout.splitlines()]


def packages(modules: set[str]) -> set[str]:
    """Those at the top."""
    return {name.partition(".")[0] for name in modules}


def test_an_import_loads_what_it_needs_and_no_more() -> None:
    """An application pays for nothing that it leaves alone: no provider, no library of an extra."""
    core, public, dummy, plugin, kit, ledger = loaded_by(
        "import payhub_core",
        "from payhub_core import *",
        "import payhub_dummy",
        "import payhub_gpu",
        "import payhub_core.kit",
        "import payhub_core.checkout",
    )
    assert "payhub_core.kit" not in core
    assert not packages(public) & {"payhub_dummy", "payhub_gpu", "payhub_sandbox"}
    assert "payhub_core.kit.signing_rules" not in plugin  # the search for what a signature was made of
    assert not packages(dummy | plugin | kit) & HEAVY
    assert "cryptography" not in kit
    assert not ledger & {"sqlalchemy.orm", "sqlalchemy.ext.asyncio"}  # threads need neither


def test_no_line_of_the_core_names_a_provider() -> None:
    """It is one of many."""
    core = Path(payhub_core.__file__).parent
    names = re.compile("payhub_dummy|payhub_gpu|payhub_sandbox")
    assert [path.name for path in core.rglob("*.py") if names.search(path.read_text("utf-8"))] == []


def test_opening_a_hub_from_a_dict_loads_no_settings_machinery() -> None:
    """Only load_config does, and retries load their library when something is retried."""
    code = (
        "from payhub_core import Hub, load_accounts\n"
        "account = {'provider': 'gpu', 'base_url': 'https://g.example', 'appid': 'a', 'secret': 'x' * 16}\n"
        "hub = Hub(load_accounts({'accounts': {'shop': account}}))\n"
        "hub['shop']"
    )
    assert not packages(loaded_by(code)[0]) & HEAVY


@pytest.mark.parametrize(
    ("missing", "code", "words"),
    [
        ("sqlalchemy", "import payhub_core.ledger", "the ledger cannot be used: sqlalchemy is not installed"),
        (
            "greenlet",
            "from payhub_core.ledger import Ledger; Ledger('sqlite:///no.db').async_engine",
            "the ledger cannot be used with asyncio: greenlet is not installed",
        ),
    ],
)
def test_the_ledger_says_what_it_lacks(missing: str, code: str, words: str) -> None:
    """Threads need no greenlet, and SQLAlchemy's own error names another package to install."""
    code = f"import sys\nsys.modules[{missing!r}] = None\n{code}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    last = result.stderr.splitlines()[-1]
    assert f"ConfigError: {words}" in last
    assert "pip install 'payhub-core[ledger]'" in last
