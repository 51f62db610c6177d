"""Dumps go to Google's and Azure's storage as they go to S3: in parts, whole, verified, and with no secret in a log.

Google's is played by moto: its XML protocol is that of S3 but for the signature, which is a token here. The emulators
of it that there are know only Google's other protocol.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.test_forwarding import dump
from harness import azurite, binaries
from harness.azurite import Azurite
from harness.moto import Moto


@dataclass(frozen=True)
class Cloud:
    """A server, how it is shipped to, and what of that is secret."""

    server: Moto | Azurite
    url: str
    env: dict[str, str]
    secret: str

    def ship(self, store: Path, url: str = "") -> binaries.Done:
        """Ships what is in the store, saying nothing secret."""
        path = store.parent / "ship.toml"
        path.write_text(
            f'[store]\ndirectory = "{store}"\n[ship]\nurl = "{url or self.url}"\nendpoint = "{self.server.url}"\n'
            'allow_http = true\npart_size = "5MiB"\n'
        )
        env = {**self.env, "NO_PROXY": "127.0.0.1"}
        done = binaries.run(binaries.AGENT, "ship", "--config", path, env=env)
        left = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
        assert self.secret not in done.out + done.err
        assert not [text for text in left if self.secret.encode() in text]
        return done


def google_key(folder: Path) -> tuple[Path, str]:
    """A key file of a service account, as Google's console hands them out; and what of it is secret."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = folder / "service-account.json"
    account = {"type": "service_account", "client_email": "agent@tests.example", "private_key_id": "1"}
    path.write_text(json.dumps({**account, "private_key": text, "token_uri": "https://oauth2.googleapis.com/token"}))
    return path, text.splitlines()[3]


@pytest.fixture(params=["gs", pytest.param("az", marks=pytest.mark.azurite)])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """One of the two."""
    if request.param == "gs":
        key, secret = google_key(tmp_path)
        with Moto(tmp_path, "dumps") as server:
            yield Cloud(server, "gs://dumps/prod/eu", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}, secret)
        return
    with Azurite(tmp_path, "dumps") as server:
        env = {"AZURE_STORAGE_ACCOUNT_NAME": azurite.ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": azurite.KEY}
        yield Cloud(server, "az://dumps/prod/eu", env, azurite.KEY)


def test_a_dump_of_several_parts_arrives_whole(cloud: Cloud, tmp_path: Path) -> None:
    original = dump(tmp_path / "dumps", 40_000).read_bytes()
    assert len(original) > 2 * 5 * 1024 * 1024
    store, config = tmp_path / "store", tmp_path / "collect.toml"
    config.write_text(
        f'[store]\ndirectory = "{store}"\ncompression = "none"\n'
        f'[intake]\nwatch = false\ndirectories = ["{tmp_path}/dumps"]\n[retention]\nkeep_free = "0B"\n'
    )
    stored = Path(binaries.run(binaries.AGENT, "collect", "--config", config).check().out.strip())
    entry = stored.parent.relative_to(store)
    absent = cloud.ship(store, cloud.url.replace("dumps", "no-such-bucket"))
    assert absent.code == 12
    assert "no-such-bucket" in absent.err
    assert "create the bucket" in absent.err
    assert cloud.ship(store).check().out.strip() == f"{cloud.url}/{entry}"
    names = [stored.name, f"{stored.name}.meta.json", "manifest.json"]
    assert sorted(cloud.server.names()) == sorted(f"prod/eu/{entry}/{name}" for name in names)
    for name in names:
        assert cloud.server.get(f"prod/eu/{entry}/{name}") == (stored.parent / name).read_bytes()
    manifest = json.loads((stored.parent / "manifest.json").read_bytes())
    assert stored.read_bytes() == original
    assert manifest["dump"]["sha256"] == hashlib.sha256(original).hexdigest()
    assert (manifest["snapshot"]["consistency"], manifest["snapshot"]["caveats"]) == ("fork", [])
    assert cloud.ship(store).check().out == "", "it was shipped twice"


def test_a_service_that_is_gone_is_said(cloud: Cloud, tmp_path: Path) -> None:
    dump(tmp_path / "dumps", 10)
    store = tmp_path / "store"
    binaries.run(binaries.AGENT, "collect", tmp_path / "dumps", "--store", store).check()
    cloud.server.__exit__()
    done = cloud.ship(store)
    assert done.code == 12
    assert "cannot be reached or is in trouble" in done.err
