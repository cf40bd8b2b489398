"""The story, told: first consents, a Part 2 consent signed, revoked; every line asked in every act and checked.

Rules of this file
1. What should come is in `story/lines.yaml`; this file asks, compares and shows.
2. A refused question must not have reached the upstream.
3. The first request after a revocation is timed from its acknowledgement.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from rich.console import Console

from gateway.demo.asking import Asker, Seen
from gateway.demo.checks import differences
from gateway.demo.lines import Line, Story, read_story
from gateway.demo.signing import Pen, Signed
from gateway.demo.stage import RouteOf, Stage
from gateway.demo.story import HERE, StoryConsent, story_consent
from gateway.demo.table import Shown, meanings, table

ROUTES: Final = (
    RouteOf("hospital", "mercy", "us-part2"),
    RouteOf("plan", "sunrise", "us-part2"),
    RouteOf("hospital-hipaa", "mercy", "us-hipaa"),
    RouteOf("hospital-base", "mercy", "base"),
)
_OWNERS: Final = {"mercy": "Mercy General Hospital", "sunrise": "Sunrise Health Plan"}
_PATIENTS: Final = {"rosa": "Rosa", "dana": "Dana", "omar": "Omar", "lily": "Lily, who is 15"}
# After the revocation this line's client asks for this type, and must not get this record.
_WATCHED: Final = ("plan-pays", "Condition", "rosa-opioid-dependence")

Rows = Mapping[str, tuple[Seen, list[str]]]


def story_lines() -> Story:
    """Read what the story says. Raises ProfileError where the file is wrong."""
    return read_story((HERE / "lines.yaml").read_text(encoding="utf-8"), "lines.yaml")


async def tell_story(on: Stage, session: aiohttp.ClientSession, out: Console) -> int:
    """Tell the story. Gives how many differences from it there were. Raises Unsigned where a consent is not taken."""
    return await _Telling(on, session, out).whole()


class _Telling:
    def __init__(self, on: Stage, session: aiohttp.ClientSession, out: Console) -> None:
        self.on, self.out, self.story = on, out, story_lines()
        self.asker = Asker(session, data=on.data, control=on.control, token=on.token, officer=on.officer)
        self.pen = Pen(session, on.control)
        self.rosa = on.token("rosa-app", ["patient_app"])
        self.consents: dict[str, str] = {}

    async def whole(self) -> int:
        began = time.monotonic()
        self._introduce()
        await self._sign(StoryConsent.ROSA_GENERAL, self.rosa)
        await self._sign(StoryConsent.DANA_HOUSING, self.on.officer)
        first = await self._act("first", {})
        part2 = await self._sign(StoryConsent.ROSA_PART2, self.rosa)
        signed = await self._act("signed", first)
        late = await self._revoke(part2)
        revoked = await self._act("revoked", signed)
        wrong = late + sum(len(found) for act in (first, signed, revoked) for _, found in act.values())
        asked = len(first) + len(signed) + len(revoked)
        took = f"{asked} outcomes checked in {time.monotonic() - began:.1f} s"
        if wrong:
            self.out.print(f"{took}: {wrong} differences from the story.", style="bold red")
        else:
            self.out.print(f"{took}: every one is as the story says.", style="bold green")
        return wrong

    def _introduce(self) -> None:
        self.out.print(
            "[bold]Rosa[/bold] is treated for opioid use disorder at Harbor Recovery Clinic, a Part 2 program, and for "
            "diabetes at Mercy General Hospital. [bold]Dana[/bold] lives with HIV and has left a violent home. "
            "[bold]Omar[/bold] has diabetes. [bold]Lily[/bold] is 15. "
            f"Their records are on one FHIR server ({self.on.upstream_url}); the gateway stands before it "
            f"({self.on.data}) and is asked over HTTP. What is withheld its clients do not see: those columns are the "
            f"privacy officer's, from the control plane ({self.on.control}).\n",
            highlight=False,
        )

    async def _sign(self, name: StoryConsent, token: str) -> Signed:
        signed = await self.pen.sign(story_consent(name), token)
        self.consents[signed.reference] = name.value
        return signed

    async def _act(self, act: str, before: Rows) -> Rows:
        """Ask and check every line; show those whose outcome is another than before."""
        rows = {line.id: await self._ask(line, act) for line in self.story.lines}
        shown = [line for line in self.story.lines if _changed(rows[line.id], before.get(line.id))]
        self.out.rule(f"[bold]{self.story.acts[act]}", align="left")
        self.out.print(table([(line, *rows[line.id]) for line in shown], self._names()))
        if not before:
            for meaning in meanings(seen for seen, _ in rows.values()):
                self.out.print(f"  {meaning}", style="dim", highlight=False, markup=False)
        elif len(shown) < len(rows):
            self.out.print(f"The other {len(rows) - len(shown)} lines are as before.")
        for line in self.story.lines:
            self._tell(line.id, rows[line.id][1])
        self.out.print()
        return rows

    async def _ask(self, line: Line, act: str) -> tuple[Seen, list[str]]:
        asked_before = len(self.on.upstream.requests)
        seen = await self.asker.ask(line)
        wrong = differences(line, act, seen, self.story.cites, self.consents)
        if line.said[act].refused and len(self.on.upstream.requests) != asked_before:
            wrong.append("the refused question reached the upstream")
        return seen, wrong

    async def _revoke(self, consent: Signed) -> int:
        """Revoke, ask at once, and say how soon the record was gone. Gives 1 where it was not."""
        watched, type_, record = _WATCHED
        line = next(line for line in self.story.lines if line.id == watched)
        url = next(url for url in self.asker.searches(line) if f"/{type_}?" in url)
        had = record.encode() in (await self.asker.get(line, url)).body
        revoked = await self.pen.revoke(consent, self.rosa)
        sent = time.monotonic()
        body = (await self.asker.get(line, url)).body
        answered = time.monotonic()
        gone = had and record.encode() not in body and bool(body)
        after, until = ((moment - revoked.acknowledged) * 1000 for moment in (sent, answered))
        self.out.print(
            f"Rosa's app revoked the consent. The plan's next request was sent {after:.1f} ms after the "
            f"acknowledgement and answered {until:.1f} ms after it: "
            + (f"{record} is no longer there." if gone else f"{record} is not as it should be."),
            style="green" if gone else "bold red",
            highlight=False,
        )
        return 0 if gone else 1

    def _names(self) -> Shown:
        return Shown(
            patients=_PATIENTS,
            owners={route.name: _OWNERS[route.owner] for route in self.on.routes.values()},
            profiles={route.name: route.profile for route in self.on.routes.values()},
            consents=self.consents,
        )

    def _tell(self, line: str, wrong: Sequence[str]) -> None:
        for difference in wrong:
            self.out.print(f"✗ {line}: {difference}", style="red", highlight=False, markup=False)


def _changed(now: tuple[Seen, list[str]], before: tuple[Seen, list[str]] | None) -> bool:
    return before is None or _outcome(now[0]) != _outcome(before[0])


def _outcome(seen: Seen) -> object:
    return seen.status, {(told.resource, told.verdict, told.lost) for told in seen.told}, frozenset(seen.resources)
