"""Webhooks by e-mail: what is sent, to which addresses, how often, and that no password goes in clear."""

from __future__ import annotations

import datetime
import ipaddress
import smtplib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from api.settings import Settings
from api.webhooks.mail import Mailer, MailSettings, email_body, recipient
from client.errors import ProblemError
from tests.support.deliveries import settled
from tests.support.mailbox import Mailbox, mailbox
from tests.support.service import Bench


def test_the_end_of_a_job_is_told_by_mail(bench: Bench, mail: Mailbox) -> None:
    job = bench.submit(name="näme <1>", epochs=1, project="thesis")
    created = bench.dartboard.add_webhook("mailto:me@example.org", job=job.id)
    assert (created.host, created.body) == ("example.org", "email")
    training = bench.claim()
    training.report(1)
    training.finish()
    message = mail.next()
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.status) == ("delivered", 250)
    assert message["To"] == "me@example.org"
    assert message["From"] == "dartboard@example.org"
    assert message["Subject"] == "[Dartboard] search näme <1> succeeded, best validation accuracy 50"
    assert message["Message-ID"] == f"<{delivery.id}@dartboard>"
    text = message.get_content()
    assert f"id: {job.id}" in text
    assert "project: thesis" in text


def test_refused_mail_is_sent_again_as_the_same_message(bench: Bench, mail: Mailbox) -> None:
    mail.answers = ["451 try again later", "554 no"]
    job = bench.submit()
    created = bench.dartboard.add_webhook("mailto:me@example.org", job=job.id)
    bench.dartboard.cancel(job.id)
    tries = [mail.next() for _ in range(3)]
    assert len({each["Message-ID"] for each in tries}) == 1
    [delivery] = settled(bench, created)
    assert (delivery.state, delivery.tries, delivery.status, delivery.error) == ("delivered", 3, 250, None)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("mailto:", "one address"),
        ("mailto:me", "one address"),
        ("mailto:a@example.org,b@example.org", "one address"),
        ("mailto:me@example.org?cc=b@example.org", "one address"),
        ("mailto:me%0d%0aBcc:b@example.org", "one address"),
        ("mailto:me@elsewhere.example", "mail may go to example.org alone"),
    ],
)
def test_a_bad_address_is_refused(bench: Bench, to: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said) as refused:
        bench.dartboard.add_webhook(to)
    assert refused.value.status == 422


def test_mail_has_a_body_of_its_own(bench: Bench) -> None:
    with pytest.raises(ProblemError, match="a form of its own"):
        bench.dartboard.add_webhook("mailto:me@example.org", body="slack")


def test_a_subject_has_one_line() -> None:
    with mailbox() as box:
        Mailer(MailSettings(f"smtp://127.0.0.1:{box.port}", "a@b.example", frozenset())).send(
            "id", "me@example.org", email_body("one\nBcc: two@example.org", [])
        )
        message = box.next()
    assert (message["Subject"], message["Bcc"]) == ("[Dartboard] one Bcc: two@example.org", None)


def test_a_password_is_not_sent_in_clear() -> None:
    with mailbox() as box:
        settings = MailSettings(f"smtp://user:word@127.0.0.1:{box.port}", "a@b.example", frozenset())
        with pytest.raises(smtplib.SMTPException, match="in clear"):
            Mailer(settings).send("id", "me@example.org", email_body("x", []))
        assert box.messages.empty()
        assert box.logins == []


def test_a_password_is_sent_by_starttls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with mailbox(context) as box:
        settings = MailSettings(f"smtp://user%40x:wo%2Frd@127.0.0.1:{box.port}", "a@b.example", frozenset())
        with pytest.raises(ssl.SSLCertVerificationError):
            Mailer(settings).send("id", "me@example.org", email_body("x", []))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert Mailer(settings).send("id", "me@example.org", email_body("x", [])) == 250
        assert box.next()["To"] == "me@example.org"
        assert box.logins == [(b"user@x", b"wo/rd")]


def self_signed(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("server", "sender", "said"),
    [
        ("http://host", "a@example.org", "smtp://host:port"),
        ("smtp://", "a@example.org", "smtp://host:port"),
        ("smtp://host:99999", "a@example.org", "Port out of range"),
        ("smtp://host", "", "one address"),
    ],
)
def test_bad_settings_are_refused_at_the_start(server: str, sender: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(smtp_url=server, smtp_from=sender)


def test_an_address_may_be_quoted_in_its_url() -> None:
    assert recipient("mailto:me%2Btag@example.org").addr_spec == "me+tag@example.org"
