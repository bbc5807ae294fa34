"""The patterns of the private data in a log: hosts, users, addresses, serial numbers; each with a sample (pure).

Each pattern has named groups, of which the one that matched is the secret. No list of patterns is complete.
"""

import re

from kdumpwrap.regex import regex

# where a word begins: behind JSON's "\n", vmcore-dmesg's "\x5c" and a terminal's colours too
WORD = r"(?:(?<!\w)|(?<=\\[nrt])|(?<=\\x[0-9a-f]{2})|(?<=\x1b\[\dm)|(?<=\x1b\[\d\dm)|(?<=\x1b\[\d;\d\dm))"
_LINE = r"(?:^|(?<=\\n))"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = (
    rf"(?:{_MONTH}\s{{1,2}}\d{{1,2}}\s\d\d:\d\d:\d\d(?:\.\d{{1,9}})?|"
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
_NAME = r"[A-Za-z0-9][\w.-]{0,62}"
_HEX = r"[0-9A-Fa-f]"
_QUOTE = r"(?:\\{0,4}[\"'])?"  # JSON in JSON has them escaped

UUID = regex(
    rf"{WORD}(?P<secret>{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})(?!\w)|"
    # UUID=1A2B-3C4D of a FAT file system, PARTUUID=1234abcd-02
    rf"(?<=UUID=)(?P<short>{_HEX}{{4,8}}-{_HEX}{{2,4}})(?!\w)|"
    # "Initializing machine ID from random generator: 0123…", _MACHINE_ID=0123…, _BOOT_ID
    rf"(?i:machine|boot)[_ -](?i:id)(?:(?:\W|&quot;){{1,10}}|[ \w]{{1,40}}: )(?P<machine>{_HEX}{{32}})(?!\w)|"
    rf"(?<=fsid )(?P<fsid>{_HEX}{{32}})(?!\w)|"
    # "UUID 550e8400:e29b41d4:a7164466:55440002" of md, uuid=550e8400e29b41d4a716446655440002
    rf"(?i:uuid)\W{{1,4}}(?P<bare>{_HEX}{{32}}|{_HEX}{{8}}(?::{_HEX}{{8}}){{3}})(?![\w:])"
)
# naa.600508b1001c1234  wwn-0x5000c500a1b2c3d4  WWPN: 21:00:00:24:ff:12:34:56  3600508b1001c123456789abcdef01234
# GUID 0002c90300123457, node_guid: 0002:c903:0012:3457 of InfiniBand
# sas_addr(0x5000c500a1b2c3d4) of mpt3sas, "phy-0:0: 0x5000c500a1b2c3d4", "attached: 5000c500a1b2c3d4" of libsas
WWN = regex(
    rf"{WORD}(?:(?:naa|eui|t10)\.|wwn-0x|(?:scsi|mpath|dm-uuid-mpath)-(?=3)|nvme-eui\.)(?P<secret>{_HEX}{{16,33}})(?!\w)|"
    rf"{WORD}(?:[Ww][Ww][PpNn]?[Nn](?:ame)?|node_?name|port_?name|(?:\w{{1,16}}_)?(?i:guid))\W{{1,4}}(?:0x)?"
    rf"(?P<named>{_HEX}{{16}}|{_HEX}{{32}}|{_HEX}{{4}}(?::{_HEX}{{4}}){{3}})(?![\w:])|"
    rf"{WORD}(?i:wwid|sas_?addr\w{{0,4}}|sas address|logical id|attached|phy-[\d:]{{1,16}}|ex|login to)\W{{1,4}}(?:0x)?"
    rf"(?P<sas>[25]{_HEX}{{15}})(?!\w)|"
    rf"{WORD}(?<!:)(?P<colons>{_HEX}{{2}}(?P<mark>[:-]){_HEX}{{2}}(?:(?P=mark){_HEX}{{2}}){{6}})(?![\w:]|-{_HEX}{{2}}\b)|"
    rf"{WORD}(?P<lun>3[0-9a-f]{{32}}|(?=\d{{0,16}}[a-f])3[25][0-9a-f]{{15}})(?!\w)"
)
# iqn.1994-05.com.redhat:db7  nqn.2014-08.org.nvmexpress:uuid:…
QUALIFIED = regex(r"(?P<secret>(?:iqn|nqn)\.\d{4}-\d\d\.[\w.-]{1,128}(?:[:.][\w.:-]{1,128})?(?<![.:-]))")
# InfiniBand's: 80:00:02:08:fe:80:…, of 20 octets
_GUID_MAC = rf"{_HEX}{{2}}(?::{_HEX}{{2}}){{19}}"
MAC = regex(
    rf"{WORD}(?<!:)(?P<ib>{_GUID_MAC})(?![\w:])|"
    rf"{WORD}(?<!:)(?P<secret>{_HEX}{{2}}(?P<mark>[:-]){_HEX}{{2}}(?:(?P=mark){_HEX}{{2}}){{4}})(?![\w:]|-{_HEX}{{2}}\b)|"
    # BOOTIF=01-52-54-00-d1-e2-f3 of pxelinux; 5254.00d1.e2f3 of a switch; hwaddr 525400d1e2f3
    rf"(?<=BOOTIF=01-)(?P<boot>{_HEX}{{2}}(?:-{_HEX}{{2}}){{5}})(?!\w)|"
    rf"{WORD}(?<!\.)(?P<dots>(?=[\d.]{{0,13}}[A-Fa-f]){_HEX}{{4}}(?:\.{_HEX}{{4}}){{2,3}})(?![\w.])|"
    rf"{WORD}(?i:hw_?addr|mac(?:[ _]?addr(?:ess)?)?|ethaddr|lladdr)\W{{1,4}}(?P<bare>{_HEX}{{12}})(?!\w)"
)
# MAC=00:1a:2b:3c:4d:5e:66:77:88:99:aa:bb:08:00: of both ends, and the type, as netfilter logs a packet
MACS = regex(rf"(?<=MAC=)(?P<one>{_HEX}{{2}}(?::{_HEX}{{2}}){{5}}):(?P<other>{_HEX}{{2}}(?::{_HEX}{{2}}){{5}})(?=:)")
_OCTETS = r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# 64:ff9b::192.0.2.1; ::ffff:192.0.2.1 is an address of version 4
IPV4_IN_IPV6 = regex(
    rf"(?:(?<![\w:.])|(?<=\\[nrt]))(?!::ffff:\d)(?P<secret>(?:{_HEX}{{0,4}}:){{2,6}}{_OCTETS})(?![\w:]|\.\d)"
)
IPV6 = regex(rf"(?:(?<![\w:.])|(?<=\\[nrt]))(?P<secret>(?:{_HEX}{{0,4}}:){{2,7}}(?:{_HEX}{{1,4}}|(?<=::)))(?![\w:])")
IPV4 = regex(rf"(?:(?<![\w.+-])|(?<=\\[nrt])|(?<=::ffff:))(?<!ersion )(?P<secret>{_OCTETS})(?!\w|\.\d|-\d+\.)")
# VMware-42 1d 3c aa 0b 1c 2d 3e-4f 50 61 72 83 94 a5 b6
_GUEST = rf"VMware-(?:{_HEX}{{2}}[ -]){{15}}{_HEX}{{2}}"
SERIAL = regex(
    rf"{WORD}(?:[A-Za-z]{{1,16}}[ _]){{0,2}}"
    r"(?i:serial(?:[ _]?(?:number|num|no\.?))?|s/n|sn|asset(?:[ _]?tag)?|service[ _]?tag)"
    r"(?:\s{0,2}[:=#]\s{0,2}|\s)(?P<secret>"
    rf"{_GUEST}|(?=[\w-]{{0,40}}\d)(?=[\w-]{{0,40}}[A-Za-z]|\d{{7}})[A-Za-z0-9][\w-]{{3,40}})(?!\w)|"
    r"(?<=SerialNumber: )(?P<letters>[A-Za-z]{4,40})(?=[\s<\\\"]|$)|"
    rf"(?P<guest>{_GUEST})|"
    # /dev/disk/by-id/ata-WDC_WD4000FYYZ-01UL1B0_WD-WCC131234567-part1
    r"(?<=by-id/)(?:ata|nvme|usb|scsi|virtio|mmc)-[\w.:+-]{0,80}_(?P<disk>[A-Za-z0-9-]{5,40}?)(?=-part\d|[^\w-]|$)",
    re.M,
)
HARDWARE = regex(r"(?:Hardware name|DMI): (?P<model>[^\n\\\"<]{1,200})")
SERIAL_IN_NAME = regex(
    r"(?<![\w./-])(?<!BIOS )(?P<secret>(?=[A-Z0-9-]{0,30}[A-Z])(?=(?:[A-Z-]{0,30}\d){2})[A-Z0-9][A-Z0-9-]{6,30})"
    r"(?![\w./-])"
)
# getty@tty1.service of systemd is no address
_UNIT = r"[\w\\:.-]{1,128}\.(?:service|socket|target|slice|scope|timer|mount|swap|device|path)(?!\w)"
# "ssh2: RSA SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", MD5:16:27:ac:a5:…
KEY = regex(rf"{WORD}(?:SHA256:(?P<secret>[\w+/]{{43}})|MD5:(?P<colons>{_HEX}{{2}}(?::{_HEX}{{2}}){{15}}))(?![\w:])")

USERS = (
    regex(
        rf"/(?:home|Users|run/media|var/(?:spool/)?mail|var/spool/cron(?:/crontabs)?)/"
        rf"(?:[A-Z][A-Z0-9.-]{{1,30}}/(?=[a-z]))?(?P<user>{_NAME})"
    ),
    # a space behind it is no sign in C: "flags & ~mask "
    regex(r"(?<![\w/.~])~(?P<user>[a-z][\w.-]{1,31})/|\bcd ~(?P<alone>[a-z][\w-]{1,31})"),
    regex(rf"{WORD}(?:USER|LOGNAME|SUDO_USER|r?user|logname|acct|username)={_QUOTE}(?P<user>{_NAME})"),
    regex(
        rf"(?i:opened|closed) for user (?P<user>{_NAME})|(?i:session) \S{{1,12}} (?i:of user) (?P<second>{_NAME}?)"
        rf"(?=\.?(?:[\s<&\"\\]|$))| by (?P<by>{_NAME})\(uid="
    ),
    # "uid=1000(wanda)", "LOGIN ON tty1 BY wanda"
    regex(rf"uid=\d{{1,10}}\((?P<user>{_NAME})\)|LOGIN ON \S{{1,32}} BY (?P<tty>{_NAME})"),
    # sshd: "Accepted publickey for", "Failed password for invalid user", "Invalid user … from"
    regex(rf"(?:Accepted|Failed) [\w/-]{{1,32}} for (?:invalid user )?(?P<user>{_NAME}) from"),
    regex(rf"(?i:invalid|authenticating|from) user (?P<user>{_NAME}) (?:from |\d|[0-9a-f]{{1,4}}:)"),
    regex(rf"{WORD}sudo(?:\[\d{{1,9}}\])?: {{1,4}}(?P<user>{_NAME}) :|{WORD}su: \(to \w{{1,32}}\) (?P<su>{_NAME}) on "),
    regex(rf"{WORD}sshd: (?P<user>{_NAME})(?:@(?:pts|notty)| \[[a-z]{{1,8}})"),  # sshd's own name for a session
    regex(rf"(?i:crond?)\[\d{{1,9}}\]: \((?P<user>{_NAME})\) "),
    # http://name:password@host, mail addresses, "(builder@host)" of a banner, "name@host:~$", "[name@host ~]#"
    regex(rf"://(?P<user>{_NAME}):[^\s/@\"]{{1,64}}@"),
    regex(rf"://{_NAME}:(?P<password>[^\s/@\"]{{1,64}})@"),
    regex(
        rf"{WORD}(?P<user>[A-Za-z0-9][\w.+-]{{0,62}})@(?!{_UNIT})"
        r"(?=[A-Za-z0-9][\w-]{0,62}(?:\.[A-Za-z]|[)]|:[~/]| [~/$#]))"
    ),
)
_VOLUMES = ("vg", "rhel", "centos", "cs", "fedora", "rocky", "almalinux", "ol")  # Anaconda's: rhel_db7
IN_VOLUME = "|".join(f"(?<={name}_)" for name in _VOLUMES)
HOSTS = (
    regex(rf"{WORD}{_DATE}[ \t]{{1,8}}(?P<host>{_NAME})[ ]{{1,2}}[\w./@()-]{{1,64}}(?:\[\d{{1,9}}\])?:"),
    regex(rf"<\d{{1,3}}>1 {_DATE} (?P<host>{_NAME}) \S{{1,48}} \S{{1,128}} \S{{1,32}} "),  # RFC 5424
    # "db7 kernel: " without a date; "[ 1823.251] db7 kernel: " of journalctl -o short-monotonic
    regex(rf"(?:{_LINE}|\d\] {{1,2}})(?P<host>{_NAME}) kernel(?:\[\d{{1,9}}\])?: ", re.M),
    regex(rf"(?<![\w/.+-])[A-Za-z][\w.+-]{{0,62}}@(?!{_UNIT})(?P<host>{_NAME}?)(?=\)|[\s>&\"',;]|:[~/]|\.?$)", re.M),
    regex(rf"{WORD}(?P<host>{_NAME}) login: "),
    # "Set hostname to <db7>", "Hostname set to <db7>", hostname=db7, "_HOSTNAME" : "db7", "NODENAME: db7"
    regex(
        rf"(?i:host ?name|nodename|rhost)(?:(?: set| changed)?(?: from \S{{1,64}})? to ?[<'\"]{{0,2}}|"
        rf"{_QUOTE}\s{{0,2}}[=:]\s{{0,4}}{_QUOTE})"
        rf"(?!hostname)(?P<host>{_NAME})"
    ),
    # the name before: "hostname changed from 'db7' to 'db8'"
    regex(rf"(?i:host ?name)(?: set| changed)? from [<\\'\"]{{0,6}}(?P<host>{_NAME}?)(?=[>\\'\"]{{0,6}} to )"),
    regex(rf"\"host\": \"(?P<host>{_NAME})"),
    regex(rf"{WORD}Linux (?P<host>{_NAME}) \d\.\d{{1,2}}\.\d\S{{0,64}} #\d"),  # uname -a
    regex(rf"(?i:rd[._]lvm[._]lv=)(?:{'|'.join(_VOLUMES)})_(?P<host>{_NAME}?)/"),  # rd.lvm.lv=rhel_db7/root
    regex(rf"(?<![\w.])ip=(?:[^:\s]{{0,45}}:){{4}}(?P<host>{_NAME}):"),  # of the kernel's command line
    regex(rf"{WORD}(?P<host>ip(?:-\d{{1,3}}){{4}})(?![\w-])"),  # of a cloud
    regex(rf"/(?P<host>{_NAME}?)-\d{{4}}-\d\d-\d\d-\d\d:\d\d"),
    # "ssh: Could not resolve hostname db7", "mount.nfs: Failed to resolve server db7", "ssh: connect to host db7 port"
    # "Unable to reach remote server db7"; "o2net: Connected to node db7 (num 1) at"
    regex(
        rf"resolve (?:host ?name|host(?! ?name)|server) (?P<host>{_NAME}?)(?=: |[\s<\"\\]*$)|"
        rf"connect to host (?P<ssh>{_NAME}) port \d|remote server (?P<remote>{_NAME});",
        re.M,
    ),
    regex(rf"o2net: [^\n]{{0,60}}\bnode (?P<host>{_NAME}) \(num"),
    # "DHCPACK on 10.0.0.7 to 52:54:00:d1:e2:f3 (db7) via eth0"
    regex(rf"DHCP[A-Z]{{3,8}} [^\n(]{{1,60}} \((?P<host>{_NAME})\)"),
    regex(rf"(?i:cifs|smb\w{{0,4}})[^\n]{{0,60}} //(?P<host>{_NAME})/"),
    # "nfs: server db7 not responding", "lockd: server db7 OK", "CIFS: VFS: Server db7 has not responded"
    regex(rf"(?i:nfs\w{{0,4}}|lockd|rpc\w{{0,4}}|mountd|vfs): (?i:server) (?P<host>{_NAME})"),
    regex(
        rf"(?i:nfs|mount|lustre|gluster|autofs)[^\n]{{0,60}}?(?:(?<![\w./:-])|(?<=nfs:)|(?<=nfs4:))(?P<host>{_NAME}):/(?=\w)"
    ),
    regex(r"://(?:[^\s/@\"]{1,64}@)?(?P<host>[A-Za-z0-9][\w-]{1,62})(?=[:/\s])"),  # inst.ks=http://db7/ks.cfg
    regex(rf"(?<![\w\\])(?:\\{{2,8}}|(?:\\{{1,4}}x5c){{2}})(?!x5c)(?P<host>{_NAME}?)(?:(?=\\+\w)|(?= has not ))"),
    regex(
        r"(?:(?<![\w./-])|(?<=//))(?P<host>(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}"
        r"(?:com|net|org|local|lan|internal|intranet|corp|home|localdomain|edu|gov|cn|de|uk|fr|jp|ru|eu|io|example|test))"
        r"(?![\w-]|\.\w)"
    ),
)
TASKS = (
    regex(r"(?i:comm): (?P<task>[^\s\"][^\"\n]{0,40}?) (?:Not tainted|Tainted|Kdump:|\d)"),
    regex(r"\"comm\": \"(?P<task>[^\"]{1,30})\"|comm \"(?P<leak>[^\"\n]{1,30})\", pid \d"),
    regex(r"task (?P<task>[^\s:]{1,30}):\d{1,9} blocked"),
    # "stuck for 22s! [db7d:113]"; "Process db7d (pid: 113, "; "Killed process 113 (db7d)"; "task=db7d,pid="
    regex(r"s! \[(?P<task>[^\n]{1,30}):\d{1,9}\]"),
    regex(r"Process (?P<task>[^\n(]{1,30}?) \(pid: \d"),
    regex(r"Killed process \d{1,9} \((?P<task>[^)\n]{1,30})\)|,task=(?P<oom>[^,\n]{1,30}),pid="),
    regex(r"(?P<task>[^\s\[]{1,30}) invoked oom-killer:|(?<= )(?P<fault>[^\s\[]{1,30})\[\d{1,9}\]: segfault at "),
    # "task:db7d  state:D"; "db7d   R  running task    0  1840"; "db7d  D ffff88007fc14d80  0  1840"
    regex(r"task:(?P<task>[^\s]{1,30}) {1,16}state:"),
    regex(r"(?<![^\s>])(?P<task>[^\s]{1,15}) {1,16}[RSDTtZXxKWPI] {1,3}(?:running task|(?:0x)?[0-9a-f]{8,16}) "),
    # "in_atomic(): 1, irqs_disabled(): 0, pid: 1911, name: db7d"; lockdep's "db7d/1911 is trying to acquire lock"
    regex(r"pid: \d{1,9}, name: (?P<task>[^\n\"\\]{1,30})"),
    regex(r"(?<!\S)(?P<task>[^\s]{1,15})/\d{1,9} (?:is |just |\[HC)"),
)
# tasks of the kernel, whose names tell nothing of a host
THREADS = regex(
    r"(?:swapper|kworker|ksoftirqd|migration|rcu\w+|kswapd\d*|kthreadd|khungtaskd|watchdogd?|cpuhp|kcompactd\d*|"
    r"khugepaged|ksmd|kdevtmpfs|kauditd|oom_reaper|writeback|kblockd|init|systemd)(?:/.*)?"
)
POINTER = regex(
    rf"{WORD}(?P<secret>(?:0x)?[0-9a-f]{{16}})(?!\w)|\[<(?P<short>[c-f][0-9a-f]{{7}})>\]|"
    rf"{WORD}(?:E[A-Z]{{2}}|CR[234]|pc|lr|sp|ip|fp|r\d{{1,2}}) ?: ?(?P<register>[89a-f][0-9a-f]{{7}})(?!\w)|"
    r"(?i:(?:kernel|kaslr)[ _]offset\"?:? {0,2}\"?)(?P<slide>0x[0-9a-f]{1,16})(?!\w)"
)
