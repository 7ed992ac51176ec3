"""SSH keys: one client pair per lab, one host key per host, made once and kept."""

from __future__ import annotations

from pathlib import Path

from habla.lab.apt import run

__all__ = ["ensure_key"]


def ensure_key(path: Path, comment: str) -> str:
    """Make an ed25519 pair at path and path.pub unless it is there.

    Returns the public key as ``ssh-ed25519 AAAA...``, without the comment.
    """
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in (path, public):
            stale.unlink(missing_ok=True)
        # ssh-keygen writes the private half first: a pair cut short has no .pub and is made anew.
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
            "making an SSH key",
        )
    return " ".join(public.read_text().split()[:2])
