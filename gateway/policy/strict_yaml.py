"""The YAML reader, under the name policy asks it by; it lives lower, where settings and directory reach it."""

from gateway.strict_yaml import Node, load

__all__ = ["Node", "load"]
