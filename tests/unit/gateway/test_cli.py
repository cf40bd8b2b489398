"""The command `consent-gateway`: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.facts.answer import answer


@pytest.fixture
def question(repository: Path) -> dict:
    """Read the example question of the documentation."""
    return json.loads((repository / "docs/examples/question.json").read_text())


def run(*words: str, stdin: str = "") -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, words, input=stdin)


def test_decide_answers_a_file(repository):
    """The example is answered: the hospital's visit goes, the clinic's stays, and the total says one."""
    result = run("decide", str(repository / "docs/examples/question.json"))

    found = json.loads(result.stdout)
    assert 0 == result.exit_code
    assert "permit_redacted" == found["effect"]
    assert {"Encounter/10": "disclosed", "Encounter/11": "withheld"} == {
        d["resource"]: d["verdict"] for d in found["decisions"]
    }
    assert 1 == found["released"]["total"]
    assert ["10"] == [entry["resource"]["id"] for entry in found["released"]["entry"]]


def test_a_deny_exits_one_only_when_asked(question):
    """A deny is an answer; only with --exit-status does the command fail on it."""
    question["resource"]["entry"] = question["resource"]["entry"][1:]
    text = json.dumps(question)

    assert 0 == run("decide", "-", stdin=text).exit_code
    assert 1 == run("decide", "-", "--exit-status", stdin=text).exit_code


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"purpose": None}, "never assumed"),
        ({"purpose": ["TREAT", "HPAYMT"]}, "more than one purpose"),
        ({"purpose": "TREATS"}, "no purpose of use"),
        ({"profile": "us-hippa"}, "no profile `us-hippa`"),
        ({"recipient": "nobody"}, "no participant `nobody`"),
        ({"at": "2026-11-22T09:00:00"}, "`at`"),
        ({"at": "2026-11-22"}, "offset"),
        ({"v": 2}, "version 1"),
        ({"facts": {"exchange": {"nonsense": True}}}, "unknown fact `nonsense`"),
        ({"facts": {"subjects": {"Group/1": {}}}}, "no reference to a Patient"),
        ({"unknown": 1}, "unknown"),
        ({"agreements": [{"type": "BAA", "between": ["hospital", "nobody"]}]}, "no participant `nobody`"),
        ({"resource": {"resourceType": "Bundle"}, "context": [[]]}, "context"),
        ({"resource": 7}, "resource"),
    ],
)
def test_a_question_that_cannot_be_asked_exits_two(question, change, told):
    """What is unknown, missing or doubled in a question is an error that names it, never a deny."""
    result = run("decide", "-", stdin=json.dumps(question | change))

    assert 2 == result.exit_code
    assert "" == result.stdout
    assert told in result.stderr.replace("\n", " ")


def test_lines_are_answered_in_order_and_a_bad_one_does_not_stop_the_rest(question):
    """With --ndjson every line has its answer; one that cannot be asked is told, and the run exits 2 at its end."""
    lines = [json.dumps(question | {"id": 1}), json.dumps({"id": 2}), json.dumps(question | {"id": 3})]

    result = run("decide", "-", "--ndjson", stdin="\n".join(lines))

    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert 2 == result.exit_code
    assert [1, 2, 3] == [answer["id"] for answer in answers]
    assert ["effect", "error", "effect"] == [("error" if "error" in a else "effect") for a in answers]


def test_what_breaks_inside_exits_three_and_tells_nothing(question, monkeypatch):
    """Exit 3 is for our own errors: no trace, nothing of the question; lines after it are answered."""

    def broken(raw: bytes, shelf: object) -> dict:
        if b"broken" in raw:
            raise KeyError("Patient/rosa")
        return answer(raw, shelf)

    monkeypatch.setattr("gateway.cli.answer", broken)
    lines = [json.dumps(question), json.dumps(question | {"id": "broken"}), json.dumps(question)]
    alone, many = run("decide", "-", stdin=lines[1]), run("decide", "-", "--ndjson", stdin="\n".join(lines))

    assert (3, 3) == (alone.exit_code, many.exit_code)
    assert "Patient/rosa" not in alone.output + many.output
    assert ["effect", "error", "effect"] == [
        next(key for key in ("effect", "error") if key in json.loads(line)) for line in many.stdout.splitlines()
    ]


def test_profiles_are_listed_checked_shown_and_tried():
    """The profile commands work on the profiles that come with the gateway."""
    assert "us-part2" in run("profiles", "list").stdout
    assert "profiles read: base" in run("profiles", "check").stdout
    assert "42 CFR 2.31" in run("profiles", "show", "us-part2").stdout
    assert run("profiles", "test", "base").stdout.strip().endswith("passed, 0 failed")


def test_the_search_parameters_of_a_profile_are_listed_with_their_classes():
    """Every parameter of a type has one line and one class; a type that is not searched is a wrong name."""
    told = run("profiles", "search-parameters", "us-part2", "--type", "ExplanationOfBenefit").stdout.splitlines()

    assert "ExplanationOfBenefit patient reference seen" in told
    assert "ExplanationOfBenefit encounter reference masked (seen for whole records)" in told
    assert "ExplanationOfBenefit _text string elsewhere" in told
    assert 2 == run("profiles", "search-parameters", "us-part2", "--type", "Consent").exit_code


def test_the_schema_of_profiles_is_printed():
    """What is printed is what stands in the repository."""
    told = run("profiles", "schema").stdout
    assert json.loads(told) == json.loads((Path(__file__).parents[3] / "profiles/schema.json").read_text())


def test_profiles_are_compared():
    """A switch turned off shows as a difference, and so does a case that it turns round."""
    told = run("profiles", "diff", "us-part2", "us-part2", "--switch", "single_tpo_consent=off").stdout
    assert "1 differences of rules" in told
    assert "0 differences of cases" not in told
    assert 2 == run("profiles", "diff", "us-part2", "us-part2", "--switch", "single_tpo=off").exit_code
    assert 2 == run("profiles", "diff", "us-part2", "us-part3").exit_code


def test_every_small_change_of_a_rule_is_noticed():
    """The cases of the profile everything rests on pin its rules; `make pins` asks all."""
    told = run("profiles", "pins", "base")
    assert 0 == told.exit_code, told.stdout
    assert "0 not as listed" in told.stdout


def test_a_wrong_profile_exits_three(tmp_path):
    """A profile of the operator's that does not read stops the command, naming file and line."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "profile.yaml").write_text(
        "profile: mine\nversion: '1'\ntitle: t\nsays: s\nextends: [base]\nnonsense: 1\n"
    )
    (folder / "flows.yaml").write_text("rules: []\n")

    result = run("profiles", "check", "--profiles", str(tmp_path))

    assert 3 == result.exit_code
    assert "mine/profile.yaml:6: nonsense: unknown key" in result.stderr


