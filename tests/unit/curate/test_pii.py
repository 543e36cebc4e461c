"""What each finder takes and leaves; ranges in order, of whole characters, wherever they stand."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.curate import PiiConfig, PiiKind
from bessemer.curate.pii import FINDERS, PLACEHOLDERS, Found, find_pii

ALL: tuple[PiiKind, ...] = PiiConfig().web


def find(text: str, kinds: tuple[PiiKind, ...] = ALL) -> list[tuple[str, str]]:
    """(kind, what was found) in one text."""
    data = text.encode()
    return [
        (each.kind, data[each.start_byte : each.end_byte].decode())
        for _, found in find_pii(pa.array([text], pa.large_string()), kinds)
        for each in found
    ]


def masked(text: str) -> str:
    data = text.encode()
    for _, found in find_pii(pa.array([text], pa.large_string()), ALL):
        for each in reversed(found):
            replacement = PLACEHOLDERS[each.kind].encode()
            data = data[: each.start_byte] + replacement + data[each.end_byte :]
    return data.decode()


# In each text everything between ‹ and › is to be masked, and nothing else.
MARKED: dict[str, list[str]] = {
    "email": [
        "Write to ‹anna.berg+news@post.example-firma.de›.",
        "‹x@y.org›, ‹X_1@SUB.Example.CO.UK›; <‹a-b@c-d.info›>",
        "mailto:‹someone@uni-koeln.de›?subject=hi",
        "请联系‹foo@bar.cn›。",
        "'‹foo@bar.com›' (‹a%b@bar.com›)",
        "Copyright 2011 ‹jane@acme.com›: all rights reserved",
        "user@example.com, test@example.org, root@localhost, me@host.local, a@b.test",
        "git@github.com:owner/project.git",
        "logo@2x.png lodash@4.17.21 @decorator x @ y a@b",
        "h = x@W.weight + a@b.T",
        "..@a.com a..b@c.com a@-b.com a@b..com",
    ],
    "phone": [
        "Call ‹(602)272-9781› or ‹780-999-2181›, ‹+1-604-696-5272x565›.",
        "‹+41 (0)69 979 80 58›, ‹+46 (0)8 928 571 38›; ‹+447700 208 815›",
        "‹001-518-640-0854›, ‹(08) 8747 6301›, ‹1 (800) 555-0199›",
        "Tel. ‹0341 8387176›, Fax: ‹032 288 79 44›, Téléphone : ‹01 42 68 53 00›",
        "phone: ‹5403926876›",
        "tel:‹+4930901820›",
        "Order 0341 8387176 of 2019-03-04, item 5403926876, 60-56-85-91",
        "ISBN 0-306-40615-2, 978-0-306-40615-7; ISSN 0378-5955",
        "1914-1918, 10.1000/182-200-3000, 1-800, 12:30:45, 1.234.567,89, -555-123-4567",
        "3.14159265358979 1,234,567 0x12345678 1234567890123 555_123_4567",
        "256 512 1024, 404 555 1234",
        "id 123-456-78901 1234-567-8901 a123-456-7890",
        "x = +12345678; y +1000; INT_MAX = +2147483647",
        "+1980-02-29 01:02:03 +292278994-08-17T07:12:55",
    ],
    "ip": [
        "from ‹86.121.97.248›, port ‹93.184.216.34›:8080, http://‹93.184.216.34›/x",
        "‹54.240.196.186›/32 and ‹54.240.196.1›-‹54.240.196.99›.",
        "[‹2001:4860:4860::8888›]:53, ‹2a02:8109:9c40:1d00:f1c7:c5e8:1f3c:7a6b›.",
        "version 1.2.3.4, v91.40.44.124, Chrome/120.40.60.109, pkg==102.40.33.4",
        "release 99.98.97.96",
        "1.2.3.4 2.0.0.1 10.1.2.3 192.168.178.20 127.0.0.1 8.8.8.8",
        "86.121.97.248.12 1.86.121.97.248 86.121.97.2480 86.121.97.256 086.121.97.248",
        "1.3.6.1.4.1.311.21.20, libfoo-102.40.33.4-x, 86.121.97.248.example.com",
        "std::vector a::b dead::beef 12:30:45 00:1b:44:11:3a:b7 2001:db8::1 fe80::1 3:16:18",
    ],
    "card": [
        "card ‹4111 1111 1111 1111›, ‹5555-5555-5555-4444› or ‹378282246310005›",
        "(‹3714 496353 98431›)",
        "‹4454794511390933›",
        "pay with ‹4012 8888 8888 1881› 12/27",
        "4111 1111 1111 1112, 4111-1111 1111-1111, 1234 5678 1234 5670, 4111111111111111a",
        "-4111111111111111 0.4111111111111111 x4111111111111111",
        "4111111111111111.5 #4111111111111111",
        "9780306406157 4006381333931 20231231235959 1609459200000",
        "4111 1111 1111 1111 1111 1111 1111 1111",
    ],
    "iban": [
        "‹DE89370400440532013000› ‹GB29 NWBK 6016 1331 9268 19› ok",
        "IBAN:‹FR14 2004 1010 0505 0001 3M02 606›.",
        "DE89370400440532013001 XX89370400440532013000 de89370400440532013000",
        "ADE89370400440532013000 DE893704004405320130001 DE89 3704 0044 0532 0130 0",
    ],
    "ssn": [
        "SSN ‹054-28-6917›.",
        "000-12-3456 666-12-3456 912-12-3456 123-00-4567 123-45-0000 078-05-1120",
        "054-28-69171 1054-28-6917 054-286-917 054-28-6917-1 A054-28-6917 2054/28/6917",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in MARKED.items() for text in texts]
)
def test_a_finder_takes_what_is_marked_and_nothing_else(kind: str, text: str) -> None:
    plain = text.replace("‹", "").replace("›", "")
    expected = [(kind, part.partition("›")[0]) for part in text.split("‹")[1:]]
    assert find(plain) == expected


BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def draw(length: int, alphabet: str = BASE62, seed: int = 3) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


KEYS = [
    "AKIA" + draw(16, BASE62[:26] + "234567"),
    "ghp_" + draw(36),
    "github_pat_" + draw(22) + "_" + draw(59),
    "glpat-" + draw(20),
    "sk_" + "live_" + draw(24),
    "xoxb" + "-123456789012-" + draw(24),
    "AIza" + draw(35),
    "sk-proj-" + draw(48),
    "hf_" + draw(34),
    "npm_" + draw(36),
    "pypi-AgEIcHlwaS5vcmc" + draw(60),
    "SG." + draw(22) + "." + draw(43),
    "dop_v1_" + draw(64, "0123456789abcdef"),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + draw(43),
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_known_form_are_secrets_wherever_they_stand(key: str) -> None:
    for text in (
        key,
        f'k = "{key}"',
        f"curl -H x:{key} -v",
        f"see {key}, then",
        f"https://h/?k={key}&b",
    ):
        assert find(text) == [("secret", key)], text
    assert find(f"z{key}") == []
    assert find(key[:14]) == []


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "‹{}›"',
        "API_KEY=‹{}›",
        "password: '‹{}›'",
        '"client_secret": "‹{}›",',
        "Authorization: Bearer ‹{}›",
        "accessKey => '‹{}›'",
        'os.environ["DB_PASSWORD"] = "‹{}›"',
    ],
)
@pytest.mark.parametrize(
    "value", [draw(24), draw(40, "0123456789abcdef"), draw(30, BASE62 + "+/") + "=="]
)
def test_random_values_of_telling_names_are_secrets(text: str, value: str) -> None:
    marked = text.format(value)
    assert find(marked.replace("‹", "").replace("›", "")) == [("secret", value)]
    assert find(f'checksum = "{value}"') == []


@pytest.mark.parametrize(
    "text",
    [
        "token = self.tokenizer2.next_token_id(4)",
        'password_field = "login_form_2_password_input"',
        'secret_path = "/etc/kubernetes/secrets/v1/data2024"',
        'api_key = "your-api-key-goes-here-12"',
        'token = "aaaaaaaaaaaaaaaa1111"',
        "tokens: 12345678901234567890",
        "PublicKeyToken=b77a5c561934e089",
        'tokenizer_dir="EleutherAI/pythia-160m"',
        "token: D3D10_SB_RESOURCE_RETURN_TYPE",
        'token_url = "https://login.host.com/oauth2/v2/token99"',
        "the token 0123456789abcdef0123 is not assigned",
        "sk-spinner-double-bounce-1 task-0123456789 risk-of-2020-to-2030",
    ],
)
def test_identifiers_paths_and_words_are_no_secrets(text: str) -> None:
    assert find(text) == []


def armoured(name: str, body: str) -> str:
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"


def test_private_keys_go_with_their_frame_and_public_ones_stay() -> None:
    body = "\n".join(draw(64, BASE62 + "+/", seed) for seed in range(8))
    for name in ("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"):
        assert masked(f"a {armoured(name, body)} z") == "a <SECRET> z"
    for name in ("CERTIFICATE", "PUBLIC KEY", "PGP MESSAGE"):
        assert masked(armoured(name, body)) == armoured(name, body)
    assert masked(f"-----BEGIN PRIVATE KEY-----\n{body}") == "<SECRET>"
    escaped = armoured("PRIVATE KEY", body).replace("\n", "\\n")
    assert masked(f'"{escaped}"') == '"<SECRET>"'


def test_of_overlapping_ranges_that_of_the_first_finder_counts() -> None:
    order = list(dict.fromkeys(finder.kind for finder in FINDERS))
    assert order == ["secret", "email", "iban", "card", "ip", "ssn", "phone"]
    assert find("tel 4111-1111-1111-1111") == [("card", "4111-1111-1111-1111")]
    assert find("054-28-6917@mail.com") == [("email", "054-28-6917@mail.com")]
    assert find("phone 054-28-6917") == [("ssn", "054-28-6917")]
    assert find("phone 054-28-6917", kinds=("phone",)) == [("phone", "054-28-6917")]
    assert find("phone 054-28-6917", kinds=()) == []


def test_every_kind_has_one_placeholder_in_which_nothing_is_found() -> None:
    assert set(PLACEHOLDERS) == set(ALL)
    assert len(set(PLACEHOLDERS.values())) == len(ALL)
    assert find(" ".join(PLACEHOLDERS.values())) == []


SNIPPETS = st.sampled_from(
    [
        "anna@post.de",
        "@",
        "é",
        "香",
        "😀",
        " ",
        "\n",
        ".",
        "-",
        ":",
        "/",
        "+",
        "(",
        ")",
        "0",
        "12",
        "602-272-9781",
        "+41 69 979 80 58",
        "86.121.97.248",
        "2001:4860:4860::8888",
        "4111 1111 1111 1111",
        "378282246310005",
        "DE89370400440532013000",
        "054-28-6917",
        KEYS[0],
        KEYS[1],
        'password="' + draw(20),
        "-----BEGIN PRIVATE KEY-----",
        "tel ",
        "version ",
    ]
)
TEXTS = st.lists(SNIPPETS, max_size=12).map("".join)


@given(st.lists(TEXTS, max_size=6), st.integers(0, 6))
def test_ranges_are_disjoint_in_order_and_of_whole_characters_wherever_the_text_stands(
    texts: list[str], cut: int
) -> None:
    def spans(part: list[str]) -> list[tuple[Found, ...]]:
        found: list[tuple[Found, ...]] = [() for _ in part]
        for index, each in find_pii(pa.array(part, pa.large_string()), ALL):
            found[index] = each
        return found

    together = spans(texts)
    assert together == spans(texts[:cut]) + spans(texts[cut:])
    assert together == [spans([text])[0] for text in texts]
    for text, found in zip(texts, together, strict=True):
        data = text.encode()
        assert all(a.end_byte <= b.start_byte for a, b in pairwise(found))
        for each in found:
            assert 0 <= each.start_byte < each.end_byte <= len(data)
            data[: each.start_byte].decode()
            data[each.start_byte : each.end_byte].decode()


ADVERSARIAL = [
    "1",
    "1 ",
    "1.",
    "1-",
    "(1",
    "+1",
    "+1 ",
    "1.1.1.1.",
    "a",
    "a1",
    "a@",
    "@a",
    "a.",
    "a@a.",
    "a@a.aa ",
    "1234-",
    "4111 1111 1111 1111 ",
    "4111111111111111",
    "AA11",
    "AA11 ",
    "DE89 3704 0044 0532 ",
    "-----B",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA ",
    "eyJ",
    "eyJaaaaaaaaaa.",
    "-eyJ",
    "+eyJ",
    "ghp_",
    "sk-",
    "xoxb-",
    "sk_live_",
    "token=",
    'password="',
    "token: a1",
    "a1_",
    "a1/",
    "::",
    "2001:",
    "2001:1:",
    "123-45-6789-",
    "602-272-9781 x",
    "tel 1",
    "tel 12 ",
    "(0",
    "(02) 12 ",
    "é1",
    "\0",
    "A1=",
]


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    find("warm up")
    text = unit * (2**18 // len(unit.encode()))
    begin = time.process_time()
    for tail in ("x", "1"):
        find(text + tail)
    assert (
        time.process_time() - begin < 10
    )  # a second at most is usual; what backtracks takes hours
