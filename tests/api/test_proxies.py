"""Nobody chooses the address that the log shows for them."""

import pytest

from retort.api.proxies import find_client
from retort.config import parse_networks

TRUSTED = parse_networks("10.0.0.0/8, 2001:db8::/32, ::1,")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("6.6.6.6", "1.2.3.4", "6.6.6.6"),  # no proxy: the header is the client's own invention
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6", "6.6.6.6"),
        ("10.0.0.1", "1.2.3.4, 6.6.6.6", "6.6.6.6"),
        ("10.0.0.1", "1.2.3.4,6.6.6.6 ,\t10.9.9.9", "6.6.6.6"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # somebody inside
        ("10.0.0.1", "not an address, 6.6.6.6", "6.6.6.6"),  # beyond the first stranger nothing is read
        ("::1", "2001:DB8:0::5", "2001:db8::5"),
        ("::1", "2a00::1, 2001:db8::5", "2a00::1"),
        ("::ffff:10.0.0.1", "::ffff:6.6.6.6", "6.6.6.6"),  # a socket for both families
        ("10.0.0.1", "fe80::1%a user's words", "fe80::1"),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_counts(peer: str, forwarded: str, expected: str) -> None:
    assert find_client(peer, forwarded, TRUSTED) == expected


@pytest.mark.parametrize(
    "forwarded",
    ["unknown", " ", ",", "6.6.6.6,", "1.2.3.4:80", "[::1]:80", "6.6.6", "1.2.3.4, x, 10.0.0.2", "\0", "６.6.6.6"],
)
def test_a_header_that_holds_no_address_leaves_the_peers(forwarded: str) -> None:
    assert find_client("10.0.0.1", forwarded, TRUSTED) == "10.0.0.1"


def test_a_peer_without_an_address_stays_what_it_is() -> None:
    assert find_client("", "6.6.6.6", TRUSTED) == ""