def test_a_token_is_signed_with_a_key_that_only_its_owner_can_read(tmp_path):
    """The development issuer makes its key once, privately, and signs with it again."""
    key = tmp_path / "key.json"
    words = ("token", "--client", "c", "--audience", "a", "--key", str(key), "--purpose", "TREAT")

    first, text = run(*words), key.read_text()
    second = run(*words)

    assert (0, 0) == (first.exit_code, second.exit_code)
    assert 2 == first.stdout.count(".")
    assert text == key.read_text()
    assert 0o600 == key.stat().st_mode & 0o777


def test_a_token_says_more_and_its_key_set_verifies_it(tmp_path):
    """Whoever tries the gateway out gets the key set that it asks for, and tokens with any claim."""
    words = ["token", "--client", "c", "--audience", "a", "--key", str(tmp_path / "key.json")]
    keys = tmp_path / "jwks.json"

    signed = run(*words, "--jwks", str(keys), "--claims", '{"fhirUser": "Practitioner/9", "sub": "x"}').stdout.strip()

    (key,) = json.loads(keys.read_text())["keys"]
    claims = jwt.decode(signed, ECKey.import_key(key), algorithms=["ES256"]).claims
    assert ("Practitioner/9", "c") == (claims["fhirUser"], claims["sub"])
    assert "d" not in key
    assert 2 == run(*words, "--claims", "[1]").exit_code


