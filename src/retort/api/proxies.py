"""Who asks, behind proxies: `X-Forwarded-For` is believed as far as trusted proxies wrote it."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from retort.config import Network


def trust_proxies(app: WSGIApplication, trusted: Sequence[Network]) -> WSGIApplication:
    """`app`, whose `REMOTE_ADDR` is the client that `trusted` proxies speak for."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        environ["REMOTE_ADDR"] = find_client(environ.get("REMOTE_ADDR", ""), forwarded, trusted)
        return app(environ, start_response)

    return call


def find_client(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy.  Each proxy appends whom it heard, so the header is walked from the
    right, and whatever stands left of the first stranger is hearsay.  `peer` where a trusted proxy wrote no address.
    """
    try:
        address = _parse(peer)
        for hop in reversed(forwarded.split(",") if forwarded else []):
            if not any(address in network for network in trusted):
                break
            address = _parse(hop)
    except ValueError:
        return peer
    return str(address)


def _parse(text: str) -> IPv4Address | IPv6Address:
    """An address without its zone, which could be any text; that of a socket for both families is the IPv4 in it."""
    address = ip_address(text.strip().partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
