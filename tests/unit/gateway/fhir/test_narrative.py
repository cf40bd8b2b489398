"""Narrative is what R4 lets it be, or it is not shown (L060)."""

import pytest

from gateway.fhir.narrative import is_clean


def div(inner: str, **more: str) -> str:
    """A narrative."""
    said = "".join(f' {name}="{value}"' for name, value in more.items())
    return f'<div xmlns="http://www.w3.org/1999/xhtml"{said}>{inner}</div>'


CLEAN = [
    "plain words &lt;b&gt; &amp; &#233;",
    "<p>one<br/>two <b>three</b></p><hr/>",
    '<table class="grid" style="border: 1px solid #8da1b4"><tr><td colspan="2">x</td></tr></table>',
    '<a href="https://example.org/a?b=c#d">x</a><a href="#here">y</a><a href="Patient/1">z</a><a name="here"> </a>',
    '<a href="mailto:a@b.example">x</a> <a href="tel:+1">y</a>',
    '<img src="#pic" alt="a"/><img src="data:image/png;base64,iVBORw0KGgo=" alt="b"/>',
    '<p style="margin-bottom: 0px"/><span lang="en" xml:lang="en" title="t">x</span>',
]


@pytest.mark.parametrize("inner", CLEAN)
def test_what_r4_allows_is_shown(inner):
    """Words, tables, lists, links to pages, images that are inside."""
    assert is_clean(div(inner))


ACTIVE = [
    "<script>alert(1)</script>",
    "<SCRIPT>alert(1)</SCRIPT>",
    '<svg onload="alert(1)"/>',
    '<b onclick="alert(1)">x</b>',
    '<img src="x" onerror="alert(1)"/>',
    '<img src="http://elsewhere.example/pixel.png"/>',
    '<img src="data:image/svg+xml;base64,PHN2Zz4="/>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="vbscript:x">x</a>',
    '<a href="data:text/html,x">x</a>',
    '<a href="//elsewhere.example\\@x">x</a>',
    '<a cite="javascript:x">x</a>',
    '<p style="background: url(http://x.example)">x</p>',
    '<p style="width: expression(alert(1))">x</p>',
    '<p style="behavior: x">x</p>',
    '<p style="position: fixed">x</p>',
    '<p style="wid\\74 h: 1">x</p>',
    '<iframe src="https://x.example"/>',
    "<form><input/></form>",
    "<style>p {}</style>",
    '<object data="x"/>',
    '<link rel="stylesheet" href="https://x.example"/>',
    '<base href="https://x.example"/>',
    '<meta http-equiv="refresh"/>',
    '<a xlink:href="javascript:x">x</a>',
    '<b xmlns="http://www.w3.org/2000/svg">x</b>',
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<![CDATA[<script>]]>",
    "<?php x ?>",
    "&unknown;",
    "<p>never closed",
]


@pytest.mark.parametrize("inner", ACTIVE)
def test_what_could_act_is_not_shown(inner):
    """Scripts, events, other addresses, active styles, foreign elements, instructions: one of them is enough."""
    assert not is_clean(div(inner))


WHOLES = [
    "",
    "words",
    "<p>x</p>",
    "<div>a</div><div>b</div>",
    '<!DOCTYPE div [<!ENTITY x "y">]><div>&x;</div>',
    '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><div>&b;</div>',
    '<!DOCTYPE d SYSTEM "http://elsewhere.example/x.dtd"><div/>',
    '<?xml version="1.0"?><div/>',
    "<div>" * 2 + "</div>",
    "\ud800",
    div("x", onclick="y"),
]


@pytest.mark.parametrize("text", WHOLES)
def test_what_is_no_narrative_is_not_shown(text):
    """Other forms, declarations, entities: refused before they could be expanded or fetched."""
    assert not is_clean(text)


def test_a_narrative_is_bounded():
    """A megabyte is the most that is looked at."""
    assert is_clean(div("x" * 1000))
    assert not is_clean(div("x" * (1 << 20)))
