"""--redact: planted secrets are gone from every output, all else stays."""

import html
import itertools
import json
import re
from pathlib import Path
from typing import List, Tuple

import pytest
import recorded
from conftest import RunCli
from hypothesis import given, settings
from hypothesis import strategies as st

from kdumpwrap import analyze, annotate
from kdumpwrap.cli import options, pages
from kdumpwrap.culprit.signature import signature
from kdumpwrap.debuginfo import Search
from kdumpwrap.example import worked
from kdumpwrap.log import private, reader
from kdumpwrap.model.log import subject
from kdumpwrap.render import annotate as renderer
from kdumpwrap.render import json as json_renderer
from kdumpwrap.render import markdown, raw, redact
from kdumpwrap.render import text as text_renderer
from kdumpwrap.render.redact import Redactor

# each secret and a line that holds it
SECRETS = [
    ("kowloon17", "Jun 14 20:03:13 kowloon17 kernel: eth0: link up"),
    ("pekin-db", "2023-12-20T10:51:06.123456+08:00 pekin-db.corp.acme.com sshd[12]: hello"),
    ("acme.com", "nfs: server filer.acme.com not responding"),
    ("buildbox7", "Linux version 3.10.0-514.el7.x86_64 (mockbuild@buildbox7) (gcc version 4.8.5) #1 SMP"),
    ("wanda", "audit: cwd=\"/home/wanda/src\""),
    ("wilhelmine", "sshd[7]: Accepted publickey for wilhelmine from 10.77.1.9 port 22"),
    ("10.77.1.9", "sshd[7]: Accepted publickey for wilhelmine from 10.77.1.9 port 22"),
    ("172.16.254.33", "IN=eth0 MAC=00:1a:2b:3c:4d:5e:66:77:88:99:aa:bb:08:00 SRC=172.16.254.33 DST=10.0.0.1"),
    ("00:1a:2b:3c:4d:5e", "IN=eth0 MAC=00:1a:2b:3c:4d:5e:66:77:88:99:aa:bb:08:00 SRC=172.16.254.33 DST=10.0.0.1"),
    ("66:77:88:99:aa:bb", "IN=eth0 MAC=00:1a:2b:3c:4d:5e:66:77:88:99:aa:bb:08:00 SRC=172.16.254.33 DST=10.0.0.1"),
    ("52:54:00:d1:e2:f3", "virtio_net: MAC address 52:54:00:d1:e2:f3"),
    ("fe80::5054:ff:fed1:e2f3", "icmp6: from fe80::5054:ff:fed1:e2f3 to ::1"),
    ("2001:db8:0:1:2:3:4:5", "addr 2001:db8:0:1:2:3:4:5 added"),
    ("CZJ1234ABC", "Hardware name: HP ProLiant DL380 CZJ1234ABC, BIOS P89 10/21/2019"),
    ("J7XK0Z2", "Hardware name: Dell Inc. PowerEdge R640/0W23H8, BIOS 2.8.2 08/27/2020, Service Tag: J7XK0Z2"),
    ("INV-004711", "Hardware name: Dell Inc. PowerEdge R640, Asset Tag: INV-004711"),
    ("S3YJNX0K", "ata1: Serial Number: S3YJNX0K"),
    ("21:00:00:24:ff:4c:1d:9e", "qla2xxx: WWPN: 21:00:00:24:ff:4c:1d:9e"),
    ("600508b1001cdeadbeef0123456789ab", "sd 0:0:0:0: naa.600508b1001cdeadbeef0123456789ab"),
    ("3600508b1001cdeadbeef0123456789ab", "dm-0: mpath 3600508b1001cdeadbeef0123456789ab"),
    ("550e8400-e29b-41d4-a716-446655440000", "Command line: root=UUID=550e8400-e29b-41d4-a716-446655440000 ro"),
    # hosts in other places
    ("osaka-4", "<13>1 2023-12-20T10:51:06.123Z osaka-4 app - - - hello"),
    ("lima-mon", "[    5.000000] lima-mon kernel: eth0: link up"),
    ("kigali", "root@kigali:~# dmesg"),
    ("tokio3", "systemd[1]: Hostname set to <tokio3>."),
    ("oslo-web", "systemd[1]: Set hostname to <oslo-web>."),
    ("riga-sql", "Kernel command line: ip=10.1.2.3::10.1.2.1:255.255.255.0:riga-sql:eth0:none"),
    ("minsk9", "Kernel command line: rd_LVM_LV=vg_minsk9/lv_root systemd.hostname=minsk9"),
    ("turin8", "    NODENAME: turin8"),
    ("vaduz", "sshd[7]: pam_unix(sshd:auth): authentication failure; rhost=vaduz  user=klaus"),
    ("192-168-7-9", "started on ip-192-168-7-9"),
    ("sofia-nas", "nfs: server sofia-nas not responding, still trying"),
    ("quito-nas", "NFS: mount quito-nas:/export/home failed"),
    ("delhi-nas", "CIFS: Attempting to mount \\\\delhi-nas\\share"),
    ("cairo-nas", "CIFS: Attempting to mount \\x5c\\x5ccairo-nas\\x5cshare"),
    ("lome-nas", "Kernel command line: root=nfs:lome-nas:/srv/root,v3"),
    ("dakar-ks", "Kernel command line: inst.ks=http://dakar-ks/ks.cfg"),
    ("isolde", "CPU: 1 PID: 7 Comm: sshd: isolde [priv] Not tainted 6.1.0 #1"),
    ("accra7", "/var/crash/accra7-2023-12-20-10:51:06/vmcore"),
    # users
    ("klaus", "sshd[7]: pam_unix(sshd:auth): authentication failure; rhost=vaduz  user=klaus"),
    ("gertrud", "sshd[7]: Invalid user gertrud from 10.77.1.9 port 22"),
    ("hannelore", "sshd[7]: Disconnected from authenticating user hannelore 10.77.1.9 port 22"),
    ("siegfried", "systemd[1]: Started Session 3 of User siegfried."),
    ("brunhilde", "sudo: brunhilde : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
    ("waltraud", "su: (to root) waltraud on pts/0"),
    ("kriemhild", "crond[7]: (kriemhild) CMD (/usr/bin/job)"),
    ("ortrud", "/home/AD.ACME/ortrud/src"),
    ("ortlinde", "found ~ortlinde/.bashrc"),
    ("wotan", "mail of wotan+kdump@acme.co.uk"),
    ("fricka", "proxy http://fricka:rheingold@10.0.0.9:3128"),
    ("rheingold", "proxy http://fricka:rheingold@10.0.0.9:3128"),
    # the same kinds, written otherwise
    ("52-54-00-d1-e2-f4", "Kernel command line: BOOTIF=01-52-54-00-d1-e2-f4"),
    ("5254.00d1.e2f5", "bond0: partner 5254.00d1.e2f5"),
    ("525400d1e2f6", "eth1: hwaddr 525400d1e2f6"),
    ("00:02:c9:03:00:12:34:57", "ib0: 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:12:34:57"),
    ("0002:c903:0012:3458", "mlx5_core 0000:05:00.0: node_guid: 0002:c903:0012:3458"),
    ("64:ff9b::", "route to 64:ff9b::192.0.2.33 lost"),
    ("2001:db8:1:2::", "addr 2001:db8:1:2::/64"),
    ("fe80::1c2d", "addr fe80::1c2d%eth0"),
    ("192.168.70.90", "peer ::ffff:192.168.70.90"),
    ("1234abcd-02", "Command line: root=PARTUUID=1234abcd-02"),
    ("0f1e2d3c4b5a69780f1e2d3c4b5a6978", "systemd[1]: Initializing machine ID from random generator: "
     "0f1e2d3c4b5a69780f1e2d3c4b5a6978"),
    ("fedcba9876543210fedcba9876543210", '{"_BOOT_ID" : "fedcba9876543210fedcba9876543210"}'),
    ("5000c500a1b2c3d4", "disk wwn-0x5000c500a1b2c3d4"),
    ("35000c500a1b2c3d5", "multipathd: 35000c500a1b2c3d5: load table"),
    ("0025385b71b00123", "disk nvme-eui.0025385b71b00123"),
    ("WD-WCC131234567", "/dev/disk/by-id/ata-WDC_WD4000FYYZ-01UL1B0_WD-WCC131234567-part1"),
    ("db7-target", "Kernel command line: netroot=iscsi:@10.9.8.7::3260::iqn.2001-05.com.acme:0-8a09-db7-target"),
    ("5000c500a1b2c3aa", "mpt3sas_cm0: handle(0x0009), sas_address(0x5000c500a1b2c3aa), phy(0)"),
    ("5000c500a1b2c3ab", "scsi host0: enclosure logical id (0x5000c500a1b2c3ab), slot(1)"),
    ("500056b36789abff", "sas: ex 500056b36789abff phy00:U:A attached: 500056b36789abfe (stp)"),
    ("500056b36789abfe", "sas: ex 500056b36789abff phy00:U:A attached: 500056b36789abfe (stp)"),
    ("5000c500a1b2c3af", "sd 0:0:0:0: wwid 0x5000c500a1b2c3af"),
    ("52-54-00-ff-fe-d1-e2-f7", "ib1: GUID 52-54-00-ff-fe-d1-e2-f7"),
    ("5254.00ff.fed1.e2f8", "bond0: partner 5254.00ff.fed1.e2f8"),
    ("550e8400e29b41d4a716446655440001", "dracut: disk uuid=550e8400e29b41d4a716446655440001"),
    ("a7164466", "mdadm: ARRAY /dev/md0 UUID=550e8400:e29b41d4:a7164466:55440002"),
    ("42 1d 3c aa", "DMI: Serial Number: VMware-42 1d 3c aa 0b 1c 2d 3e-4f 50 61 72 83 94 a5 b6"),
    ("83 94 a5 b6", "product_serial: VMware-42 1d 3c aa 0b 1c 2d 3e-4f 50 61 72 83 94 a5 b6"),
    ("QWERTZUI", "usb 1-1: SerialNumber: QWERTZUI"),
    ("nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
     "sshd[7]: Accepted publickey for wilhelmine from 10.77.1.9 port 22 ssh2: RSA "
     "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"),
    ("16:27:ac:a5:76:28", "sshd[7]: found matching RSA key: MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"),
    ("63:1b:56:4d:eb:df", "sshd[7]: found matching RSA key: MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"),
    ("siegmund", "root: cd ~siegmund: No such file or directory"),
    ("gunther", "polkitd: uid=1000(gunther) gid=1000(gunther)"),
    ("hagen1", "udisksd[7]: Mounted /dev/sdb1 at /run/media/hagen1/disk"),
    ("alberich", "postfix: /var/spool/mail/alberich: full"),
    ("froh7", "login[7]: LOGIN ON tty1 BY froh7"),
    ("bern-nas", "CIFS: Attempting to mount //bern-nas/share"),
    ("genf7", "Linux genf7 5.14.0-503.el9.x86_64 #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux"),
    ("basel-7", "Command line: root=/dev/mapper/rhel_basel--7-root rd.lvm.lv=rhel_basel-7/root"),
    ("basel--7", "Command line: root=/dev/mapper/rhel_basel--7-root rd.lvm.lv=rhel_basel-7/root"),
    ("zug5", 'NetworkManager[7]: <info> hostname: hostname changed from (none) to "zug5"'),
    ("oldbox4", "NetworkManager[7]: <info> hostname changed from 'oldbox4' to 'newbox5'"),
    ("newbox5", "NetworkManager[7]: <info> hostname changed from 'oldbox4' to 'newbox5'"),
    ("oldbox6", "systemd-hostnamed[9]: Hostname set from <oldbox6> to <newbox7>"),
    ("chur6", "ssh: Could not resolve hostname chur6: Name or service not known"),
    ("arosa7", "ssh: connect to host arosa7 port 22: No route to host"),
    ("davos8", "mount.nfs: Failed to resolve server davos8: Name or service not known"),
    ("thun9", "o2net: Connected to node thun9 (num 1) at 10.0.0.12:7777"),
    ("wil3", "dhcpd: DHCPACK on 10.0.0.7 to 52:54:00:d1:e2:f3 (wil3) via eth0"),
    ("2001:db8::77", "rpc: connect to [2001:db8::77]:2049 failed"),
    ("10.77.5.1", "audit: pid=1 uid=0 msg='op=PAM acct=\"sieglinde\" hostname=sankt-g addr=10.77.5.1 res=success'"),
    ("sieglinde", "audit: pid=1 uid=0 msg='op=PAM acct=\"sieglinde\" hostname=sankt-g addr=10.77.5.1 res=success'"),
    ("sankt-g", "audit: pid=1 uid=0 msg='op=PAM acct=\"sieglinde\" hostname=sankt-g addr=10.77.5.1 res=success'"),
    ("array7", 'nvme nvme0: new ctrl: NQN "nqn.2014-08.com.acme:nvme:array7", addr 10.0.0.9:4420'),
]  # fmt: skip
_ERRORS = (1 << 64) - 4096  # numbers that are an -ERRNO
PLANTED = "\n".join(dict.fromkeys(line for _, line in SECRETS)) + "\n"


def left(text: str) -> List[str]:
    return [secret for secret, _ in SECRETS if secret.lower() in text.lower()]


def test_each_secret_is_planted() -> None:
    assert not [secret for secret, line in SECRETS if secret not in line]
    assert len(left(PLANTED)) == len(SECRETS)


def test_nothing_to_redact_is_said() -> None:
    assert Redactor().said().startswith("found nothing to redact; it cannot be complete")


@pytest.mark.parametrize(("secret", "line"), SECRETS, ids=[secret for secret, _ in SECRETS])
def test_each_line_alone_keeps_its_secret(secret: str, line: str) -> None:
    redactor = Redactor()
    for text in (line, f"[ 1823.250000] {line}", json.dumps({"text": f"one\n{line}\ntwo"})):
        found = redactor.text(text)
        assert secret.lower() not in found.lower() and redactor.text(found) == found
    page = f"<!doctype html><p>{html.escape(line)}</p>"
    assert secret.lower() not in Redactor().text(page).lower()


@pytest.mark.parametrize("name", recorded.EVERY)
def test_no_pointer_and_no_task_is_left(name: str) -> None:
    data = recorded.data(name).decode("utf-8", "surrogateescape")
    before = reader.parse([recorded.data(name)])
    redactor = Redactor(["pointers", "names"])
    found = redactor.text(data)
    assert not [one for one in re.findall(r"(?<![\w.])(?:0x)?ffff[0-9a-f]{12}(?!\w)", found) if int(one, 16) < _ERRORS]
    comms = {report.comm for report in before.reports if report.comm}
    own = {comm for comm in comms if private.THREADS.fullmatch(comm)}
    assert not [comm for comm in comms - own if len(comm) > 1 and re.search(rf"(?i:comm): {re.escape(comm)} ", found)]
    assert all(data.count(f" {comm} ") == found.count(f" {comm} ") for comm in own), "the kernel's own threads stay"
    assert redactor.text(found) == found


@pytest.mark.parametrize("name", recorded.EVERY)
def test_no_secret_is_left_in_any_log_and_the_rest_is_told_as_before(name: str) -> None:
    data = recorded.data(name).decode("utf-8", "surrogateescape")
    text = PLANTED + data
    redactor = Redactor()
    found = redactor.text(text)
    assert not left(found)
    assert found == Redactor().text(text), "the same log, redacted twice, is the same"
    assert redactor.text(found) == found
    assert found.count("\n") == text.count("\n")
    before, after = (reader.parse([one.encode("utf-8", "surrogateescape")]) for one in (text, found))
    assert [(one.kind, one.line, one.ip, one.trace) for one in before.reports] == [
        (one.kind, one.line, one.ip, one.trace) for one in after.reports
    ]
    index = subject(len(before.reports), before.fatal)
    assert index is None or signature(before.reports[index]) == signature(after.reports[index])


@pytest.mark.parametrize("name", recorded.EVERY)
def test_no_output_of_any_log_holds_a_secret_of_its_report(name: str, tmp_path: Path) -> None:
    """Secrets in the middle of the report: a renderer writes what it takes of them in a way of its own."""
    rows = recorded.data(name).split(b"\n")
    found = reader.parse([recorded.data(name)])
    index = subject(len(found.reports), found.fatal)
    report = found.reports[index] if index is not None else None
    middle = (report.line + (report.last_line or report.line)) // 2 if report is not None else len(rows)
    inside = PLANTED.replace("Linux version", "of Linux").encode()
    file = tmp_path / "vmcore-dmesg.txt"
    file.write_bytes(b"\n".join([*rows[:middle], inside + b"[    1.5] pc : f+0x1/0x2", *rows[middle:]]))
    search = Search(tmp_path)
    analysis = analyze.analyze(str(file), search)
    with annotate.Annotator(analysis.crash, search) as annotator:
        lines = list(annotator.lines(file.read_bytes()))
    decoded = b"".join(piece.data for line in lines for piece in renderer.pieces(line))
    plain = {
        "annotate": decoded.decode("utf-8", "surrogateescape"),
        "text": text_renderer.render(analysis, all_reports=True),
        "raw": raw.render(analysis, all_reports=True),
        "json": json_renderer.render(analysis),
        "markdown": markdown.render(analysis),
        "html": pages.crash(analysis),
    }
    done = {}
    for format_, text in plain.items():  # each alone: none learns from another
        redactor = Redactor()
        redactor.crash(analysis)
        done[format_] = redactor.text(text)
    assert not {format_: left(text) for format_, text in done.items() if left(text)}
    before, after = json.loads(plain["json"]), json.loads(done["json"])
    assert before["signature"] == after["signature"]
    for one, other in zip(before["reports"], after["reports"]):
        assert (one["trace"], one["ip"], one["kind"], one["line"]) == (
            other["trace"], other["ip"], other["kind"], other["line"],
        )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Linux version 2.6.32.12-0.7-default",
        "pci 0000:00:1f.2: [8086:2922] at 10:51:07",
        "Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled",
        "usb 1-1: New USB device strings: Mfr=1, Product=2, SerialNumber=3",
        "core::fmt::write+0x1/0x2 and std::a",
        "listening on 127.0.0.1, 0.0.0.0 and ::1",
        "Hardware name: HPE ProLiant DL360 Gen10/ProLiant DL360 Gen10, BIOS U32 11/13/2019",
        "Hardware name: Dell Inc. PowerEdge R640/0W23H8, BIOS 2.8.2 08/27/2020",
        "Hardware name: LENOVO ThinkSystem, BIOS GLET83WW (2.37 )",
        "driver version 10.2.1.3 loaded",
        "see https://bugzilla.kernel.org and http://www.redhat.com",
        "RIP: 0010:f+0x1/0x2 RAX: ffffffff818a7103 Comm: kworker/0:1",
        "PM: Registered nosave memory: [mem 0x0009f000-0x0009ffff]",
        "8021q: adding VLAN 0 to HW filter on device eth0",
        "VERIFY3(36028797018963968 == 0) failed",
        "random: crng init done, the kernel: 2019.0831.1200",
        "OF: /soc/serial@fe215040 of /cpus/cpu@0",
        "inet 255.255.255.0 netmask",
        "cgroup: oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0",
        "Call Trace: f+0x1/0x2 at /usr/src/linux/mm/slub.c:12",
        "hostname not set; host name lookup failed",
        "could not resolve host name; unable to connect to server again",
        "systemd[1]: Started getty@tty1.service - Getty on tty1.",
        "probably for non-canonical address 0x5a5a5a5a5a5a5a5a: 0000 [#1] RBX: 5000c500a1b2c3ab",
        "usb usb1: SerialNumber: 0000:00:14.0",
        "x & ~mask / flags",
        "root=/dev/mapper/rhel-root rd.lvm.lv=rhel/root",
    ],
)
def test_what_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_host_is_the_same_one_by_its_short_name_and_in_every_text() -> None:
    redactor = Redactor(hosts=["db01"])
    assert redactor.text("on db01") == "on host-1"
    assert redactor.text("Jun 14 20:03:13 db01.acme.com kernel: x from db01") == (
        "Jun 14 20:03:13 host-1 kernel: x from host-1"
    )


