"""The YAML reader: what is accepted, and what each refusal names."""

import pytest

from gateway.errors import ProfileError
from gateway.strict_yaml import load


def refusal(text: str, read=lambda top: top.finish()) -> str:
    """Load and read `text`, and give the message it is refused with."""
    with pytest.raises(ProfileError) as caught:
        read(load(text, "f.yaml"))
    return caught.value.message


def test_values_mean_what_the_reader_asks_for():
    """A scalar is given as written when text is asked, and typed only where a type is asked."""
    top = load("code: NO\nrule: 4-2\ncite: 2.10\non: true\nsize: 32\nwait: 2.5\nlist: [a, b]\n", "f.yaml")
    assert ("NO", "4-2", "2.10") == (top.at("code").text(), top.at("rule").text(), top.at("cite").text())
    assert top.at("on").flag() is True
    assert 32 == top.at("size").integer(least=1, most=40)
    assert 2.5 == top.at("wait").number()
    assert ("a", "b") == top.at("list").texts()
    top.finish()


def test_a_key_not_written_gives_the_default_or_is_missing():
    """Optional keys have a default in code; required ones are named by line when missing."""
    top = load("a: 1\n", "f.yaml")
    assert "UTC" == top.at("zone").text("UTC")
    assert () == top.at("routes").items() == top.at("map").entries()
    assert not top.at("zone").present
    assert "f.yaml:1: b: is missing" == refusal("a: 1\n", lambda t: t.at("b").text())


def test_every_unknown_key_is_named():
    """Keys nobody asked for are reported together, nested ones and those in lists too."""
    text = "a: {x: 1, y: 2}\nlist:\n  - {n: 1, m: 2}\nz: 3\n"

    def read(top):
        top.at("a").at("x").integer()
        for item in top.at("list").items():
            item.at("n").integer()
        top.finish()

    assert [
        "f.yaml:1: a.y: unknown key",
        "f.yaml:3: list[0].m: unknown key",
        "f.yaml:4: z: unknown key",
    ] == refusal(text, read).splitlines()


def test_free_keys_are_all_read():
    """A mapping whose keys the author chose has no unknown key, but its values' keys are still checked."""
    text = "tenants:\n  one: {a: 1}\n  two: {a: 2, b: 3}\n"

    def read(top):
        for _name, node in top.at("tenants").entries():
            node.at("a").integer()
        top.finish()

    assert "f.yaml:3: tenants.two.b: unknown key" == refusal(text, read)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: a: stands twice"),
        ("a: &x 1\nb: *x\n", "f.yaml:1: a: anchors, aliases and tags are not allowed"),
        ("a: *x\n", "f.yaml:1: a: anchors, aliases and tags are not allowed"),
        ("a: !!python/name:os.system x\n", "f.yaml:1: a: anchors, aliases and tags are not allowed"),
        ("a: 1\n---\nb: 2\n", "f.yaml:1: more than one document"),
        ("", "f.yaml:1: document: is empty"),
        ("a:\n  - b\n c: d\n", "f.yaml:3: not YAML: expected <block end>, but found '<block mapping start>'"),
        ("a: \x07\n", "f.yaml:1: not YAML: a character that YAML does not allow"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        ("? [a]\n: 1\n", "f.yaml:1: key: must be a single value"),
        ("<<: {a: 1}\n", "f.yaml:1: <<: unknown key"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text, message):
    """Whatever could make a file mean something else than it shows is refused by line."""
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("a: yes\n", lambda n: n.flag(), "must be true or false"),
        ("a: 'true'\n", lambda n: n.flag(), "must be true or false"),
        ("a: 1e3\n", lambda n: n.integer(), "must be a whole number"),
        ("a: '12'\n", lambda n: n.integer(), "must be a whole number"),
        ("a: 0\n", lambda n: n.integer(least=1, most=9), "must lie between 1 and 9"),
        ("a: -1.5\n", lambda n: n.number(least=0), "must not be below 0"),
        ("a:\n", lambda n: n.text(), "has no value"),
        ("a: [b, b]\n", lambda n: n.texts(), "stands twice"),
        ("a: [b]\n", lambda n: n.text(), "must be a single value"),
        ("a: b\n", lambda n: n.items(), "must be a list"),
        ("a: b\n", lambda n: n.at("c"), "must be a mapping"),
        ("a: c\n", lambda n: n.one_of({"x", "y"}), "`c` is not one of x, y"),
    ],
)
def test_a_value_of_another_kind_is_refused(text, read, message):
    """Nothing is coerced: another kind than the reader asks for is an error that names the key."""
    said = refusal(text, lambda top: read(top.at("a")))
    assert said.startswith("f.yaml:1: a")
    assert message in said


def test_plain_gives_json_kinds():
    """A free subtree is given as plain values; quoted text stays text."""
    top = load("a: {b: [1, 2.5, true, ~, 'true', yes]}\n", "f.yaml")
    assert {"b": [1, 2.5, True, None, "true", "yes"]} == top.at("a").plain()
    top.finish()
