"""What becomes of the bytes of one client, with the desk and the network played."""

import json
from typing import Any

import pytest

from retort.server.connection import MAX_BURST, MAX_HEAD_BYTES, MAX_PIPELINED, Connection, Fault, State
from retort.server.exchange import Exchange

GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"


class Network:
    """A transport that keeps what is written and may be full."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_reading, self.is_ended, self.is_gone = True, False, False
        self.protocol: Connection | None = None
        self.limit = 10**9  # beyond so many bytes the client takes no more

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if sum(map(len, self.written)) > self.limit and self.protocol:
            self.protocol.pause_writing()

    def get_extra_info(self, name: str) -> Any:
        return ("10.0.0.9", 1234) if name == "peername" else None

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_ended = True

    def is_closing(self) -> bool:
        return self.is_gone

    def close(self) -> None:
        self.is_gone = True

    abort = close


class Desk:
    """Keeps what it shall answer, and answers when it is told to."""

    max_body_bytes = 1000

    def __init__(self) -> None:
        self.asked: list[Exchange] = []
        self.refused: list[int] = []
        self.is_crowded = False
        self.n_open = 0

    def handle(self, connection: Connection, exchange: Exchange) -> None:
        self.asked.append(exchange)

    def refuse(self, connection: Connection, fault: Fault) -> bytes:
        self.refused.append(fault.status)
        return json.dumps({"refused": fault.status}).encode()

    def has_room_for(self, n_bytes: int) -> bool:
        return not self.is_crowded

    def opened(self, connection: Connection) -> None:
        self.n_open += 1

    def closed(self, connection: Connection) -> None:
        self.n_open -= 1


class Client:
    """A connection with both played."""

    def __init__(self) -> None:
        self.desk, self.network = Desk(), Network()
        self.connection = self.network.protocol = Connection(self.desk)
        self.connection.connection_made(self.network)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def answer(self, text: bytes = b"answer") -> None:
        """What waits longest."""
        exchange = self.desk.asked[len(self.network.written) - len(self.desk.refused)]
        self.connection.keeps(exchange)
        self.connection.respond(exchange, text)


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"\r\n".join([b"POST /predict HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *lines])
    return head + b"\r\n\r\n" + body


def test_a_request_is_the_same_in_one_piece_and_byte_by_byte() -> None:
    request = b"POST http://a/predict?q=1 HTTP/1.1\r\nHost: a\r\nX-A:  b \r\nTransfer-Encoding: chunked\r\n\r\n"
    request += b"2;ext=1\r\nab\r\n1\r\nc\r\n0\r\nX-Trailer: d\r\n\r\n"
    whole, dripped = Client(), Client()
    whole.send(request)
    for byte in request:
        assert dripped.desk.asked == []
        dripped.send(bytes([byte]))
    for client in (whole, dripped):
        (asked,) = client.desk.asked
        assert (asked.method, asked.target, asked.version, asked.body) == ("POST", b"/predict?q=1", "1.1", b"abc")
        assert asked.headers == [(b"Host", b"a"), (b"X-A", b"b"), (b"Transfer-Encoding", b"chunked")]
        assert asked.keep_alive


def test_requests_in_one_piece_are_answered_one_after_the_other_in_their_order() -> None:
    client = Client()
    client.send(b"".join(post(b"%d" % n) for n in range(5)))
    for n in range(5):
        assert len(client.desk.asked) == n + 1
        client.answer(b"%d" % n)
    assert client.network.written == [b"0", b"1", b"2", b"3", b"4"]
    assert client.connection.state is State.IDLE


def test_who_sends_more_than_is_answered_is_not_read_until_it_is() -> None:
    client = Client()
    client.send(GET * (MAX_PIPELINED + 1))
    assert not client.network.is_reading
    client.answer()
    client.answer()
    assert client.network.is_reading


def test_far_too_many_requests_in_one_piece_are_answered_up_to_the_limit_and_then_refused() -> None:
    client = Client()
    client.send(GET * 5000)
    for _ in range(MAX_BURST + 1):
        client.answer()
    assert client.desk.refused == [429]
    assert len(client.desk.asked) == MAX_BURST + 1
    assert client.connection.state is State.LINGERING


def test_who_does_not_take_an_answer_gets_no_further_one_until_it_does() -> None:
    client = Client()
    client.network.limit = 10
    client.send(post(b"a") + post(b"b") + post(b"c"))
    client.answer(b"a" * 11)
    assert (len(client.desk.asked), client.network.is_reading) == (1, False)
    assert client.connection.state is State.IDLE  # so that it is let go after a while
    client.network.limit = 10**9
    client.connection.resume_writing()
    assert (len(client.desk.asked), client.network.is_reading) == (2, True)
    client.answer()
    client.answer()
    assert [bytes(asked.body) for asked in client.desk.asked] == [b"a", b"b", b"c"]


def test_who_gets_its_last_answer_may_be_let_go_when_it_does_not_take_it() -> None:
    client = Client()
    client.send(post(b"a", b"Connection: close"))
    client.answer()
    assert client.network.is_gone
    assert client.connection.state is State.IDLE


def test_what_is_no_request_behind_good_ones_is_refused_after_their_answers() -> None:
    client = Client()
    client.send(post(b"a") + post(b"b") + b"GARBAGE\r\n\r\n")
    assert client.desk.refused == []
    client.answer()
    client.answer()
    assert client.desk.refused == [400]
    assert client.network.is_ended


OTHER_PROTOCOLS = [
    post(b"", b"Upgrade: websocket", b"Connection: Upgrade"),
    post(b"ab", b"Upgrade: h2c", b"Connection: Upgrade"),
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
]


@pytest.mark.parametrize("request_", OTHER_PROTOCOLS)
def test_who_wants_another_protocol_is_answered_in_this_one(request_: bytes) -> None:
    for pieces in ([request_ * 3], [request_] * 3, [bytes([byte]) for byte in request_ * 3]):
        client = Client()
        for piece in pieces:
            client.send(piece)
        for _ in range(3):
            client.answer()
        body = request_.partition(b"\r\n\r\n")[2]
        assert [bytes(asked.body) for asked in client.desk.asked] == [body] * 3
        assert client.desk.refused == []
        assert client.connection.state is State.IDLE


ENDLESS = {
    "a target": (b"GET /", b"a" * 1000, 414),
    "a header": (b"GET / HTTP/1.1\r\nA: ", b"a" * 1000, 431),
    "a name": (b"GET / HTTP/1.1\r\n", b"a" * 1000, 431),
    "headers": (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 200, 431),
    "a trailer": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: ", b"a" * 1000, 431),
    "trailers": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 200, 431),
    "an extension": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", b"a" * 1000, 431),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_refused_and_not_kept(name: str) -> None:
    begin, piece, status = ENDLESS[name]
    client = Client()
    client.send(begin)
    for _ in range(2 * MAX_HEAD_BYTES // len(piece)):
        client.send(piece)
        if client.desk.refused:
            break
    assert client.desk.refused in ([status], [400])
    assert client.desk.asked == []


def test_long_bodies_are_no_long_heads() -> None:
    client = Client()
    client.desk.max_body_bytes = 10**6
    body = b"a" * 300_000
    client.send(post(body))
    request = post(body)
    for start in range(0, len(request), 50_000):
        client.send(request[start : start + 50_000])
    client.answer()
    client.answer()
    assert [len(asked.body) for asked in client.desk.asked] == [300_000, 300_000]
    assert client.desk.refused == []


def test_of_a_body_beyond_the_limit_nothing_is_kept() -> None:
    for request in (post(b"a" * 5000), b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"a" * 5000):
        client = Client()
        client.send(request)
        assert client.desk.asked[0].is_too_long
        assert client.connection.kept_bytes == 0
        client.answer()
        assert client.network.is_ended
        client.send(b"a" * 10_000)
        assert client.connection.state is State.LINGERING


def test_a_long_body_is_refused_where_others_already_send_too_much() -> None:
    client = Client()
    client.desk.max_body_bytes, client.desk.is_crowded = 10**6, True
    client.send(post(b"a" * 60_000))
    client.answer()
    client.send(post(b"a" * 70_000))
    assert client.desk.refused == [429]


def test_who_leaves_is_no_longer_answered() -> None:
    client = Client()
    client.send(GET * 3)
    client.connection.connection_lost(None)
    assert client.desk.asked[0].has_left
    assert client.desk.n_open == 0
    assert client.connection.kept_bytes == 0


def test_who_ends_in_the_middle_of_a_request_is_told() -> None:
    client = Client()
    client.send(post(b"abc")[:-1])
    assert client.connection.eof_received() is False
    assert client.desk.refused == [400]


def test_who_ends_while_it_is_being_answered_has_left() -> None:
    client = Client()
    client.send(GET)
    client.connection.eof_received()
    assert client.desk.asked[0].has_left


def test_while_the_server_stops_what_was_sent_is_answered_and_the_last_answer_ends_it() -> None:
    client = Client()
    client.send(GET * 3)
    client.connection.is_stopping = True
    for _ in range(2):
        client.answer()
        assert not client.network.is_gone
    client.answer()
    assert client.network.is_gone
    assert [asked.keep_alive for asked in client.desk.asked] == [True, True, False]


def test_100_continue_is_said_once_and_to_who_asks_in_its_turn() -> None:
    client = Client()
    head = post(b"abc", b"Expect: 100-continue")[:-3]
    client.send(head)
    assert client.network.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    client.send(b"abc")
    assert bytes(client.desk.asked[0].body) == b"abc"
    client.send(head + b"abc")
    assert len(client.network.written) == 1