def test_a_host_with_a_word_of_ours_for_a_name_breaks_nothing() -> None:
    text = '{"path": "Jun 14 20:03:13 path kernel: x\\n10.1.1.1"}'
    assert json.loads(Redactor().text(text)) == {"path": "Jun 14 20:03:13 host-1 kernel: x\nip-1"}
    page = "<!doctype html><script>let x</script><p>Jun 14 20:03:13 script kernel: net/ipv4/a.c"
    assert Redactor().text(page) == page.replace(" script kernel", " host-1 kernel")
    text = "Jun 14 20:03:13 tunnel kernel: tunnel+0x1/0x2 (net/tunnel.c:12) of tunnel"
    assert Redactor().text(text) == "Jun 14 20:03:13 host-1 kernel: tunnel+0x1/0x2 (net/tunnel.c:12) of host-1"
    text = "Jun 14 20:03:13 net kernel: at net/ipv4/ip_output.c:12"
    assert Redactor().text(text) == text.replace("13 net", "13 host-1")


def test_pointers_and_tasks_on_request() -> None:
    text = "RIP: ffffffff818a7103 0xffffffff818a7103 RAX: 0000000000000010 [<c0123456>] Comm: wan d Not tainted"
    assert Redactor(["pointers", "names"]).text(text) == (
        "RIP: ptr-1 ptr-1 RAX: 0000000000000010 [<ptr-2>] Comm: task-1 Not tainted"
    )
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("value", "also"), [("", set()), ("pointers", {"pointers"}), ("names,pointers", {"names", "pointers"}), ("x", None)]
)
def test_what_can_be_asked_for(value: str, also: object) -> None:
    assert redact.parse(value) == also


