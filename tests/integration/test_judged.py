"""What `vipd -n` calls OK works as the daemon's user with the daemon's capabilities, and the rest
does not: files, owners, modes and mounts, judged by -n, by the kernel and by a daemon that runs."""

import os
import shutil
from signal import SIGHUP

from case import case
from certs import Authority
from lab import TIMEOUT, VIPD
from spaces import run, wait_for

USER = "61234:61235"
SANS = ["IP:127.0.0.1", "IP:10.77.0.1"]
ROOT = None  # no `user`: root, without CAP_DAC_OVERRIDE

# NAME: which file, who the daemon is, how the file is arranged at $f in the folder $d, and whether
# the daemon can use it. The shell runs in a mount namespace of its own.
ARRANGED = {
    "the user's, 0600": ("key", USER, "chown 61234 $f; chmod 600 $f", True),
    "root's, 0600": ("key", USER, "chmod 600 $f", False),
    "root's, 0640, the user's group": ("key", USER, "chgrp 61235 $f; chmod 640 $f", True),
    "root's, 0640, another group": ("key", USER, "chgrp 61236 $f; chmod 640 $f", False),
    "the user's, but only for its group":
        ("key", USER, "chown 61234:61235 $f; chmod 040 $f", False),
    "in a folder of root's": ("key", USER, "chmod 644 $f; chmod 700 $d", False),
    "in a folder of the user's group": ("key", USER, "chmod 644 $f; chgrp 61235 $d; chmod 750 $d",
                                        True),
    "behind a link": ("key", USER, "chown 61234 $f; chmod 600 $f; mv $f $d/x; ln -s x $f", True),
    "somebody's, and the daemon is root": ("key", ROOT, "chown 61236 $f; chmod 600 $f", False),
    "root's, and the daemon is root": ("key", ROOT, "chmod 600 $f", True),
    "authorities for root alone": ("cacert", USER, "chmod 600 $f", False),
    "authorities on a mount of root's": (
        "cacert", USER, "mount -t tmpfs -o mode=700 none $d; cp $d.aside/* $d", False),
    "a password for all": ("password", USER, "chmod 644 $f", False),
    "a password of the user's": ("password", USER, "chown 61234 $f; chmod 600 $f", True),
    "a password for the user's group": ("password", USER, "chgrp 61235 $f; chmod 640 $f", True),
    "a password of root's, and the daemon is root": ("password", ROOT, "chmod 400 $f", True),
    "a password for all, by a mount in memory": (
        "password", USER,
        "mount -t tmpfs none $d; cp $d.aside/* $d; chmod 444 $f; mount -o remount,ro $d", True),
    "the same, writable": ("password", USER, "mount -t tmpfs none $d; cp $d.aside/* $d; "
                           "chmod 444 $f", False),
    "a password for all, as a mount of its own": (
        "password", USER, "chmod 444 $f; mount --bind $f $f; mount -o remount,bind,ro $f", True),
    "a password as systemd's credentials are": (
        "password", USER, "mount -t ramfs -o mode=755 none $d; cp $d.aside/* $d; chgrp 61235 $f; "
        "chmod 440 $f; mount -o remount,bind,ro $d", True),
}


