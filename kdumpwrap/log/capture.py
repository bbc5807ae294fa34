"""The capture kernel's own messages: memory used up, a second crash, drivers that fail (pure).

The capture kernel's log is that of a short boot. Sources: mm/oom_kill.c and mm/page_alloc.c (3.10 to 6.12),
init/initramfs.c, kernel/panic.c, drivers/base/firmware_loader, drivers/scsi, drivers/nvme, drivers/ata, net/sched.
"""

from kdumpwrap.regex import regex

# The command line tells a capture kernel: kdumpctl, kdump-config and kexec-tools put these words on it.
#   Command line: … elfcorehdr=0x1f000000 … reset_devices nr_cpus=1
# With fadump it is the usual kernel again, whose firmware has kept the memory:
#   rtas fadump: Firmware-assisted dump is active.
FADUMP = "fadump: Firmware-assisted dump is active"
_OWN_WORDS = regex(r"\b(?:elfcorehdr=|reset_devices\b)")
ELFCOREHDR = "elfcorehdr="
BANNER = "Linux version "

# Memory: 141024K/262144K available (14342K kernel code, …)
# Memory: 134732k/1030592k available (7792k kernel code, 863968k absent, …)     before 3.12: total with what is absent
MEMORY = regex(r"Memory: \d{1,15}[kK]/(?P<total>\d{1,15})[kK] available(?:.{0,80}? (?P<absent>\d{1,15})k absent)?")

# Out of memory: Killed process 612 (makedumpfile) total-vm:45056kB, anon-rss:31234kB, …     5.1 and later
# Out of memory: Kill process 612 (makedumpfile) score 512 or sacrifice child                before
# Killed process 612 (makedumpfile) total-vm:45056kB, anon-rss:31234kB, …                    and behind it
# Out of memory and no killable processes...    System is deadlocked on memory
# Initramfs unpacking failed: write error      rootfs image is not initramfs (write error)…
OUT_OF_MEMORY = regex(
    r"Out of memory: Kill(?:ed)? process \d{1,10} \((?P<subject>[^)]{0,64})\)"
    r"|Out of memory and no killable processes|System is deadlocked on memory"
    r"|Out of memory: (?:compulsory|system-wide) panic_on_oom"
    r"|Initramfs unpacking failed: write error|rootfs image is not initramfs \(write error\)"
)
RESIDENT = regex(r"Killed process \d{1,10} \([^)]{0,64}\).{0,200}?\banon-rss:(?P<used>\d{1,15})kB")
# makedumpfile: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL), …
NO_PAGES = regex(r": page allocation failure: order:\d")

CRASH = regex(
    r"Kernel panic - not syncing: |BUG: unable to handle |Unable to handle kernel |\bInternal error: Oops"
    r"|general protection fault[,:]|Oops: [0-9A-Fa-f]{4} \["
)

# makedumpfile[612]: segfault at 0 ip …
SEGFAULT = regex(r"\b(?P<subject>makedumpfile)\[\d{1,10}\]: segfault at ")

# bnx2 0000:01:00.0: Direct firmware load for bnx2/bnx2-mips-09-6.2.1b.fw failed with error -2
FIRMWARE = regex(r": Direct firmware load for (?P<subject>[\w./+@-]{1,200}) failed with error")
# firmware that every boot looks for and does not need: net/wireless/reg.c
OPTIONAL_FIRMWARE = regex(r"regulatory\.db")
# nvme nvme0: I/O 8 QID 0 timeout, disable controller         nvme nvme0: Device not ready; aborting initialisation
# ata1.00: qc timeout (cmd 0xec)                              sd 0:0:0:0: timing out command, waited 180s
# megaraid_sas 0000:02:00.0: Failed from megasas_init_fw 6547
# INFO: task kworker/0:1:15 blocked for more than 120 seconds.
# ixgbe 0000:05:00.0: probe of … failed with error -5         NETDEV WATCHDOG: eth0 (tg3): transmit queue 0 timed out
DRIVER = regex(
    r"\bI/O \d+ QID \d+ timeout|nvme nvme\d+: Device not ready|\bqc timeout \(cmd |\btiming out command, waited "
    r"|megaraid_sas [\da-f:.]+: Failed from |\bprobe of \S+ failed with error -|NETDEV WATCHDOG: "
    r"|INFO: task \S+ blocked for more than \d+ seconds"
)


def begins(line: str) -> bool:
    """Whether ``line`` shows that this boot is a capture kernel's."""
    _, found, words = line.partition("ommand line: ")
    return FADUMP in line or bool(found and _OWN_WORDS.search(words))
