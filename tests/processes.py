"""Running code in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fastem

HERE = Path(__file__).parent
PACKAGE = Path(fastem.__file__).parent


def python(code, *, path=(PACKAGE.parent, HERE), **variables):
    """Run code in another process, whose last line of output is JSON."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **variables}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
