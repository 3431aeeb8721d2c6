"""An authority and the certificates that it issues, made with the openssl command."""

import os
import ssl

from spaces import run

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
ED25519 = ["-newkey", "ed25519", "-nodes"]


class Authority:
    def __init__(self, folder, name="ca", kind=KEY):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.cert, self.key = f"{folder}/{name}.pem", f"{folder}/{name}.key"
        run("openssl", "req", "-x509", *kind, "-keyout", self.key, "-out", self.cert, "-days", "9",
            "-subj", f"/CN={name}")

    def issue(self, name, sans=("IP:127.0.0.1",), cn=None, days=9, kind=KEY):
        """(certificate, key), good for both ends; days=-1: it has expired."""
        base = f"{self.folder}/{self.name}-{name}"
        cert, key, request = f"{base}.pem", f"{base}.key", f"{base}.csr"
        run("openssl", "req", "-new", *kind, "-keyout", key, "-out", request,
            "-subj", f"/CN={cn}" if cn else "/", "-addext", f"subjectAltName={','.join(sans)}",
            "-addext", "extendedKeyUsage=serverAuth,clientAuth")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
            "-days", str(days), "-copy_extensions", "copy", "-out", cert)
        return cert, key

    def context(self, pair):
        """For a client that shows this certificate."""
        context = ssl.create_default_context(cafile=self.cert)
        context.load_cert_chain(*pair)
        return context
