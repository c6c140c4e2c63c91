"""Make the site that `asv publish` writes independent of public servers, from which it loads scripts.

Usage: python asv_benchmarks/offline.py [html], with npm installed.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# Each script of asv's index.html: the npm package that has it, and the path in the package.
SCRIPTS = {
    "jquery-3.3.1.min.js": ("jquery@3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("flot@0.8.3", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("flot@0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("flot@0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("flot@0.8.3", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin@1.1.3", "stupidtable.js"),
    "md5.min.js": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}
REMOTE = re.compile(r'(src|href)="https://[^"]+/([^"/]+)"((?: (?:integrity|crossorigin|referrerpolicy)="[^"]*")+)')


def main(html):
    """Copy each script into the folder of index.html, and make index.html load the copies."""
    with tempfile.TemporaryDirectory() as folder:
        packages = {}
        for package in {package for package, _ in SCRIPTS.values()}:
            packed = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True)
            packages[package] = Path(folder, packed.stdout.decode().split()[-1])
        for name, (package, member) in SCRIPTS.items():
            with tarfile.open(packages[package]) as files:
                top = files.getnames()[0].split("/")[0]
                (html / name).write_bytes(files.extractfile(f"{top}/{member}").read())
    index = html / "index.html"
    index.write_text(REMOTE.sub(r'\1="\2"', index.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "html"))
