"""A certificate authority of our own, and certificates from it as the PEM files that the YAML names."""

from pathlib import Path

import trustme


class Authority:
    """Issues certificates into a directory. `ca` is the file to believe."""

    def __init__(self, path: Path, name: str = "ca") -> None:
        self._path = path
        self._authority = trustme.CA()
        self.ca = str(path / f"{name}.pem")
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, *hosts: str) -> tuple[str, str]:
        """The files of a certificate for these hosts, and of its key; written anew where they exist."""
        issued = self._authority.issue_cert(*hosts)
        cert, key = self._path / f"{name}.pem", self._path / f"{name}.key"
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for file, content in ((cert, chain), (key, issued.private_key_pem.bytes())):
            new = file.with_suffix(".new")
            new.write_bytes(content)
            new.replace(file)
        return str(cert), str(key)
