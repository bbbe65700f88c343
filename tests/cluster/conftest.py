"""An object store that others wrote, moto's server, on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

MISSING = "the extra [cluster] or moto is not installed: pip install '.[dev]'"
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """`s3://photos`, an empty bucket; where it lies is said by the environment."""
    pytest.importorskip("pyarrow", reason=MISSING)
    moto = pytest.importorskip("moto.server", reason=MISSING)
    boto3 = pytest.importorskip("boto3", reason=MISSING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **KEYS}
    before = {name: os.environ.get(name) for name in endpoint}
    os.environ.update(endpoint)
    boto3.client("s3").create_bucket(Bucket="photos")
    yield "s3://photos"
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    server.stop()
