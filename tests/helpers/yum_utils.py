"""yumdownloader and repoquery as el7 has them, for the packages in a directory: yum-utils 1.1.31, of Python 2.

Neither PyPI nor Debian has yum-utils: these are fakes. From its manual pages and its source are taken: the options,
which optparse reads and refuses; that a pattern is NAME, NAME.ARCH or NAME-VERSION-RELEASE.ARCH; that what matches
nothing, or does not come, is a line on standard error, and that yumdownloader then still ends with status 0.
"""

import sys
from pathlib import Path

OPTIONS = {
    # of yum's own parser
    "--config": "store",
    "--quiet": "store_true",
    "--enablerepo": "append",
    "--disablerepo": "append",
    "--setopt": "append",
    "--releasever": "store",
    # of yumdownloader(1)
    "--destdir": "store",
    "--urls": "store_true",
    "--resolve": "store_true",
    "--source": "store_true",
    # of repoquery(1)
    "--queryformat": "store",
    "--all": "store_true",
    # of both
    "--archlist": "append",
}
SHORT = {"--quiet": "-q", "--config": "-c"}
PROGRAM = """#!{python}
import os, shutil, subprocess, sys
from optparse import OptionParser

parser = OptionParser()
for name, action in {options!r}.items():
    parser.add_option(*[one for one in ({short!r}.get(name), name) if one], action=action)
parser.add_option("--qf", dest="queryformat")
options, patterns = parser.parse_args()
if os.path.exists({unreachable!r}):  # Errno 14 of yum: skip_if_unavailable is off
    sys.exit("Cannot retrieve repository metadata (repomd.xml) for repository: base-debuginfo. Please verify its path")

def tags(file):
    form = "%{{NAME}}|%{{VERSION}}|%{{RELEASE}}|%{{ARCH}}"
    said = subprocess.check_output(["rpm", "-qp", "--nosignature", "--qf", form, file]).decode()
    its = dict(zip(("name", "version", "release", "arch"), said.split("|")))
    return dict(its, repoid="base-debuginfo", size=str(os.path.getsize(file)))

files = [os.path.join({packages!r}, name) for name in sorted(os.listdir({packages!r})) if name.endswith(".rpm")]
there = [(file, tags(file)) for file in files]
if options.archlist:
    there = [(file, its) for file, its in there if its["arch"] in ",".join(options.archlist).split(",")]

def found(pattern):
    full = "%(name)s-%(version)s-%(release)s"
    names = ("%(name)s", "%(name)s.%(arch)s", full, full + ".%(arch)s")
    return [(file, its) for file, its in there if pattern in [name % its for name in names]]

if os.path.basename(sys.argv[0]) == "repoquery":
    for pattern in patterns:
        for file, its in found(pattern):
            row = options.queryformat
            for name, value in its.items():
                row = row.replace("%{{" + name + "}}", value)
            print(row)
    sys.exit(0)
wanted = []
for pattern in patterns:
    matching = found(pattern)
    if not matching:
        sys.stderr.write("No Match for argument %s\\n" % pattern)
    wanted += matching
if not wanted:
    sys.stderr.write("Nothing to download\\n")
for file, its in wanted:
    local = os.path.join(options.destdir or ".", os.path.basename(file))
    if os.path.exists({gone!r}):
        why = "failure: Packages/%(name)s.rpm from base-debuginfo: [Errno 256] No more mirrors to try." % its
        sys.stderr.write("Could not download/verify pkg %s: %s\\n" % (its["name"], why))
    else:
        shutil.copy(file, local)
"""


def install(into: Path, packages: Path) -> None:
    """The two programs in ``into``.

    A file ``unreachable`` beside them stands for a repository that does not answer; ``gone`` for packages that its list
    names and it no longer has.
    """
    text = PROGRAM.format(
        python=sys.executable,
        options=OPTIONS,
        short=SHORT,
        packages=str(packages),
        unreachable=str(into / "unreachable"),
        gone=str(into / "gone"),
    )
    for name in ("repoquery", "yumdownloader"):
        (into / name).write_text(text)
        (into / name).chmod(0o755)
