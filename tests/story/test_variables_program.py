"""Variables of a program that really crashes: it prints its registers when it does, and the truth before."""

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

import pytest
from conftest import RunCli

SOURCE = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

struct ops { long open, close; int weight; };
struct node { struct node *next, **pprev; };
struct session { long id[4]; struct ops *ops; struct node node; char text[24]; long length; };

static const char *const names[] = { "R08", "R09", "R10", "R11", "R12", "R13", "R14", "R15", "RDI", "RSI", "RBP", "RBX",
	"RDX", "RAX", "RCX", "RSP", "RIP" };

static void caught(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	for (int i = 0; i < 17; i++)
		printf("%s %#llx\n", names[i], registers[i]);
	printf("CR2 %#lx\nreturn %#lx\n", (long)info->si_addr, *(long *)registers[15]);
	fflush(stdout);
	_exit(0);
}

__attribute__((noinline)) static int weigh(struct session *s)
{
	return s->ops->weight++;
}

static inline __attribute__((always_inline)) void unlink_node(struct node *n)
{
	struct node *next = n->next;
	struct node **pprev = n->pprev;

	*pprev = next;
	if (next)
		next->pprev = pprev;
}

__attribute__((noinline)) static void forget(struct session *s)
{
	unlink_node(&s->node);
	s->length = 0;
}

struct pair { long first, second; };
static struct session *kept;

static inline __attribute__((always_inline)) long add(const struct pair *p, struct session *held, const long *bad)
{
	long length = held->length;

	asm volatile("nop" : "+r"(length));
	asm volatile("nop" :: "r"(*bad));
	return p->first * p->second * length;
}

/* What p points to is in registers alone, and held is a copy of what is in memory. */
__attribute__((noinline)) static long product(long first, const long *bad)
{
	struct pair both = { first, first + 1 };

	return add(&both, kept, bad);
}

/* Assembly, of which DWARF knows no variable; its first instruction jumps, as the kernel's memcpy does. */
void fill(char *to, const char *from, long length);
asm(".text; .type fill,@function\n"
    "fill: jmp fill_slowly; nop; ret; .size fill, .-fill\n"
    ".type fill_slowly,@function\n"
    "fill_slowly: mov %rdi,%rax; mov %rdx,%rcx; rep movsb; ret; .size fill_slowly, .-fill_slowly\n");

