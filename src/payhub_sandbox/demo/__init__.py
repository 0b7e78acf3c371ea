"""The demonstration: a minimal shop, the local gateway, and one order played between them over real HTTP."""
