"""An unchanged boto3, and a collection for each test."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.server import Running


@pytest.fixture(scope="session")
def client(server: Running) -> Any:
    return server.client()


@pytest.fixture
def collection(client: Any) -> Iterator[str]:
    """Return the name of a collection for one test."""
    name = f"test-{uuid.uuid4()}"
    client.create_collection(CollectionId=name)
    yield name
    client.delete_collection(CollectionId=name)
