"""The control plane: what schemathesis found before. `make fuzz` runs it."""

import pytest

from tests.attack.scene import staged


@pytest.mark.parametrize("body", [b"{}", b'{"resourceType":"Bundle","entry":[{"resource":{}}]}'])
async def test_an_empty_object_is_no_record_to_label(tmp_path, body):
    """It was a 500: there is no member beside which labels could be written."""
    async with staged(tmp_path) as scene:
        gate = scene.gate
        said = {
            "Authorization": f"Bearer {gate.token('o', roles=['operator'])}",
            "Content-Type": "application/fhir+json",
        }
        found = await gate.send("POST", f"{gate.control}/control/label", said, body)
    assert found.status in {400, 422}
