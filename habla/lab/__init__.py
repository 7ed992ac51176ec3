"""Real systemd hosts on this machine, made with systemd-nspawn in namespaces of their own.

Used through its command line, ``python -m habla.lab VERB --dir DIR``; see ``docs/lab.md``.
It needs root on Linux, the packages of ``habla.lab.requirements`` and nothing outside the standard library.
"""
