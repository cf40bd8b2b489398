"""v3-Confidentiality as a total order (labels.md section 2; http://terminology.hl7.org/CodeSystem/v3-Confidentiality)."""

from enum import IntEnum


class Confidentiality(IntEnum):
    """U < L < M < N < R < V."""

    U = 0
    L = 1
    M = 2
    N = 3
    R = 4
    V = 5