def record(identity: str, code: str, *labels: str) -> dict:
    """Make a Condition by its ICD-10-CM code, with the sensitivities a hand gave it."""
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": label} for label in labels]
    return {
        "resourceType": "Condition",
        "id": identity,
        "meta": {"security": security} if security else {"versionId": "1"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
    }


def test_lines_are_labelled_one_by_one_and_a_bad_one_does_not_stop_the_rest(tmp_path):
    """NDJSON in, NDJSON out; the table counts, the bad line is named, and the exit says that one was left out."""
    file = tmp_path / "condition.ndjson"
    file.write_text("\n".join([json.dumps(record("a", "B20")), "{", json.dumps(record("b", "I10"))]))

    result = run("label", str(file), "--profile", "us-hipaa")

    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert 2 == result.exit_code
    assert [["R", "HIV"], ["N"]] == [[one["code"] for one in each["meta"]["security"]] for each in found]
    assert "line 2: " in result.stderr
    assert "2 resources labelled" in result.stderr


def test_several_processes_write_what_one_writes(tmp_path, monkeypatch):
    """Pieces go to processes in turn: the same text in order, the same counts, the same number of a bad line."""
    monkeypatch.setattr("gateway.label_command._PIECE", 300)
    lines = [json.dumps(record(f"r{number}", "B20" if number % 3 else "I10")) for number in range(40)]
    file = tmp_path / "condition.ndjson"
    file.write_text("\n".join([*lines[:20], "{", "", *lines[20:]]))

    one, many = (run("label", str(file), "--profile", "us-hipaa", "--processes", n) for n in ("1", "2"))

    assert one.stdout == many.stdout
    assert [f"r{number}" for number in range(40)] == [json.loads(line)["id"] for line in many.stdout.splitlines()]
    assert "line 21: " in many.stderr
    counted = [" ".join(told.stderr.split()).partition("confidentiality:")[2] for told in (one, many)]
    assert counted[0].startswith(" N 14, R 26 ")
    assert counted[0] == counted[1]


def test_a_comparison_tells_precision_recall_and_every_disagreement(tmp_path):
    """The hand says HIV of both; the gateway finds one."""
    hand = tmp_path / "hand.ndjson"
    hand.write_text("\n".join(json.dumps(record(name, code, "HIV")) for name, code in (("a", "B20"), ("b", "I10"))))

    result = run("label", str(hand), "--compare", str(hand))

    assert 0 == result.exit_code
    assert ["HIV", "1.000", "0.500", "1", "1", "0"] in [line.split() for line in result.stderr.splitlines()]
    assert "HIV: Condition/b: missed" in result.stderr


@pytest.mark.parametrize("words", [["nowhere.json"], ["-", "--profile", "none"], ["-", "--compare", "nowhere.json"]])
def test_what_cannot_be_labelled_exits_two(words):
    """A file that is not there, a profile nobody has."""
    assert 2 == run("label", *words, stdin="{}").exit_code


def test_context_and_directory_are_read_for_labelling(tmp_path):
    """The visit says HIV, the directory says which organisation is a Part 2 program."""
    record_file, visit, known = (tmp_path / name for name in ("o.json", "visit.json", "directory.yaml"))
    record_file.write_text(
        json.dumps(
            {
                "resourceType": "Observation",
                "id": "o",
                "encounter": {"reference": "Encounter/e"},
                "performer": [{"reference": "Organization/oasis"}],
            }
        )
    )
    visit.write_text(json.dumps({"resourceType": "Encounter", "id": "e", "reasonCode": [{"text": "HIV care"}]}))
    known.write_text(
        "participants: [{id: oasis, type: provider_part2, part2_program: true, purposes: [],"
        " references: [Organization/oasis]}]\n"
    )

    result = run("label", str(record_file), "--context", str(visit), "--directory", str(known))

    assert 0 == result.exit_code, result.stderr
    codes = [one["code"] for one in json.loads(result.stdout)["meta"]["security"]]
    assert ["R", "42CFRPart2", "HIV"] == codes


def test_a_question_is_explained_in_words_and_as_json(repository):
    """The clinic's visit is withheld for want of a Part 2 consent; JSON says the same as the words."""
    file = str(repository / "docs/examples/question.json")
    words = run("explain", file, "--record", "Encounter/11")
    found = json.loads(run("explain", file, "--json").stdout)

    assert 0 == words.exit_code
    assert "Encounter/11" in words.stdout
    assert "a consent that meets 42 CFR 2.31 were on file" in words.stdout
    assert "Encounter/10" not in words.stdout
    assert ["Encounter/10", "Encounter/11"] == [record["resource"] for record in found["records"]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-",), "not a question"),
        (("0" * 32,), "--config"),
        (("no-such-file",), "cannot be read"),
    ],
)
def test_what_cannot_be_explained_exits_two(words, told):
    """No question, no file, an id without the gateway it is of."""
    result = run("explain", *words, stdin="{}")

    assert (2, "") == (result.exit_code, result.stdout)
    assert told in result.stderr


def test_a_record_that_is_not_there_is_not_explained(repository):
    """A record that the question does not have is an error that names it."""
    result = run("explain", str(repository / "docs/examples/question.json"), "--record", "Claim/1")

    assert 2 == result.exit_code
    assert "no record `Claim/1`" in result.stderr
