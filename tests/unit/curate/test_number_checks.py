"""Check digits, issuers, lengths and addresses, each with numbers that are and that are not."""

from __future__ import annotations

import ipaddress
import random

import pytest

from bessemer.curate.number_checks import (
    IBAN_CHARS,
    is_card_number,
    is_iban,
    is_public_ipv4,
    is_public_ipv6,
    is_ssn,
    passes_luhn,
)


def test_one_check_digit_of_ten_is_right_and_a_wrong_digit_is_noticed() -> None:
    rng = random.Random(1)
    for _ in range(200):
        body = "".join(rng.choices("0123456789", k=rng.randrange(1, 19)))
        [right] = [body + check for check in "0123456789" if passes_luhn(body + check)]
        place = rng.randrange(len(right))
        for digit in set("0123456789") - {right[place]}:
            assert not passes_luhn(right[:place] + digit + right[place + 1 :])


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111", "4012888888881881", "5555555555554444", "5105105105105100",
        "2223003122003222", "378282246310005", "371449635398431", "6011111111111117",
        "30569309025904", "3530111333300000", "6759649826438453",
    ],
)  # fmt: skip
def test_numbers_that_issuers_give_for_tests_are_card_numbers(number: str) -> None:
    assert is_card_number(number)
    assert not is_card_number(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    "number",
    ["0000000000000000", "1234567812345670", "4222222222222", "9780306406157", "49927398716"],
)
def test_the_check_digit_alone_makes_no_card(number: str) -> None:
    assert not is_card_number(number)


IBANS = (  # noqa: SIM905 - examples of the registry
    "GB29NWBK60161331926819 DE89370400440532013000 FR1420041010050500013M02606 NO9386011117947 "
    "CH9300762011623852957 MT84MALT011000012345MTLCAST001S BE68539007547034 "
    "NL91ABNA0417164300 ES9121000418450200051332 IT60X0542811101000000123456 "
    "LC55HEMM000100010012001200023015 SA0380000000608010167519 BR1800360305000010009795493C1"
).split()


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_has_the_length_of_its_country_and_the_right_remainder(iban: str) -> None:
    assert is_iban(iban)
    assert not is_iban(iban[:-1])
    assert not is_iban(iban[:2] + iban[3] + iban[2] + iban[4:]) or iban[2] == iban[3]
    assert not is_iban("XX" + iban[2:])


def test_lengths_are_within_the_standard() -> None:
    assert len(IBAN_CHARS) > 80
    assert all(15 <= length <= 34 and len(code) == 2 for code, length in IBAN_CHARS.items())


@pytest.mark.parametrize(
    "address", ["86.121.97.248", "19.253.176.22", "93.184.216.34", "100.128.0.1", "172.32.0.1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public_ipv4(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.2.3.4", "8.8.8.8", "1.1.1.1", "4.2.2.2", "10.200.1.1", "127.0.0.53", "192.168.178.1",
        "172.31.255.1", "169.254.169.254", "100.64.99.1", "192.0.2.45", "198.51.100.45",
        "203.0.113.45", "224.0.0.251", "255.255.255.255", "120.0.0.0", "0.0.0.0",
    ],
)  # fmt: skip
def test_addresses_of_nobody_and_versions(address: str) -> None:
    assert not is_public_ipv4(address)


def test_of_public_ipv4_addresses_few_are_left_out() -> None:
    rng = random.Random(2)
    drawn = [ipaddress.IPv4Address(rng.randrange(1 << 24, 224 << 24)) for _ in range(5000)]
    public = [address for address in drawn if address.is_global and not address.is_multicast]
    left_out = [address for address in public if not is_public_ipv4(str(address))]
    assert len(left_out) < len(public) / 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2001:4860:4860::8888", True),
        ("2a02:8109:9c40:1d00:f1c7:c5e8:1f3c:7a6b", True),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("fe80::1", False),
        ("::1", False),
        ("fc00::1", False),
        ("dead::beef", False),
        ("2021:12:31", False),
        ("00:1b:44:11:3a:b7", False),
        ("2001::1::2", False),
    ],
)
def test_ipv6(text: str, expected: bool) -> None:
    assert is_public_ipv6(text) is expected


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("054286917", True), ("899120001", True), ("000121234", False), ("666121234", False),
        ("900121234", False), ("999121234", False), ("123001234", False), ("123120000", False),
        ("078051120", False), ("219099999", False),
    ],
)  # fmt: skip
def test_ssn(digits: str, expected: bool) -> None:
    assert is_ssn(digits) is expected
