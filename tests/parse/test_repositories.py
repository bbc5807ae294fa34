"""The words of package managers: signatures, sizes, repositories."""


def test_what_rpm_says_of_a_signature() -> None:
    from kdumpwrap.parse.repositories import Distrust, distrust

    good = (  # rpm 4.18, 6 by its documentation, then 4.11 of el7
        "a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 5ee4ba63: OK\n    Payload SHA256 digest: OK\n",
        "a.rpm:\n    Header OpenPGP V4 RSA/SHA512 signature, "
        "key fingerprint: 36f612dcf27f7d1a48a835e4dbfcf71c6d9f90a6: OK\n",
        "a.rpm:\n    Header V3 RSA/SHA256 Signature, key ID f4a80eb5: OK\n    Header SHA1 digest: OK (9a…)\n"
        "    V3 RSA/SHA256 Signature, key ID f4a80eb5: OK\n    MD5 digest: OK (4b…)\n",
    )
    assert [distrust(text) for text in good] == [None, None, None]
    assert distrust("a.rpm:\n    Header SHA256 digest: OK\n    MD5 digest: OK\n") == Distrust(
        "nobody has signed it", signed=False
    )
    assert distrust("") == Distrust("nobody has signed it", signed=False)
    for text in good:
        for line in text.splitlines()[1:]:
            for bad in ("BAD", "NOKEY", "NOTTRUSTED"):
                assert distrust(text.replace(line, line.replace(": OK", f": {bad}"), 1)) is not None


def test_what_package_managers_say_of_packages() -> None:
    from kdumpwrap.model.fetched import Offer
    from kdumpwrap.parse import repositories

    row = "kernel-debuginfo|5.14.0-503.el9|x86_64"
    text = f"\n{row}|baseos-debuginfo|7253\n\n{row}|other|1\n"
    file = "kernel-debuginfo-5.14.0-503.el9.x86_64.rpm"
    assert repositories.repoquery(text) == (
        Offer("kernel-debuginfo", "5.14.0-503.el9", "baseos-debuginfo", 7253, file),
    )
    text = "'http://deb.debian.org/debian/pool/a/a_1%3a2.0-1_all.deb' a_1%3a2.0-1_all.deb 42 SHA256:00\n"
    assert repositories.uris(text) == (Offer("a", "1:2.0-1", "http://deb.debian.org", 42, "a_1%3a2.0-1_all.deb"),)
