"""payhub: payments through any gateway."""

from payhub_core.config import Config, load_config
from payhub_core.errors import (
    BadSignature,
    CallbackError,
    ConfigError,
    GatewayError,
    InvalidOrder,
    MalformedCallback,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
    WrongAccount,
    WrongAmount,
    WrongOrder,
)
from payhub_core.flow import Flow
from payhub_core.hookspecs import Provider, ProviderInfo, hookimpl, hookspec
from payhub_core.hub import AsyncHub, Hub
from payhub_core.logs import RedactSignatures
from payhub_core.models import (
    AppParameters,
    Callback,
    CallbackKind,
    FormPost,
    HtmlPage,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Reply,
)
from payhub_core.money import Money
from payhub_core.registry import Accounts, load_accounts

__all__ = [
    "Accounts",
    "AppParameters",
    "AsyncHub",
    "BadSignature",
    "Callback",
    "CallbackError",
    "CallbackKind",
    "Config",
    "ConfigError",
    "Flow",
    "FormPost",
    "GatewayError",
    "HtmlPage",
    "Hub",
    "InvalidOrder",
    "MalformedCallback",
    "Money",
    "NotFound",
    "NotSent",
    "Notification",
    "Order",
    "OutcomeUnknown",
    "PayhubError",
    "Payment",
    "PaymentMethod",
    "PaymentStatus",
    "Provider",
    "ProviderInfo",
    "QrCode",
    "RedactSignatures",
    "Redirect",
    "Refused",
    "Reply",
    "WrongAccount",
    "WrongAmount",
    "WrongOrder",
    "hookimpl",
    "hookspec",
    "load_accounts",
    "load_config",
]
