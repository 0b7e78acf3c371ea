"""The shop's own module, as cron and the recipes import it."""

from __future__ import annotations

import os

from sqlalchemy import Connection, text

from payhub_core import Hub, load_accounts, load_config
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, Transition

config = load_config("payhub.toml")
DATABASE = config.ledger or ""
ledger = Ledger(DATABASE)
opened = os.getpid(), ledger.read(lambda connection: connection.connection.driver_connection)


def fulfil(transition: Transition, connection: Connection) -> None:
    """The shop's own row, in payhub's transaction; in a forked worker that is no connection of its parent's."""
    assert opened[0] == os.getpid() or opened[1] is not connection.connection.driver_connection
    connection.execute(text("INSERT INTO deliveries VALUES (:id)"), {"id": transition.id})
    print(f"fulfilled {transition.id}")  # noqa: T201  what the test reads


checkout = Checkout(Hub(load_accounts(config)), ledger, handler=fulfil)
