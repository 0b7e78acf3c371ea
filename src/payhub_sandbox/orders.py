"""Orders as the platform keeps them, in SQLite: a file, or memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from secrets import randbelow

from payhub_sandbox.settings import Settings

__all__ = ["FAILED", "PAID", "PAYING", "Delivery", "Order", "Orders"]

#: ``pay_status`` (section 5.1).
PAYING, FAILED, PAID = -1, 0, 1

#: Deliveries kept of one order; an order that is notified by hand for days must not fill the memory.
_KEPT_DELIVERIES = 50


@dataclass(frozen=True, slots=True)
class Order:
    """One order. Amounts are fen; times are ``YYYY-MM-DD HH:MM:SS`` in Asia/Shanghai, empty until there is one."""

    platform_order_no: str
    appid: str
    order_no: str
    amount: int
    product_name: str
    bank_code: str
    attach: str
    openid: str
    notify_url: str
    return_url: str
    created_at: str
    pay_status: int = PAYING
    actual_amount: int = 0
    pay_time: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to notify the shop: what came back, or why nothing did."""

    at: str
    http_status: int | None
    #: The first 200 characters of the shop's reply.
    reply: str
    acknowledged: bool
    error: str = ""


class Orders:
    """All orders and what was delivered about them. One thread, the event loop's, uses it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._db = sqlite3.connect(settings.database, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        appids = {appid for (appid,) in self._db.execute("SELECT DISTINCT appid FROM orders")}
        if strangers := appids - set(settings.merchants):
            raise ValueError(f"{settings.database} holds orders of unknown merchants: {', '.join(sorted(strangers))}")

    def create(self, request: dict[str, str]) -> Order | None:
        """A new order from the fields of a valid request; None where the merchant has used its number before."""
        now = self._settings.now()
        order = Order(
            platform_order_no=f"A{now:%Y%m%d%H%M%S}{self._number():010}",
            appid=request["appid"],
            order_no=request["order_no"],
            amount=int(request["amount"]),
            product_name=request["product_name"],
            bank_code=request["bank_code"],
            attach=request.get("attach", ""),
            openid=request.get("openid", ""),
            notify_url=request["notify_url"],
            return_url=request["return_url"],
            created_at=_written(now),
        )
        try:
            self._db.execute(_INSERT, astuple(order))
        except sqlite3.IntegrityError:
            return None
        return order

    def get(self, platform_order_no: str) -> Order | None:
        """The order with the platform's number."""
        return next(self._select("WHERE platform_order_no = ?", platform_order_no), None)

    def find(self, appid: str, order_no: str) -> Order | None:
        """The order with the merchant's own number."""
        return next(self._select("WHERE appid = ? AND order_no = ?", appid, order_no), None)

    def recent(self, limit: int) -> list[Order]:
        """The newest orders, newest first."""
        return list(self._select("ORDER BY rowid DESC LIMIT ?", str(limit)))

    def pay(self, order: Order, actual_amount: int) -> Order:
        """Lets an order be paid, one that has failed too; returns it as it is now."""
        return self._settle(order, PAID, actual_amount, _written(self._settings.now()))

    def fail(self, order: Order) -> Order:
        """Lets an order fail; one that is paid stays paid. Returns it as it is now."""
        return self._settle(order, FAILED, 0, "")

    def record(self, order: Order, delivery: Delivery) -> None:
        """Keeps what one attempt to notify came to."""
        number = order.platform_order_no
        self._db.execute("INSERT INTO deliveries VALUES (NULL, ?, ?, ?, ?, ?, ?)", (number, *astuple(delivery)))
        self._db.execute(
            "DELETE FROM deliveries WHERE platform_order_no = ? AND id <="
            " (SELECT id FROM deliveries WHERE platform_order_no = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (number, number, _KEPT_DELIVERIES),
        )

    def deliveries(self, order: Order) -> list[Delivery]:
        """The attempts to notify about one order, oldest first."""
        rows = self._db.execute(
            "SELECT at, http_status, reply, acknowledged, error FROM deliveries"
            " WHERE platform_order_no = ? ORDER BY id",
            (order.platform_order_no,),
        )
        return [Delivery(at, status, reply, bool(heard), error) for at, status, reply, heard, error in rows]

    def clear(self) -> None:
        """Forgets every order."""
        self._db.executescript("DELETE FROM orders; DELETE FROM deliveries;")

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def _select(self, where: str, *values: str) -> Iterator[Order]:
        return (Order(*row) for row in self._db.execute(_SELECT + where, values))

    def _settle(self, order: Order, pay_status: int, actual_amount: int, pay_time: str) -> Order:
        self._db.execute(
            "UPDATE orders SET pay_status = ?, actual_amount = ?, pay_time = ?"
            " WHERE platform_order_no = ? AND pay_status <> ?",
            (pay_status, actual_amount, pay_time, order.platform_order_no, PAID),
        )
        return self.get(order.platform_order_no) or order

    def _number(self) -> int:
        if self._settings.fixed_clock is None:
            return randbelow(10**10)
        (count,) = self._db.execute("SELECT count(*) FROM orders").fetchone()
        return int(count) + 1


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


_COLUMNS = ", ".join(field.name for field in fields(Order))
_SELECT = f"SELECT {_COLUMNS} FROM orders "  # noqa: S608  the columns are the platform's own
_INSERT = f"INSERT INTO orders VALUES ({', '.join('?' * len(fields(Order)))})"  # noqa: S608
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS orders ({_COLUMNS}, PRIMARY KEY (platform_order_no), UNIQUE (appid, order_no));
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, platform_order_no, at, http_status, reply, acknowledged, error
);
CREATE INDEX IF NOT EXISTS deliveries_of_order ON deliveries (platform_order_no, id);
"""