def test_the_option_needs_no_value() -> None:
    assert options.with_values(["analyze", "--redact", "x", "--", "--redact"]) == [
        "analyze", "--redact=", "x", "--", "--redact",
    ]  # fmt: skip


_OCTET = st.integers(0, 255)
_OWN = st.from_regex(r"[a-z][a-z0-9]{3,9}-[a-z]{2,6}[0-9]{1,2}", fullmatch=True)
_DASHED = st.from_regex(r"zq[a-z]{0,2}(?:-{1,3}[a-z0-9]{1,2}){1,4}", fullmatch=True)


@given(st.lists(_DASHED, min_size=1, max_size=3), st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_name_is_hidden_however_many_dashes_are_doubled(names: List[str], often: List[bool]) -> None:
    """The device mapper doubles a dash, and a name may hold two of its own."""
    twice = itertools.cycle(often)
    doubled = [re.sub("-", lambda _: "--" if next(twice) else "-", name) for name in names]
    told = "".join(f"systemd[1]: Set hostname to <{name}>.\n" for name in names)
    done = Redactor().text(told + "".join(f"x {name}\n" for name in doubled))
    assert not [name for name in (*names, *doubled) if name in done]
    assert re.search(r"x host-\d+\n", done)


def test_a_name_in_letters_that_only_look_alike_ends_nothing() -> None:
    assert "oſlo" not in Redactor().text("systemd[1]: Set hostname to <oslo-web>.\nx oſlo-web\n")


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), max_size=30), max_size=6),
    st.tuples(st.integers(1, 126), _OCTET, _OCTET, _OCTET),
    st.lists(_OCTET, min_size=6, max_size=6),
    st.uuids(),
    st.tuples(_OWN, _OWN),
    st.integers(0, 5),
)
def test_planted_among_anything(
    rows: List[str], ip: List[int], mac: List[int], uuid: object, names: Tuple[str, str], at: int
) -> None:
    address = ".".join(map(str, ip))
    ethernet = ":".join(f"{octet:02x}" for octet in mac)
    host, user = names
    rows[at:at] = [
        f"Jun 14 20:03:13 {host} kernel: from {address} by {ethernet}, disk {uuid} there",
        f"sshd[7]: Accepted publickey for {user} from {address} port 22 on {host}",
    ]
    text = "\n".join(rows)
    redactor = Redactor()
    found = redactor.text(text)
    assert not [secret for secret in (address, ethernet, str(uuid), *names) if re.search(rf" {secret}[ ,]", found)]
    assert redactor.text(found) == found == Redactor().text(text)


