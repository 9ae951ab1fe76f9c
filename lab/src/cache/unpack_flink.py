"""Takes the jars that the lab runs out of a Python package of Flink.

usage: unpack DOWNLOADS TARGET
The package is a tar.gz with the jars beneath deps/ (up to Flink 2.2) or a zip with them beneath
pyflink/ (from 2.3 on). Everything that only SQL or Python jobs need is left behind.
"""

import os
import re
import shutil
import sys
import tarfile
import zipfile

WANTED = re.compile(
    r"(?:^|/)(?:deps|pyflink)/"
    r"(lib/(?:flink-dist|log4j|flink-shaded-zookeeper|flink-connector-files)[^/]*\.jar"
    r"|plugins/metrics-prometheus/[^/]*\.jar)$"
)


def keep(name, source, target):
    path = os.path.join(target, WANTED.search(name).group(1))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with source, open(path, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def main(downloads, target):
    package = os.path.join(downloads, os.listdir(downloads)[0])
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            for name in filter(WANTED.search, archive.namelist()):
                keep(name, archive.open(name), target)
    else:
        with tarfile.open(package, "r|gz") as archive:
            for member in archive:
                if member.isfile() and WANTED.search(member.name):
                    keep(member.name, archive.extractfile(member), target)


main(sys.argv[1], sys.argv[2])
