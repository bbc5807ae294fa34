"""Faults of the memory for a capture kernel: not asked for, not understood, not reserved, not loaded."""

from doctor_fault import ALL, LOAD, Fault
from doctor_ills import (
    BLS,
    PARAMETERS,
    an_entry_lacks_it,
    everywhere,
    load_forbidden,
    lockdown,
    memory,
    menu_not_written,
    next_boot_loses_it,
    no_room,
    not_loaded,
    not_rebooted,
    other_value_not_rebooted,
    settings_differ,
    settings_lack_it,
    the_chosen_entry_lacks_it,
)

SED_EL7 = (
    """sed -i -e '/^GRUB_CMDLINE_LINUX/s/crashkernel=[^" ]* *//g' -e 's/^GRUB_CMDLINE_LINUX=" */"""
    """GRUB_CMDLINE_LINUX="crashkernel=auto /'"""
    " /etc/default/grub"
)
SED_SUSE = (
    """sed -i -e '/^GRUB_CMDLINE_LINUX/s/crashkernel=[^" ]* *//g' """
    """-e 's/^GRUB_CMDLINE_LINUX_DEFAULT=" */GRUB_CMDLINE_LINUX_DEFAULT=\""""
    """crashkernel='"$(kdumptool calibrate | sed -n 's/^High: *//p')"'M,high """
    """crashkernel='"$(kdumptool calibrate | sed -n 's/^Low: *//p')"'M,low /' /etc/default/grub"""
)
MKCONFIG = "grub2-mkconfig -o /boot/grub2/grub.cfg"
RESERVE = {
    "el7": f"{SED_EL7} && {MKCONFIG} && reboot",
    "el8": "grubby --update-kernel=ALL --args=crashkernel=auto && reboot",
    "el9": "kdumpctl reset-crashkernel --kernel=ALL && reboot",
    "el10": "kdumpctl reset-crashkernel --kernel=ALL && reboot",
    "fedora": "kdumpctl reset-crashkernel --kernel=ALL && reboot",
    "debian": "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M\"' "
    ">/etc/default/grub.d/kdump-tools.cfg && update-grub && reboot",
    "ubuntu": "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=512M-:192M\"' "
    ">/etc/default/grub.d/kdump-tools.cfg && update-grub && reboot",
    "suse": f"{SED_SUSE} && {MKCONFIG} && reboot",
}
MENU = {**dict.fromkeys(("el7", "suse"), MKCONFIG), **dict.fromkeys(("debian", "ubuntu"), "update-grub")}

FAULTS = (
    Fault("no-crashkernel", ALL, everywhere(""), "crashkernel", RESERVE, "no crashkernel= in /proc/cmdline"),
    Fault("bad-syntax", ALL, everywhere("crashkernel=256MB"), "crashkernel", RESERVE, "unrecognized: B"),
    Fault("no-unit", ALL, everywhere("crashkernel=256"), "crashkernel", RESERVE, "256 bytes are too few"),
    Fault("low-alone", ALL, everywhere("crashkernel=72M,low"), "crashkernel", RESERVE, ",low reserves nothing"),
    Fault(
        "auto", ("el9", "el10", "fedora"), everywhere("crashkernel=auto"), "crashkernel", RESERVE, "does not know auto"
    ),
    Fault(
        "too-little-memory",
        ("el10", "fedora"),
        memory(1536 << 10),
        "crashkernel",
        "grubby --update-kernel=ALL --args=crashkernel=256M && reboot",
        "reserves nothing below 2G, and there are 1.5G",
    ),
    Fault(
        "too-little-memory-for-auto",
        ("el8",),
        memory(768 << 10),
        "crashkernel",
        "grubby --update-kernel=ALL --args=crashkernel=160M && reboot",
        "auto reserves nothing below 1G",
    ),
    Fault("far-too-little-memory", ("el10",), memory(512 << 10), "crashkernel", "# Give the machine more memory"),
    Fault("no-room", ("el9", "debian"), no_room, "reserved", "# See why it failed: dmesg", "found no room for"),
    Fault("not-rebooted", ALL, not_rebooted, "bootloader", "reboot", "not rebooted since"),
    Fault("other-value", ALL, other_value_not_rebooted, "bootloader", "reboot", "crashkernel=320M in /proc/cmdline"),
    Fault(
        "menu-not-written",
        tuple(MENU),
        menu_not_written,
        "bootloader",
        {name: f"{command} && reboot" for name, command in MENU.items()},
        "not written since",
    ),
    Fault(
        "next-boot-loses-it",
        (*BLS, "el7"),
        next_boot_loses_it,
        "bootloader",
        {
            "el7": f"{SED_EL7} && {MKCONFIG}",
            "el8": "grubby --update-kernel=ALL --args=crashkernel=auto",
            **{name: f"grubby --update-kernel=ALL --args={PARAMETERS[name]}" for name in ("el9", "el10", "fedora")},
        },
        "the next boot loses crashkernel=",
    ),
    Fault(
        "the-chosen-entry-lacks-it",
        BLS,
        the_chosen_entry_lacks_it,
        "bootloader",
        {name: f"grubby --update-kernel=ALL --args={PARAMETERS[name]}" for name in BLS},
        "the next boot loses crashkernel=",
    ),
    Fault(
        "an-entry-lacks-it",
        BLS,
        an_entry_lacks_it,
        "bootloader",
        {name: f"grubby --update-kernel=ALL --args={PARAMETERS[name]}" for name in BLS},
        "that kernel would boot without kdump",
        "warn",
    ),
    Fault(
        "settings-differ",
        BLS,
        settings_differ,
        "bootloader",
        {
            name: """sed -i -e '/^GRUB_CMDLINE_LINUX/s/crashkernel=[^" ]* *//g' """
            f"""-e 's/^GRUB_CMDLINE_LINUX=" */GRUB_CMDLINE_LINUX="{PARAMETERS[name]} /' /etc/default/grub"""
            for name in BLS
        },
        "crashkernel=320M in /etc/default/grub",
        "warn",
    ),
    Fault("settings-lack-it", ("el7",), settings_lack_it, "bootloader", SED_EL7, "the next time", "warn"),
    Fault("not-loaded", ALL, not_loaded, "loaded", LOAD, "kexec_crash_loaded is 0"),
    Fault("load-forbidden", ("el9",), load_forbidden, "kexec_load_disabled", "reboot"),
    Fault(
        "lockdown",
        ("el9", "el10"),
        lockdown,
        "lockdown",
        "sed -i 's/^KEXEC_ARGS=\"/&-s /' /etc/sysconfig/kdump && systemctl restart kdump",
        "kexec needs -s",
    ),
)
