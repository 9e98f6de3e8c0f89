"""The tiny model behind a real port, for other people's clients."""

import threading
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server


@pytest.fixture(scope="session")
def address(client: FlaskClient) -> Iterator[str]:
    """`host:port` of the application that `client` asks in process."""
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
