"""Real systemd hosts on this machine, made with systemd-nspawn in namespaces of their own.

Call its command line, ``python -m habla.lab VERB --dir DIR``; see ``docs/lab.md``. It needs root on Linux and
the Debian packages in ``habla.lab.requirements``. It uses the standard library only.
"""
