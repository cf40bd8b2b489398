"""Lines to paste into another terminal while the demonstration stays up."""

from gateway.demo.lines import Line
from gateway.demo.stage import OFFICER, TENANT, Stage


def lines_to_try(on: Stage, lines: tuple[Line, ...]) -> list[str]:
    """Give shell lines: tokens as variables, one request for each kind of asker, an explanation, and the settings."""
    clients = list(dict.fromkeys(line.client for line in lines))
    said = [f"{_variable(client)}='{on.token(client)}'" for client in clients]
    said.append(f"{_variable(OFFICER)}='{on.officer}'")
    said.append("")
    for line in {(line.client, line.purpose, line.route): line for line in lines}.values():
        purpose = f'-H "X-Purpose-Of-Use: {line.purpose}" ' if line.purpose else ""
        url = f"{on.data}/{TENANT}/{line.route}/{line.types[-1]}?patient=Patient/{line.patients[0]}"
        said.append(f'curl -s -H "Authorization: Bearer ${_variable(line.client)}" {purpose}"{url}"')
    officer = f'curl -s -H "Authorization: Bearer ${_variable(OFFICER)}"'
    said += [
        "",
        "# why, for the X-Request-Id of any answer (curl -i shows it)",
        f"{officer} {on.control}/control/explain/REQUEST_ID",
        "# the consents of a patient",
        f'{officer} "{on.control}/fhir/Consent?patient=Patient/{lines[0].patients[0]}"',
        f"# what the gateway was started with: {on.folder}/settings.yaml, {on.folder}/directory.yaml",
    ]
    return said


def _variable(client: str) -> str:
    return client.upper().replace("-", "_")
