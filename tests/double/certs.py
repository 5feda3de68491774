"""The certificate authorities and certificates of the tests, made by the openssl program in a folder of the caller."""

import pathlib
import subprocess

# How a server may show itself: KINDS are certificates, "tls1.1" is the good one over a protocol that is too old.
KINDS = ("good", "self-signed", "expired", "not-yet-valid", "wrong-name", "other-ca")
SERVER = "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
DAYS = {"expired": ("20200101000000Z", "20210101000000Z"), "not-yet-valid": ("20990101000000Z", "20991231000000Z")}


def openssl(*arguments, data=b""):
    """Runs openssl and returns what it printed."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Certificates:
    """`ca` is what the node trusts; `server(kind, names)` gives the certificate and the key of a server."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = self._ec_key("server")
        self.ca = self._authority("ca", "Test CA")
        self.made = {}

    def _ec_key(self, name):
        path = self.folder / f"{name}.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        return path

    def _authority(self, name, subject):
        path = self.folder / f"{name}.pem"
        openssl("req", "-x509", "-new", "-key", self._ec_key(name), "-days", "30", "-subj", f"/CN={subject}", "-out", path)
        return path

    def _other_authority(self):
        path = self.folder / "other-ca.pem"
        return path if path.exists() else self._authority("other-ca", "Another CA")

    def server(self, kind, names):
        """The certificate file and the key file of a server that answers to `names`, or pretends to."""
        where = (kind, tuple(names))
        if where not in self.made:
            self.made[where] = self._sign(kind, ["wrong.example"] if kind == "wrong-name" else list(names))
        return self.made[where], self.key

    def _sign(self, kind, names):
        stem = self.folder / f"{kind}-{len(self.made)}"
        kinds = ",".join(("IP:" if n.replace(".", "").isdigit() else "DNS:") + n for n in names)
        stem.with_suffix(".ext").write_text(f"{SERVER}subjectAltName={kinds}\n")
        request = openssl("req", "-new", "-key", self.key, "-subj", f"/CN={names[0]}"[:60])
        target = stem.with_suffix(".crt")
        if kind in DAYS:
            self._sign_dated(request, stem, *DAYS[kind])
        elif kind == "self-signed":
            openssl("x509", "-req", "-days", "30", "-key", self.key, "-extfile", stem.with_suffix(".ext"), "-out", target, data=request)
        else:
            ca = self._other_authority() if kind == "other-ca" else self.ca
            openssl("x509", "-req", "-days", "30", "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-set_serial", str(len(self.made) + 1000),
                    "-extfile", stem.with_suffix(".ext"), "-out", target, data=request)  # fmt: skip
        return target

    def _sign_dated(self, request, stem, start, end):
        """Only `openssl ca` sets both dates; it wants a small database of its own."""
        for name, text in ((".db", ""), (".serial", "2000\n")):
            stem.with_suffix(name).write_text(text)
        stem.with_suffix(".csr").write_bytes(request)
        stem.with_suffix(".cnf").write_text(
            "[ca]\ndefault_ca=one\n[one]\npolicy=any\ndefault_md=sha256\nunique_subject=no\n"
            f"database={stem}.db\nserial={stem}.serial\nnew_certs_dir={self.folder}\n[any]\ncommonName=supplied\n"
        )
        openssl("ca", "-batch", "-notext", "-config", stem.with_suffix(".cnf"), "-cert", self.ca, "-keyfile", self.ca.with_suffix(".key"),
                "-startdate", start, "-enddate", end, "-extfile", stem.with_suffix(".ext"), "-in", stem.with_suffix(".csr"),
                "-out", stem.with_suffix(".crt"))  # fmt: skip

    def client(self, name="principal", bits=2048):
        """A service principal's RSA key and certificate: (key file, certificate file, file with both)."""
        key, certificate, both = (self.folder / f"{name}{end}" for end in (".key", ".crt", ".both.pem"))
        if not both.exists():
            openssl("req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate)
            both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return key, certificate, both

    def bundle(self):
        """A folder to mount over /etc/ssl/certs: the bundle, and the hashed name under which OpenSSL looks."""
        folder = self.folder / "trusted"
        folder.mkdir(exist_ok=True)
        text = self.ca.read_text()
        (folder / "ca-certificates.crt").write_text(text)
        (folder / (openssl("x509", "-hash", "-noout", "-in", self.ca).decode().strip() + ".0")).write_text(text)
        folder.chmod(0o755)
        return folder


def pfx(key, certificate):
    """What Key Vault keeps of a managed certificate: PKCS#12 with an empty password, in the algorithms it uses."""
    return openssl("pkcs12", "-export", "-inkey", key, "-in", certificate, "-passout", "pass:", "-keypbe", "PBE-SHA1-3DES", "-certpbe",
                   "PBE-SHA1-3DES", "-macalg", "sha1", "-iter", "2000")  # fmt: skip
