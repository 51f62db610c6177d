"""The agent on a machine whose memory is in control groups of version 2: a small one of its own, in software.

Its disk is what `tests/driver/machine.py` packs for it: this machine's Python and the agent. Run by ``make cgroup2``.
"""
