"""The command line, killed just before its process changes files for the N-th time: N, arguments.

Between any two changes a kill may come; so each place where half of something could be left is met.
"""

import os
import signal
import sys

CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink",
    "os.chmod", "os.utime", "shutil.rmtree", "subprocess.Popen",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

left = int(sys.argv.pop(1))


def count(event: str, arguments: tuple[object, ...]) -> None:
    global left
    changes = event in CHANGES or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    )
    if changes:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(count)
sys.argv[0] = "levelfield"
from levelfield import main  # noqa: E402

try:
    main()
finally:
    if os.environ.get("CHANGES_COUNTED"):
        print(left, file=sys.stderr)