class Arranged:
    """One host; each arrangement starts with fresh copies of the files."""

    def __init__(self, t):
        folder = f"{t.logs}/certs"
        ca = Authority(folder)
        server, client = ca.issue("server", SANS), ca.issue("client")
        self.sources = {"cacert": ca.cert, "cert": client[0], "key": client[1]}
        self.stranger = Authority(folder, "stranger").issue("client")[1]
        self.lab = t.lab(hosts=1, tls=ca.context(client),
                         etcd_options=["--client-cert-auth", "--trusted-ca-file", ca.cert,
                                       "--cert-file", server[0], "--key-file", server[1]])
        self.lab.start_etcd()
        self.host = self.lab.hosts[0]
        self.host.socket = f"{self.host.folder}/run/vipd/vipd.sock"
        self.folder = f"{self.host.folder}/files"

    def files(self, which):
        """Those that are arranged lie in the folder alone, the others beside it for everybody."""
        for path in (self.folder, self.folder + ".aside", self.folder + ".all"):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path, 0o755)
        paths = {}
        for name in (*self.sources, "password"):
            place = self.folder if name == which else self.folder + ".all"
            paths[name] = f"{place}/{name}"
            for path in (paths[name], f"{self.folder}.aside/{name}"):
                if name == "password":
                    with open(path, "w") as file:
                        file.write("secret\n")
                else:
                    shutil.copy(self.sources[name], path)
                os.chmod(path, 0o644)
        return paths

    def words(self, path, arrange, *words):
        """A command in a mount namespace where the files are arranged."""
        script = f"set -e; f={path}; d={self.folder}; {arrange}; exec \"$@\""
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *words]

    def config(self, paths, which, user, **more):
        keys = {f"etcd__{name}": paths[name] for name in self.sources}
        if which == "password":
            keys.update(etcd__user="vip", etcd__password_file=paths["password"])
        return self.host.write_config(user=user, state__dir=f"{self.host.folder}/run/vipd",
                                      control__socket=self.host.socket, **keys, **more)

    def kernel_says(self, words, path, user):
        """Whether the daemon's user, with its capabilities, can read the file."""
        uid, gid = (user or "0:0").split(":")
        return run(*words(path, "setpriv", "--reuid", uid, "--regid", gid, "--clear-groups",
                          "--bounding-set", "-all", "--inh-caps", "-all", "cat", path),
                   check=False).returncode == 0

    def daemon_says(self, words):
        """Whether the daemon reaches etcd."""
        process = self.host.vipd = self.host.spawn(words, "judged.log")
        wait_for(lambda: not process.running() or self.reached() or
                 "nothing is sent" in process.text(), 10, "a daemon that starts, or ends")
        reached = process.running() and self.reached()
        if process.running():
            process.end()
        return reached

    def reached(self):
        return bool((self.host.status() or {}).get("etcd", {}).get("endpoint"))


@case(seconds=60, weight=3)
def test_judged_by_n_as_by_the_daemon(t):
    """Files of all sorts, judged three ways."""
    a = Arranged(t)
    for name, (which, user, arrange, good) in ARRANGED.items():
        path = a.files(which)[which]
        config = a.config(a.files(which), which, user)
        said = run(*a.words(path, arrange, VIPD, "-n", "-c", config), check=False)
        t.equal(said.returncode, 0 if good else 2, f"{name}: -n, which says {said.stderr}")
        if not good:
            t.check(f"etcd.{which}" in said.stderr and path in said.stderr,
                    f"{name}: nothing names the file in {said.stderr}")
        a.files(which)
        kernel = a.kernel_says(lambda p, *w, arrange=arrange: a.words(p, arrange, *w), path, user)
        t.check(kernel or not good, f"{name}: the kernel says that it cannot be read")
        if which != "password":
            t.equal(kernel, good, f"{name}: what the kernel says")
        a.files(which)
        t.equal(a.daemon_says(a.words(path, arrange, VIPD, "-c", config)), good,
                f"{name}: whether the daemon reaches etcd")
    t.figure(f"{len(ARRANGED)} arrangements")


@case(seconds=25)
def test_judged_what_does_not_fit(t):
    """What can be read, and is of no use, is found by -n: as the TLS library finds it."""
    a = Arranged(t)
    paths = a.files("key")
    config = a.config(paths, "key", USER)

    def refused(words):
        said = run(VIPD, "-n", "-c", config, check=False)
        t.equal(said.returncode, 2, f"exit status with: {words}")
        t.check(words in said.stderr, f"'{words}' is not in {said.stderr}")

    shutil.copyfile(a.stranger, paths["key"])
    refused(f"etcd.key {paths['key']} cannot be used with cert {paths['cert']}")
    a.files("key")
    for name in ("cacert", "cert"):
        with open(paths[name], "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        refused(f"etcd.{name} {paths[name]} cannot be used")
        a.files("key")
    os.chmod(config, 0o600)
    refused("can be read now, but not by a reload: Permission denied to user " + USER)


@case(seconds=25)
def test_judged_again_while_it_runs(t):
    """A file that the user may not read any more: what was read stays in use. Its mode is mended:
    it is read again, without a signal."""
    a = Arranged(t)
    paths = a.files("cacert")
    config = a.config(paths, "cacert", USER)
    process = a.host.vipd = a.host.spawn([VIPD, "-c", config], "judged.log")
    a.lab.wait_owner(timeout=TIMEOUT + 5)
    os.chmod(paths["cacert"], 0o600)
    kept = f"cacert {paths['cacert']}: Permission denied; the files read before stay in use"
    wait_for(lambda: kept in process.text(), 10, "word of the file that cannot be read")
    process.send(SIGHUP)
    wait_for(lambda: "the configuration was not changed" in process.text(), 10, "a refused reload")
    os.chmod(paths["cacert"], 0o644)
    wait_for(lambda: "the certificates were read again" in process.text(), 10, "the file, again")
    a.lab.witness.sync()
    t.check(not a.lab.witness.find("del"), "the address went")
