"""A server with TLS and keys, which answers as in November 2017."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.ports import free_port
from tests.support.server import Running, running

CERTIFICATE = "certificate.pem"
SECRETS = {
    "ADMIN": "the secret of the admin",
    "KIOSK": "the secret of the kiosk",
    "GUEST": "the secret of the guest",
}
TOKEN = "the session token of the guest=="
KEYS = f"""
[[key]]
id = "ADMIN"
secret = "{SECRETS["ADMIN"]}"
user = "admin"

[[key]]
id = "KIOSK"
secret = "{SECRETS["KIOSK"]}"
user = "kiosk"
operations = ["Search*", "ListFaces", "ListCollections", "CompareFaces"]
collections = ["staff"]
buckets = ["photos"]

[[key]]
id = "GUEST"
secret = "{SECRETS["GUEST"]}"
user = "guest"
token = "{TOKEN}"
"""


@contextmanager
def secured_server(folder: Path) -> Iterator[Running]:
    """Run the server with three keys, two processes and a port for its metrics."""
    keys, pem = folder / "keys.toml", certificate(folder)
    keys.write_text(KEYS)
    keys.chmod(0o600)
    toml = f"""
[serve]
profile = "2017-11"
keys = "{keys}"
certificate = "{pem}"
any_region = false
reject_replays = true
threads = 1
workers = 2
validation_error = "ValidationException"
metrics_port = {free_port()}
"""
    with running(folder, toml) as one:
        yield one


def client(secured: Running, key: str, **more: Any) -> Any:
    """Return a boto3 client with the key of this id."""
    return secured.client(
        aws_access_key_id=key,
        aws_secret_access_key=SECRETS.get(key, "unknown"),
        verify=str(secured.log.parent / CERTIFICATE),
        **more,
    )


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "onlooker's test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / CERTIFICATE
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