__attribute__((noinline)) static void rename_it(struct session *s, const char *name, long length)
{
	fill(s->text, name, length);
	s->length = length;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	struct session *s = calloc(1, sizeof(*s));

	sigaction(SIGSEGV, &action, NULL);
	memset(&s->ops, 0x6b, sizeof(s->ops));
	s->node.pprev = (struct node **)0xdead000000000122;
	if (!strcmp(argv[1], "rename"))
		s = (struct session *)0xc0ffee00;
	printf("s %#lx\n", (long)s);
	if (!strcmp(argv[1], "weigh"))
		return weigh(s);
	if (!strcmp(argv[1], "product")) {
		kept = s;
		return product(argc, (long *)0xc0ffee00);
	}
	if (!strcmp(argv[1], "forget"))
		forget(s);
	rename_it(s, argv[0], strlen(argv[0]));
	return 0;
}
"""
LOG = """\
[    0.000000] Linux version 6.1.0-9-test (build@host) (gcc 12.2.0) #1 SMP
[   10.000001] {headline}
[   10.000002] CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0-9-test #1
[   10.000003] RIP: 0010:{ip}
[   10.000004] RSP: 0018:{RSP} EFLAGS: 00010246
[   10.000005] RAX: {RAX} RBX: {RBX} RCX: {RCX}
[   10.000006] RDX: {RDX} RSI: {RSI} RDI: {RDI}
[   10.000007] RBP: {RBP} R08: {R08} R09: {R09}
[   10.000008] R10: {R10} R11: {R11} R12: {R12}
[   10.000009] R13: {R13} R14: {R14} R15: {R15}
[   10.000010] FS:  0000000000000000(0000) GS:ffff888000000000(0000) knlGS:0000000000000000
[   10.000011] CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
[   10.000012] CR2: {CR2} CR3: 0000000000000000 CR4: 0000000000000000
[   10.000013] Call Trace:
[   10.000014]  <TASK>
[   10.000015]  {caller}
[   10.000016]  </TASK>
"""
PAGE = "BUG: unable to handle page fault for address: {:016x}"
BEYOND = "general protection fault, probably for non-canonical address {:#x}: 0000 [#1] PREEMPT SMP NOPTI"


class Program(NamedTuple):
    path: Path
    symbols: Tuple[Tuple[int, int, str], ...]  # address, size, name

    def crash(self, case: str, headline: str, *addresses: int) -> Tuple[str, Dict[str, int]]:
        """The log of a crash, and what the program said; ``addresses``: that of the fault where no page is meant."""
        said = subprocess.run([str(self.path), case], stdout=subprocess.PIPE, check=True).stdout.decode()
        known = {name: int(value, 16) for name, value in map(str.split, said.splitlines())}
        values = {name: f"{value:016x}" for name, value in known.items()}
        fault = addresses[0] if addresses else known["CR2"]
        where = {"ip": self.place(known["RIP"]), "caller": self.place(known["return"])}
        return LOG.format(headline=headline.format(fault), **where, **values), known

    def place(self, address: int) -> str:
        """``weigh+0x4/0x10``, by the symbols."""
        for start, size, name in self.symbols:
            if start <= address < start + size:
                return f"{name}+{address - start:#x}/{size:#x}"
        return "main+0x1/0x2"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    directory = tmp_path_factory.mktemp("program")
    (directory / "crash.c").write_text(SOURCE)
    argv = "gcc -O2 -g -fno-pie -no-pie -fcf-protection=none -fno-ipa-cp -fno-ipa-sra -o vmlinux crash.c".split()
    subprocess.run(argv, cwd=str(directory), check=True)
    listed = subprocess.run(
        ["nm", "-n", str(directory / "vmlinux")], stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    rows = [
        (int(row[0], 16), row[2]) for row in map(str.split, listed.splitlines()) if len(row) == 3 and row[1] in "tT"
    ]
    sizes = [(start, end - start, name) for (start, name), (end, _) in zip(rows, rows[1:])]
    return Program(directory / "vmlinux", tuple(sizes))


def analysed(run_cli: RunCli, program: Program, log: str) -> Any:
    args = ("--json", "--vmlinux", program.path, "--source-dir", program.path.parent, "-")
    done = run_cli("analyze", *args, stdin=log, env={"KDUMPWRAP_VARIABLES": None})
    (report,) = json.loads(done.stdout)["reports"]
    return report


def test_a_member_of_freed_memory(run_cli: RunCli, program: Program) -> None:
    log, known = program.crash("weigh", BEYOND, 0x6B6B6B6B6B6B6B7B)
    report = analysed(run_cli, program, log)
    assert report["expression"] == {
        **{"text": "s->ops->weight", "type": "int", "struct": "struct ops", "offset": "0x10", "certain": True}
    }
    assert report["explanation"][0].startswith(
        "s->ops is POISON_FREE (0x6b6b6b6b6b6b6b6b), memory that was freed (use after free); "
        f"s (struct session *) is {known['s']:#x}. The instruction reads"
    )
    assert [(one["name"], one["value"]) for one in report["variables"] if one["guilty"]] == [("s", hex(known["s"]))]


def test_the_pointer_of_a_deleted_list_entry(run_cli: RunCli, program: Program) -> None:
    log, known = program.crash("forget", BEYOND, 0xDEAD000000000122)
    report = analysed(run_cli, program, log)
    assert (report["expression"]["text"], report["expression"]["certain"]) == ("*pprev", True)
    assert report["explanation"][0].startswith("pprev (struct node **) is LIST_POISON2 (0xdead000000000122)")
    values = {one["name"]: one["value"] for one in report["variables"]}
    assert values["pprev"] == "0xdead000000000122" and values["s"] == hex(known["s"])
    assert [one["function"] for one in report["variables"] if one["guilty"]] == ["unlink_node"]


def test_what_no_register_tells_is_not_said(run_cli: RunCli, program: Program) -> None:
    """gdb reads 0 for a pointer to what is no longer in memory, and a global as the file has it."""
    log, _ = program.crash("product", PAGE)
    report = analysed(run_cli, program, log)
    said = {one["name"]: one["value"] for one in report["variables"]}
    assert said["bad"] == "0xc0ffee00" and not {"p", "held"} & set(said)
    assert report["expression"]["text"] == "*bad"


def test_of_assembly_the_caller_s_variables(run_cli: RunCli, program: Program) -> None:
    log, known = program.crash("rename", PAGE)
    report = analysed(run_cli, program, log)
    assert report["ip"]["symbol"] == "fill_slowly"
    said = {one["name"]: (one["function"], one["value"], one["guilty"]) for one in report["variables"]}
    assert said["s"] == ("rename_it", hex(known["s"]), True) and "name" not in said  # rsi has moved on
    assert report["expression"]["text"] == "s->text[0]" and report["expression"]["certain"]
    assert report["explanation"][0] == (
        "s (struct session *) is 0xc0ffee00. rename_it called fill_slowly, which writes s->text[0], "
        "0x38 bytes into struct session."
    )


@pytest.mark.parametrize("change", [("rename_it+", "main+"), ("rename_it+0x", "? rename_it+0x")])
def test_a_caller_that_is_not_proven_has_none(run_cli: RunCli, program: Program, change: Tuple[str, str]) -> None:
    log, _ = program.crash("rename", PAGE)
    assert change[0] in log
    report = analysed(run_cli, program, log.replace(*change))
    assert not report["variables"] and report["expression"] is None
