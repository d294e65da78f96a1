"""Simulates a platform that has less than Linux."""

# Code to run before our modules: it removes what Windows does not have and our commands could use.
AS_ON_WINDOWS = """
import os, signal, subprocess, sys
sys.modules["fcntl"] = None  # the import fails
del os.geteuid, signal.SIGHUP, signal.SIGKILL

class Popen(subprocess.Popen):
    def __init__(self, *args, pass_fds=(), **options):
        assert not pass_fds, "Windows has no inherited file descriptors"
        super().__init__(*args, **options)

subprocess.Popen = Popen
from app.local import commands, supervisor
commands.CAN_INHERIT_SOCKETS = False
supervisor.HAS_PARENT_DEATH_SIGNAL = False
"""
