"""A certificate of the host's own, which clients cannot verify."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Sequence


def certifies(certificate: Path, domains: Sequence[str]) -> bool:
    """Whether the certificate is for all the domains, and is so for 30 days at least."""
    if not certificate.exists():
        return False
    command = ["openssl", "x509", "-noout", "-in", str(certificate)]
    lasts = subprocess.run([*command, "-checkend", "2592000"], capture_output=True, text=True, check=False)
    if lasts.returncode != 0:
        return False
    asked = [[*command, "-checkhost", domain] for domain in domains]
    answers = [subprocess.run(words, capture_output=True, text=True, check=False).stdout for words in asked]
    return all("does match certificate" in answer for answer in answers)


def sign(certificate: Path, domains: Sequence[str]) -> None:
    """A self-signed certificate for the domains, written in one step."""
    new = certificate.with_suffix(".new")
    new.touch(mode=0o600)
    key = certificate.with_suffix(".key")
    key.touch(mode=0o600)
    # A common name has at most 64 characters (RFC 5280, ub-common-name); clients look at the other names.
    subject = f"/CN={domains[0]}" if len(domains[0]) <= 64 else "/CN=habla"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj {subject} -addext"
    names = "subjectAltName=" + ",".join(f"DNS:{domain},DNS:*.{domain}" for domain in domains)
    subprocess.run(
        [*words.split(), names, "-keyout", str(key), "-out", str(new)],
        check=True,
        capture_output=True,
    )
    new.write_text(new.read_text() + key.read_text())
    key.unlink()
    new.chmod(0o640)
    shutil.chown(new, "root", "ejabberd")
    new.rename(certificate)
