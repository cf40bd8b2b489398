"""What a ruling costs cold: categories and rules for one resource, nothing remembered of an earlier one.

Run: python -m tests.bench.rules_bench FOLDER_OF_SYNTHEA_BUNDLES

Asked are flows of every profile over whole patients. The policy is specialised to the exchange once per document, as in
the proxy; what is timed is what each resource costs after that, every one as if none alike had
been before it. The scan, the labels and the consents have benches of their own.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import bootstrap
from gateway.decision import bench
from gateway.decision.case import Case
from gateway.decision.combine import Ruling, rule_on
from gateway.decision.recognising import Recogniser
from gateway.decision.specialised import Rules
from gateway.facts.answer import answer

FLOWS = (
    ("us-hipaa", "provider_general", "provider_general", "TREAT"),
    ("us-part2", "provider_general", "mco", "CAREMGT"),
    ("us-ca-calaim", "provider_general", "mcp", "CAREMGT"),
    ("us-ca-calaim", "mcp", "dhcs", "HPRGRP"),
    ("us-ny-health-home", "mco", "health_home_lead", "CAREMGT"),
)


class Timed:
    """A function whose calls are timed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.times = function, list[int]()

    def __call__(self, *arguments: Any) -> Any:
        """Call it, and note how long it took."""
        began = time.thread_time_ns()
        found = self.function(*arguments)
        self.times.append(time.thread_time_ns() - began)
        return found


def question(flow: tuple[str, str, str, str], resource: object) -> bytes:
    """Ask about a whole document under one flow."""
    profile, discloser, recipient, purpose = flow
    return json.dumps(
        {
            "v": 1,
            "at": "2026-11-22T12:00:00Z",
            "profile": profile,
            "participants": [
                {"id": "source", "type": discloser, "hipaa_covered": True, "references": ["Organization/source"]},
                {"id": "recipient", "type": recipient, "hipaa_covered": True, "references": ["Organization/recipient"]},
            ],
            "agreements": [{"type": "BAA", "between": ["source", "recipient"]}],
            "discloser": "source",
            "recipient": "recipient",
            "purpose": purpose,
            "facts": {"exchange": {"required_by_law": True}},
            "resource": resource,
        }
    ).encode()


def main(folder: Path) -> None:
    """Measure and print, in microseconds a resource."""
    shelf = bootstrap.read_shelf()
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))][:3]
    recognise, signature = Recogniser.categories, vars(bench)["_signature"]
    for flow in FLOWS:
        ruled, recognised = Timed(rule_on), Timed(recognise)

        def first(case: Case, rules: Rules, timed: Timed = ruled) -> Ruling:
            rules.lines(case).found.clear()
            found: Ruling = timed(case, rules)
            return found

        vars(bench)["rule_on"] = first
        vars(bench)["_signature"] = lambda _: object()  # like nothing before
        Recogniser.categories = lambda *told, timed=recognised: timed(*told)  # type: ignore[method-assign]
        try:
            for document in documents:
                asked = question(flow, document)
                gc.disable()
                answer(asked, shelf)
                gc.enable()
        finally:
            vars(bench)["rule_on"], vars(bench)["_signature"] = rule_on, signature
            Recogniser.categories = recognise  # type: ignore[method-assign]
        medians = [statistics.median(timed.times) / 1000 for timed in (recognised, ruled)]
        tail = statistics.quantiles(ruled.times, n=10)[8] / 1000
        sys.stdout.write(
            f"{' '.join(flow)}: categories {medians[0]:.1f}, rules {medians[1]:.1f} (90th percentile {tail:.1f}), "
            f"together {sum(medians):.1f} µs; {len(recognised.times)} resources, {len(ruled.times)} cold rulings\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
