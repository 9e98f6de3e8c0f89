"""How many requests a minute."""

import random

import pytest

from retort.api.rate import Buckets, group_address
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

KEYS = ("key-of-team-one-1", "key-of-team-two-2")


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_requests_may_come_at_once_and_then_come_back_one_by_one() -> None:
    clock = Clock()
    buckets = Buckets(6, clock)
    assert [buckets.take("a") for _ in range(6)] == [0.0] * 6
    assert buckets.take("a") == pytest.approx(10)
    clock.now += 4
    assert buckets.take("a") == pytest.approx(6)  # asking in vain costs nothing
    clock.now += 6
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == pytest.approx(10)


def test_whoever_waits_as_long_as_told_is_let_in() -> None:
    clock, draw = Clock(), random.Random(0)  # noqa: S311
    buckets = Buckets(7, clock)
    for _ in range(2000):
        clock.now += draw.random() * 10
        if wait_s := buckets.take("a"):
            clock.now += wait_s
            assert buckets.take("a") == 0.0


def test_over_a_long_time_no_more_than_the_rate_go_through() -> None:
    clock = Clock()
    buckets = Buckets(60, clock)
    n_taken = 0
    for _ in range(36_000):  # ten a second, for an hour
        clock.now += 0.1
        n_taken += not buckets.take("a")
    assert 3600 <= n_taken <= 3600 + 60


def test_nobody_uses_up_what_is_anothers() -> None:
    buckets = Buckets(1, Clock())
    assert [bool(buckets.take(name)) for name in ("a", "a", "b", "b")] == [False, True, False, True]


def test_memory_stays_bounded_however_many_ask() -> None:
    clock = Clock()
    buckets = Buckets(1, clock, max_buckets=100)
    for n in range(5000):
        assert buckets.take(str(n)) == 0.0
    assert len(buckets._full_at) == 100
    assert buckets.take("4999") > 0  # the latest is remembered


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
)
def test_a_network_of_one_client_is_one_client(address: str, group: str) -> None:
    assert group_address(address) == group


def test_requests_beyond_the_rate_are_refused_with_a_time_to_come_back(models_dir: object) -> None:
    registry = Registry(models_dir, n_threads=1)  # type: ignore[arg-type]
    registry.load()
    client = create_app(ServeSettings(rate_limit_per_minute=3), registry).test_client()
    codes = [client.post("/predict", json={"x": "java"}).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    refused = client.get("/nope")
    assert (refused.status_code, refused.get_json()["error_type"]) == (429, "Overloaded")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert client.get("/health_check").status_code == client.get("/readyz").status_code == 200
    assert registry.metrics.registry.get_sample_value("retort_refused_total", {"reason": "rate"}) == 3


def test_each_key_has_its_own_rate_and_who_has_none_has_none(loaded: Registry) -> None:
    client = create_app(ServeSettings(rate_limit_per_minute=1, api_keys=",".join(KEYS)), loaded).test_client()

    def ask(key: str) -> int:
        return client.post("/predict", json={"x": "java"}, headers={"X-API-Key": key}).status_code

    assert [ask(key) for key in (KEYS[0], KEYS[0], KEYS[1], "unknown", "unknown")] == [200, 429, 200, 401, 401]


def test_behind_a_proxy_each_client_has_its_own_rate(loaded: Registry) -> None:
    settings = ServeSettings(rate_limit_per_minute=1, trusted_proxies="127.0.0.1")
    client = create_app(settings, loaded).test_client()

    def ask(address: str) -> int:
        return client.post("/predict", json={"x": "a"}, headers={"X-Forwarded-For": address}).status_code

    assert [ask(a) for a in ("203.0.113.1", "203.0.113.1", "203.0.113.2")] == [200, 429, 200]
