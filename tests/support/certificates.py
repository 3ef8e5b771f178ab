"""A private authority, and what it certifies, made for one test session and written to files."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_PASSWORD = "canary-key-9b41"


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key, as PEM files. `both` has key and chain in one file."""

    certificate: Path
    key: Path
    both: Path


@dataclass(frozen=True)
class Certificates:
    """Files of one authority: what its servers and clients show, and what is wrong with some of them."""

    authority: Path
    other_authority: Path
    server: Pair
    server_elsewhere: Pair
    """For kafka.example and db.example only."""
    server_expired: Pair
    client: Pair
    client_encrypted_key: Path
    """The client's key, under KEY_PASSWORD."""
    client_of_other: Pair
    """A client that the other authority certifies."""


def make_certificates(directory: Path, hosts: Sequence[str], client_name: str) -> Certificates:
    """Make them all, for a server of these names and a client of that name."""
    ours, other = trustme.CA(), trustme.CA()
    authority, other_authority = directory / "authority.pem", directory / "other-authority.pem"
    ours.cert_pem.write_to_path(str(authority))
    other.cert_pem.write_to_path(str(other_authority))
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    began = yesterday - dt.timedelta(days=30)
    # Java refuses a certificate without any alternative name.
    client, stranger = (issuer.issue_cert("client.example", common_name=client_name) for issuer in (ours, other))
    known = _write(directory, "client", client)
    encrypted = directory / "client-encrypted.key"
    encrypted.write_bytes(_key_as(known.key.read_bytes(), KEY_PASSWORD))
    return Certificates(
        authority,
        other_authority,
        server=_write(directory, "server", ours.issue_cert(*hosts)),
        server_elsewhere=_write(directory, "elsewhere", ours.issue_cert("kafka.example", "db.example")),
        server_expired=_write(directory, "expired", ours.issue_cert(*hosts, not_before=began, not_after=yesterday)),
        client=known,
        client_encrypted_key=encrypted,
        client_of_other=_write(directory, "client-of-other", stranger),
    )


def _write(directory: Path, name: str, issued: trustme.LeafCert) -> Pair:
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key", directory / f"{name}-both.pem")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    key = _key_as(issued.private_key_pem.bytes(), None)
    pair.certificate.write_bytes(chain)
    pair.key.write_bytes(key)
    pair.both.write_bytes(key + chain)
    return pair


def _key_as(key: bytes, password: str | None) -> bytes:
    """The key in the one form, PKCS #8, that Java reads from PEM too."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
