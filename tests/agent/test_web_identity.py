"""A pod's way into S3: a token in a file is exchanged for keys, at a server of others, by TLS of a private authority.

The server is moto's, STS and S3 both.
"""

from __future__ import annotations

import datetime
import io
import ipaddress
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from agent.test_forwarding import dump
from harness import binaries

TOKEN = "a-token-that-is-nobody's-business"
ROLE = "arn:aws:iam::123456789012:role/dumps"
BUCKET = "dumps"


@dataclass
class Server:
    """Where it is, what vouches for it, and the addresses that STS was asked at."""

    url: str
    certificate: Path
    asked: list[str] = field(default_factory=list)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "heapsee's tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    signed = built.add_extension(address, critical=False).sign(key, hashes.SHA256())
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server, with one bucket."""
    cert, key = certificate(tmp_path)
    moto = DomainDispatcherApplication(create_backend_app)
    known = Server("", cert)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query: str = environ["QUERY_STRING"]
        if "Action=AssumeRole" in query:
            known.asked.append(query)
            # AWS takes it either way; moto knows a question by what is in its body.
            form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(query))}
            environ.update(form, QUERY_STRING="", **{"wsgi.input": io.BytesIO(query.encode())})
        answer: Iterable[bytes] = moto(environ, start_response)
        return answer

    listening = make_server("127.0.0.1", 0, application, threaded=True, ssl_context=(str(cert), str(key)))
    known.url = f"https://127.0.0.1:{listening.port}"
    get_backend("s3")["123456789012"]["aws"].create_bucket(BUCKET, "us-east-1")
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield known
    listening.shutdown()
    thread.join()
    get_backend("s3").reset()


def ship(server: Server, store: Path, token: Path, *, trusted: bool = True) -> binaries.Done:
    """Has the agent ship the store, as in a pod."""
    env = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": ROLE,
        "AWS_ROLE_SESSION_NAME": "heapsee",
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_REGION": "us-east-1",
        "HOME": "/nonexistent",
        "NO_PROXY": "127.0.0.1",
        **({"SSL_CERT_FILE": str(server.certificate)} if trusted else {}),
    }
    to = ["--to", f"s3://{BUCKET}/python", "--endpoint", server.url]
    return binaries.run(binaries.AGENT, "ship", *to, "--store", store, env=env)


def test_a_pod_ships_with_its_token_over_tls(server: Server, tmp_path: Path) -> None:
    store, token = tmp_path / "store", tmp_path / "token"
    binaries.run(binaries.AGENT, "collect", dump(tmp_path / "dumps", 2000).parent, "--store", store).check()
    token.write_text(TOKEN)

    # Whoever is not vouched for gets nothing.
    done = ship(server, store, token, trusted=False)
    assert (done.code, server.asked) == (12, [])
    assert TOKEN not in done.out + done.err
    assert "certificate" in done.err.lower(), done.err

    done = ship(server, store, token).check()
    assert TOKEN not in done.out + done.err
    (asked,) = server.asked
    assert f"WebIdentityToken={TOKEN.replace(chr(39), '%27')}" in asked
    assert "RoleSessionName=heapsee" in asked
    names = {path.name for path in store.rglob("*") if path.name.endswith((".zst", ".json"))} - {"shipped.json"}
    bucket = get_backend("s3")["123456789012"]["aws"].buckets[BUCKET]
    assert {key.rpartition("/")[2] for key in bucket.keys} == names
