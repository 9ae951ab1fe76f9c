#!/usr/bin/env python3
"""one_layer_image.py NAME FOLDER [ENTRYPOINT...] > image.tar

An image in docker's format made from a folder, for the few that the cluster itself needs."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile

name, folder, entrypoint = sys.argv[1], sys.argv[2], sys.argv[3:]
with tempfile.TemporaryFile() as layer:
    tar = ["tar", "-C", folder, "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-c", "."]
    subprocess.run(tar, stdout=layer, check=True)
    layer.seek(0)
    digest = hashlib.file_digest(layer, "sha256").hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as out:
        for path, data in (("manifest.json", manifest), ("config.json", config)):
            text = json.dumps(data).encode()
            info = tarfile.TarInfo(path)
            info.size = len(text)
            out.addfile(info, io.BytesIO(text))
        info = tarfile.TarInfo("layer.tar")
        info.size = layer.seek(0, 2)
        layer.seek(0)
        out.addfile(info, layer)