# ---------------------------------------------------------------- the commands


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    log = next(worked.root().glob("var/crash/*/vmcore-dmesg.txt"))
    file = tmp_path / "vmcore-dmesg.txt"
    text = log.read_text()
    middle = text.index("RIP: 0010:iptunnel_xmit")
    middle = text.rindex("\n", 0, middle) + 1
    inside = "".join(f"[ 1823.250000] {line}\n" for line in PLANTED.splitlines() if "Linux version" not in line)
    file.write_text(text[:middle] + inside + text[middle:])
    return file


@pytest.mark.parametrize(
    "arguments",
    [["annotate"], ["analyze", "--all-reports"], ["analyze", "--markdown"], ["analyze", "--json"],
     ["analyze", "--html", "-"], ["analyze", "--raw"]],
    ids=" ".join,
)  # fmt: skip
def test_no_output_holds_a_secret(arguments: List[str], planted: Path, run_cli: RunCli) -> None:
    root = ("--root", str(worked.root()), "--no-variables", str(planted))
    plain = run_cli(*arguments, *root)
    done = run_cli(*arguments, "--redact", *root)
    assert not left(done.stdout + done.stderr)
    assert "it cannot be complete" in done.stderr
    assert done.status == plain.status
    assert re.search(r"include/net/ip_tunnels\.h\W+(?:\"line\": )?462", done.stdout) and "XxxWan" in done.stdout
    if "--json" in arguments:
        before, after = json.loads(plain.stdout), json.loads(done.stdout)
        assert before["signature"] == after["signature"]
        assert before["reports"][0]["trace"] == after["reports"][0]["trace"]


