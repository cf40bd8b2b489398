"""The control plane fuzzed by schemathesis from its own OpenAPI: no 5xx, no stack trace.

The routes read their bodies themselves, so the OpenAPI names none; here each POST and PUT is given one of any JSON.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.attack.scene import staged

ROLES = ("privacy_officer", "operator", "consent_consult")


def with_bodies(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the OpenAPI with a body of any JSON for whatever takes one."""
    content = {"application/fhir+json": {"schema": {}}, "application/json": {"schema": {"type": "object"}}}
    for operations in schema["paths"].values():
        for method in ("post", "put"):
            if method in operations:
                operations[method]["requestBody"] = {"content": content}
    return schema


async def fuzz_control(folder: Path, seconds: float, seed: int) -> tuple[bool, str]:
    """Fuzz for so long; gives whether all was well, and what schemathesis says in the end."""
    async with staged(folder) as scene:
        gate = scene.gate
        said = {"Authorization": f"Bearer {gate.token('officer', roles=ROLES)}"}
        found = await gate.send("GET", f"{gate.control}/openapi.json", said)
        schema = folder / "openapi.json"
        schema.write_text(json.dumps(with_bodies(found.json)))
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"), "run", str(schema), "--url", gate.control,
            "--header", f"Authorization: {said['Authorization']}", "--checks", "not_a_server_error",
            "--max-time", str(max(int(seconds), 5)),
            "--max-examples", "50", "--no-color", "--seed", str(seed), "--suppress-health-check", "all",
            cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        heard = "\n".join(scene.trap.heard)
        if "Traceback" in heard or "unforeseen" in heard:
            return False, "a log holds a stack trace:\n" + heard[-3000:]
    return process.returncode == 0, out.decode("utf-8", "replace")[-6000:]
