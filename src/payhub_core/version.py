"""The version, in a place that a package keeps whatever else it drops."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
