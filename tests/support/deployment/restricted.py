"""Runs a program with the system calls that a unit of systemd allows.

`restricted.py GROUP [mdwe] -- PROGRAM …`: GROUP is the SystemCallFilter of the unit; every other call fails
with EPERM. `mdwe` is MemoryDenyWriteExecute. A unit itself needs a machine that systemd has started.
"""

import ctypes
import errno
import os
import re
import subprocess
import sys

ALLOW, FAIL = 0x7FFF0000, 0x00050000  # of libseccomp
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
UNKNOWN = -1  # a call of another processor


def calls_of(group: str) -> set[str]:
    """The calls in a group of systemd, which may contain other groups."""
    command = ("systemd-analyze", "syscall-filter", "--no-pager", group)
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = re.findall(r"^\s+(@?[\w-]+)\s*$", re.sub(r"\x1b\[[\d;]*m", "", listed), re.MULTILINE)
    calls = {name for name in names if not name.startswith("@")}
    return calls.union(*(calls_of(name) for name in names if name.startswith("@")))


def allow_only(calls: set[str]) -> None:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(FAIL | errno.EPERM)))
    for name in calls:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != UNKNOWN:
            library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), ctypes.c_int(number), ctypes.c_uint(0))
    if library.seccomp_load(context) != 0:
        raise OSError("the filter was not accepted")


def main() -> None:
    options, program = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    allow_only(calls_of(options[0]))
    if "mdwe" in options and ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        raise OSError("this kernel does not know PR_SET_MDWE")
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
