"""How many requests a minute one key, or one address, may make."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from flask import Flask, g, request

from retort.engine.metrics import Metrics
from retort.errors import Overloaded

MAX_BUCKETS = 20_000  # whoever came longest ago is forgotten first


class Buckets:
    """A token bucket for each name: a minute's requests may come at once, then they come back one by one.

    Of each is kept only when it will be full again.  Threads may share it.
    """

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic, max_buckets: int = MAX_BUCKETS
    ) -> None:
        self._interval_s, self._clock, self._max_buckets = 60.0 / per_minute, clock, max_buckets
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._turn = threading.Lock()

    def take(self, name: str) -> float:
        """0 where a request may go on, else how many seconds to wait."""
        with self._turn:
            now = self._clock()
            full_at = max(now, self._full_at.get(name, now)) + self._interval_s
            if (wait_s := full_at - now - 60.0) > 1e-6:
                return wait_s
            self._full_at[name] = full_at
            self._full_at.move_to_end(name)
            if len(self._full_at) > self._max_buckets:
                self._full_at.popitem(last=False)
            return 0.0


class RateLimit:
    """Refuses requests beyond `per_minute`; probes and whatever else is open never count."""

    def __init__(self, per_minute: int, is_open: Callable[[], bool], metrics: Metrics) -> None:
        self._per_minute, self._is_open, self._metrics = per_minute, is_open, metrics
        self._buckets = Buckets(per_minute)

    def register(self, app: Flask) -> None:
        """After the keys, which say who asks."""
        app.before_request(self._check)

    def _check(self) -> None:
        """Raises Overloaded."""
        if self._is_open():
            return
        wait_s = self._buckets.take(g.key_id or group_address(request.remote_addr or ""))
        if wait_s:
            self._metrics.refused("rate")
            raise Overloaded(
                f"Expected at most {self._per_minute} requests a minute; come back later.", math.ceil(wait_s)
            )


def group_address(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one of those has all of them."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)
