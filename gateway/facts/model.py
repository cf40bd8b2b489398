"""What is known when a document is judged; the value itself belongs to the room that judges."""

from gateway.decision.facts import Facts

__all__ = ["Facts"]
