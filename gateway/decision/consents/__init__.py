"""The pure evaluation of consents: compile → specialise to an exchange → decide on each resource.

In: `Consent` and `Unreadable` values, the exchange, and what the context shows (`Relations`). Out: a `ConsentAnswer`
for a `Target`, with the provisions that gave it, and for a permit whether it meets 42 CFR 2.31 (`part2_compliant`).
Called by `gateway.decision` for every subject a resource names.
"""

from gateway.decision.consents.answer import ConsentAnswer, Permit, Target
from gateway.decision.consents.compile import Compiled, compile_consents
from gateway.decision.consents.memory import Memory
from gateway.decision.consents.part2 import part2_compliant
from gateway.decision.consents.program import ConsentProgram
from gateway.decision.consents.relations import PARTICIPANT_TYPE, Relations
from gateway.decision.consents.settling import specialise

__all__ = [
    "PARTICIPANT_TYPE",
    "Compiled",
    "ConsentAnswer",
    "ConsentProgram",
    "Memory",
    "Permit",
    "Relations",
    "Target",
    "compile_consents",
    "part2_compliant",
    "specialise",
]
