"""Faults of the analysis side: programs, debuginfo, sources."""

from doctor_fault import ALL, Fault, by_manager
from doctor_ills import crash_of, foreign_crash, no_debuginfo, no_sources, without

FAULTS = (
    *(
        Fault(
            f"no-{tool}",
            ALL,
            without(tool),
            tool,
            by_manager(package),
            f"{tool} is not installed",
        )
        for tool, package in (
            ("nm", "binutils"),
            ("objdump", "binutils"),
            ("addr2line", "binutils"),
            ("crash", "crash"),
        )
    ),
    Fault(
        "no-elfutils",
        ALL,
        without("eu-addr2line"),
        "eu-addr2line",
        by_manager("elfutils"),
        "not installed: addr2line is asked for lines",
        status="warn",
    ),
    Fault(
        "no-makedumpfile",
        ALL,
        without("makedumpfile"),
        "makedumpfile",
        {
            "el7": "yum install kexec-tools",
            "el8": "dnf install kexec-tools",
            "el9": "dnf install kexec-tools",
            "el10": "dnf install makedumpfile",
            "fedora": "dnf install makedumpfile",
            "debian": "apt install makedumpfile",
            "ubuntu": "apt install makedumpfile",
            "suse": "zypper install makedumpfile",
        },
    ),
    Fault(
        "no-kexec",
        ("el9", "debian"),
        without("kexec"),
        "package",
        {"el9": "dnf install kexec-tools", "debian": "apt install kexec-tools"},
        "no kexec",
    ),
    Fault(
        "no-debuginfo",
        ALL,
        no_debuginfo,
        "debuginfo",
        {
            "el7": "debuginfo-install kernel-3.10.0-1160.el7.x86_64",
            "el8": "dnf debuginfo-install kernel-4.18.0-553.16.1.el8_10.x86_64",
            "el9": "dnf debuginfo-install kernel-5.14.0-503.16.1.el9_5.x86_64",
            "el10": "dnf debuginfo-install kernel-6.12.0-55.9.1.el10_0.x86_64",
            "fedora": "dnf debuginfo-install kernel-6.11.10-300.fc41.x86_64",
            "debian": "apt install linux-image-6.1.0-28-amd64-dbg",
            "ubuntu": "apt install linux-image-unsigned-5.15.0-127-generic-dbgsym",
            "suse": "zypper install kernel-default-debuginfo",
        },
        "not installed",
    ),
    Fault(
        "no-sources",
        ALL,
        no_sources,
        "sources",
        {
            "el7": "yum install --enablerepo='*debug*' kernel-debuginfo-common-x86_64-3.10.0-1160.el7",
            "el8": "dnf install --enablerepo='*debug*' kernel-debuginfo-common-x86_64-4.18.0-553.16.1.el8_10",
            "el9": "dnf install --enablerepo='*debug*' kernel-debuginfo-common-x86_64-5.14.0-503.16.1.el9_5",
            "el10": "dnf install --enablerepo='*debug*' kernel-debuginfo-common-x86_64-6.12.0-55.9.1.el10_0",
            "fedora": "dnf install --enablerepo='*debug*' kernel-debuginfo-common-x86_64-6.11.10-300.fc41",
            "debian": "apt install linux-source-6.1 && tar -C /usr/src -xf /usr/src/linux-source-6.1.tar.*",
            "ubuntu": "apt install linux-source-5.15.0 && tar -C /usr/src -xf /usr/src/linux-source-5.15.0.tar.*",
            "suse": "zypper install kernel-default-debugsource",
        },
        "not installed",
        "warn",
    ),
    Fault(
        "no-debuginfo-of-a-crash",
        ALL,
        crash_of("4.18.0-305.3.1.el8.x86_64+debug"),
        "debuginfo",
        "dnf debuginfo-install kernel-debug-4.18.0-305.3.1.el8.x86_64",
        "4.18.0-305.3.1.el8.x86_64+debug: not installed",
    ),
    Fault(
        "binutils-too-old",
        ("el7", "el8"),
        foreign_crash("5.14.0-503.16.1.el9_5.x86_64"),
        "addr2line",
        {
            name: f"{manager} install {toolset}-binutils && echo 'export NM={rh}/nm OBJDUMP={rh}/objdump "
            f"ADDR2LINE={rh}/addr2line' >/etc/profile.d/kdumpwrap.sh"
            for name, manager, toolset, rh in (
                ("el7", "yum", "devtoolset-11", "/opt/rh/devtoolset-11/root/usr/bin"),
                ("el8", "dnf", "gcc-toolset-13", "/opt/rh/gcc-toolset-13/root/usr/bin"),
            )
        },
        "cannot read the DWARF 5 of 5.14.0-503",
        "warn",
    ),
)