@pytest.mark.parametrize("arguments", [["dmesg"], ["dmesg", "--json"], ["dmesg", "--raw"]], ids=" ".join)
def test_what_needs_no_debuginfo_holds_no_secret(arguments: List[str], planted: Path, run_cli: RunCli) -> None:
    done = run_cli(*arguments, "--redact", str(planted))
    assert done.status == 0 and "iptunnel_xmit" in done.stdout
    assert not left(done.stdout + done.stderr) and "it cannot be complete" in done.stderr


def test_no_output_of_a_batch_holds_a_secret(planted: Path, run_cli: RunCli, tmp_path: Path) -> None:
    saved = tmp_path / "crashes/kowloon17-2023-12-20-10:51:06"
    saved.mkdir(parents=True)
    planted.rename(saved / "vmcore-dmesg.txt")
    arguments = ("batch", str(saved.parent), "--root", str(worked.root()))
    rows = run_cli(*arguments, "--json").stdout
    assert "kowloon17" in rows
    site = tmp_path / "site"
    outputs = [run_cli(*arguments, "--redact", *more) for more in ((), ("--raw",), ("--json",), ("--html", str(site)))]
    outputs += [run_cli("merge", "-", "--redact", *more, stdin=rows) for more in ((), ("--raw",), ("--json",))]
    for done in outputs:
        assert "iptunnel_xmit" in done.stdout and re.search(r"host-\d", done.stdout), done.stdout
        assert not left(done.stdout + done.stderr) and "it cannot be complete" in done.stderr
    pages = [page.read_text() for page in site.glob("*.html")]
    assert len(pages) == 2 and not [page for page in pages if left(page)]
    assert all(re.search(r"host-\d", page) for page in pages)
