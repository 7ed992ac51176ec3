"""SSH keys: one client key pair per lab and one host key per host, made once and kept."""

from __future__ import annotations

from pathlib import Path

from habla.lab.apt import run

__all__ = ["ensure_key"]


def ensure_key(path: Path, comment: str) -> str:
    """Make an ed25519 key pair at path and path.pub if it is missing.

    Returns the public key as ``ssh-ed25519 AAAA...``, without the comment.
    """
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in (path, public):
            stale.unlink(missing_ok=True)
        # ssh-keygen writes the private key first. If it was interrupted, there is no .pub, and the pair is
        # made again.
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
            "making an SSH key",
        )
    return " ".join(public.read_text().split()[:2])
