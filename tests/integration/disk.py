"""A disk of a test's own that can stall: a file, loop-mounted, frozen by fsfreeze(8)."""

import os

import spaces
from spaces import run


class Disk:
    """Nothing here may write to it while it is frozen: that would wait for ever."""

    def __init__(self, path, megabytes=96):
        self.path = path
        image = f"{path}.img"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", image)
        os.makedirs(path)
        run("mount", "-o", "loop", image, path)

    def freeze(self):
        run("fsfreeze", "--freeze", self.path)

    def thaw(self):
        run("fsfreeze", "--unfreeze", self.path)


def possible():
    """Loop devices and the tools are there (a container may have neither)."""
    return os.path.exists("/dev/loop-control") and all(
        spaces.run("sh", "-c", f"command -v {tool}", check=False).returncode == 0
        for tool in ("mkfs.ext4", "fsfreeze", "mount"))
