"""TLS: a handshake with a certificate of our own, and files that cannot be used for it."""

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.serving import serving
from traitscope.errors import ConfigError
from traitscope.service.server import check_tls

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def make_pair(folder: Path, name: str, *, password: str = "") -> tuple[Path, Path]:
    """A certificate of this machine's address, signed with its own key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    hidden = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    facts = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *hidden]
    command = ["openssl", "req", "-x509", *made, *facts, "-keyout", str(key), "-out"]
    subprocess.run([*command, str(certificate)], check=True, capture_output=True)
    return certificate, key


def test_files_that_do_not_go_together_are_told(tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "one")
    _, other = make_pair(tmp_path, "two")
    _, hidden = make_pair(tmp_path, "three", password="secret")
    check_tls(None, None)
    check_tls(certificate, key)
    with pytest.raises(ConfigError, match="TLS takes both"):
        check_tls(certificate, None)
    for wrong in (other, hidden, certificate, tmp_path / "nothing.key"):
        with pytest.raises(ConfigError, match=r"cannot be used for TLS .* without a password"):
            check_tls(certificate, wrong)


@pytest.mark.slow
def test_who_knows_the_certificate_gets_scores_and_nobody_else(tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "one")
    run = train_listener(tmp_path)
    write_sound(tmp_path / "tone.wav", tone(0.5, hertz=300.0))
    content = (tmp_path / "tone.wav").read_bytes()
    words = ["--certificate", certificate, "--key", key]
    with serving(run, *words, folder=tmp_path / "uploads") as served:
        assert served.address.startswith("https://")
        known = ssl.create_default_context(cafile=str(certificate))
        with served.client(verify=known) as client:
            sent = client.post(
                "/v1/predictions", files={"file": content}, params={"wait": 60}
            ).json()
            assert sent["results"][0]["prediction"]["clips"][0]["scores"]
        with served.client() as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            client.get("/v1/health")
        plain = served.address.replace("https", "http")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{plain}/v1/health")
