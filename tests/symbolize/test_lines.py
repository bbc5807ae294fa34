"""Who is asked for lines, of real objects: elfutils first, binutils for what that does not know."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

import pytest
from conftest import ToolDir
from processes import ran

from kdumpwrap.model.kernel import Location, Symbol
from kdumpwrap.symbolize import lines
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.lines import Lines
from kdumpwrap.symbolize.objects import CodeAddress, Object, Section
from kdumpwrap.symbolize.pool import Pool
from kdumpwrap.tools import binutils
from kdumpwrap.tools.recording import Recording

SOURCE = """\
static inline __attribute__((always_inline)) int inner(int *p)
{
	return p[1] / p[0];
}

__attribute__((noinline, section(".text.unlikely"))) int cold(int *p)
{
	return inner(p) + 7;
}

int hot(int *p)
{
	return cold(p) * inner(p + 1);
}
"""


def compiled(directory: Path, *options: str) -> Path:
    """An object with functions in two sections, both at 0, as a module has them."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (directory / "part.c").write_text(SOURCE)
    made = directory / "part.ko"
    argv = ["gcc", "-g", "-O2", *options, "-c", "-o", str(made), "part.c"]
    subprocess.run(argv, check=True, cwd=directory)
    return made


def opened(path: Path, **tools: Optional[str]) -> Object:
    chosen = binutils.toolset(None)._replace(**tools)  # type: ignore[arg-type]
    functions: Dict[str, Tuple[Symbol, ...]] = {
        symbol.name: (symbol,) for symbol in binutils.module_symbols(chosen, path).functions
    }
    return Object(chosen, path, path, None, functions)


def located(found: Object, places: Iterable[Tuple[str, int]], failures: Optional[Failures] = None) -> List[str]:
    """``function file:line:column < …`` for each place, a section and an offset."""
    wanted = [CodeAddress(Section("part", section), offset) for section, offset in places]
    with contextlib.closing(Pool(2)) as pool:
        asked = Lines(pool, failures or Failures())
        asked.ask(wanted, {"part": found})
        known = asked.answers()
    return [" < ".join(map(shown, known.get(place, ()))) for place in wanted]


def shown(one: Location) -> str:
    column = "" if one.column is None else f":{one.column}"
    return f"{one.function} {Path(one.file or '?').name}:{one.line}{column}"


def division(path: Path, section: str, instruction: str = "div") -> int:
    """Where the section divides for the first time, or has another ``instruction``."""
    text = ran(["objdump", "-d", "-j", section, str(path)], check=True).stdout
    return next(int(row.partition(":")[0], 16) for row in text.splitlines() if instruction in row)


def test_both_tools_agree_and_one_knows_columns(tmp_path: Path) -> None:
    path = compiled(tmp_path)
    places = [(section, division(path, section)) for section in (".text", ".text.unlikely")]
    assert located(opened(path), places) == [
        "inner part.c:3:14 < hot part.c:13:19",
        "inner part.c:3:14 < cold part.c:8:9",
    ]
    assert located(opened(path, eu_addr2line=None), places) == [
        "inner part.c:3 < hot part.c:13",
        "inner part.c:3 < cold part.c:8",
    ]


def test_no_column_where_the_compiler_wrote_none(tmp_path: Path) -> None:
    path = compiled(tmp_path, "-gno-column-info")
    assert located(opened(path), [(".text", division(path, ".text"))]) == ["inner part.c:3 < hot part.c:13"]


def test_addr2line_is_asked_where_a_unit_has_no_aranges(tmp_path: Path) -> None:
    """As clang leaves them out: elfutils of el7 and el8 then finds no unit at all."""
    path = compiled(tmp_path)
    subprocess.run(["objcopy", "-R", ".debug_aranges", "-R", ".rela.debug_aranges", str(path)], check=True)
    failures = Failures()
    (answer,) = located(opened(path), [(".text", division(path, ".text"))], failures)
    assert answer.startswith("inner part.c:3")
    assert not [*failures.of(["part"])]


def test_nm_names_a_function_that_has_no_name(tool_dir: ToolDir, tmp_path: Path) -> None:
    path = compiled(tmp_path)
    nameless = "cat >/dev/null; printf '0x%016x: ?? at part.c:3:14\\n (inlined by) ?? at part.c:8:9\\n' 4 4"
    tool = str(tool_dir.fake("eu-addr2line", nameless))
    assert located(opened(path, eu_addr2line=tool), [(".text.unlikely", 4)]) == ["None part.c:3:14 < cold part.c:8:9"]


def test_a_part_of_the_answers(tool_dir: ToolDir, tmp_path: Path) -> None:
    """What is missing the other tool is asked, and a person is told."""
    path = compiled(tmp_path)
    later = division(path, ".text.unlikely")
    first = f"cat >/dev/null; printf '0x%016x: cold at other.c:1:1\\n' 0 {later}"  # and what is asked last is not there
    tool = str(tool_dir.fake("eu-addr2line", first))
    failures = Failures()
    answers = located(opened(path, eu_addr2line=tool), [(".text.unlikely", 0), (".text.unlikely", later)], failures)
    assert answers == ["cold other.c:1:1", "inner part.c:3 < cold part.c:8"]
    (problem,) = failures.of(["part"])
    assert problem.message == f"{tool} answered 1 of 2 addresses of {path}"


LOST = r"""exec /usr/bin/env eu-addr2line "$@" | sed 's/^ (inlined by) .*//; /^$/d'"""


def test_a_chain_that_lost_its_last_line_is_asked_of_the_other_tool(tool_dir: ToolDir, tmp_path: Path) -> None:
    """nm knows the function that contains the address, so an inlined one at the end of a chain is noticed."""
    path = compiled(tmp_path)
    tool = str(tool_dir.fake("lossy-eu-addr2line", LOST))
    failures = Failures()
    places = [(".text.unlikely", division(path, ".text.unlikely", one)) for one in ("div", "ret")]
    assert located(opened(path, eu_addr2line=tool), places, failures) == [
        "inner part.c:3 < cold part.c:8",
        "cold part.c:9:1",
    ]
    assert not [*failures.of(["part"])]


def test_the_better_of_two_poor_answers_stays(tool_dir: ToolDir, tmp_path: Path) -> None:
    path = compiled(tmp_path)
    lossy = str(tool_dir.fake("lossy-eu-addr2line", LOST))
    blind = str(tool_dir.fake("blind-addr2line", r"""exec /usr/bin/env addr2line "$@" | sed 's/^.*part\.c:.*/??:0/'"""))
    found = opened(path, eu_addr2line=lossy, addr2line=blind)
    (answer,) = located(found, [(".text.unlikely", division(path, ".text.unlikely"))])
    assert answer.startswith("inner part.c:3")


def test_every_address_once_and_on_few_pages() -> None:
    addresses = [page << 12 | offset for page in range(2 * lines._PAGES + 1) for offset in (0, 8)]
    few = [*lines._few_pages(addresses)]
    assert [one for part in few for one in part] == addresses
    assert [len({one >> 12 for one in part}) for part in few] == [lines._PAGES, lines._PAGES, 1]
    assert [*lines._few_pages([])] == []


@pytest.mark.parametrize(("many", "most", "sizes"), [(1, 2, [1]), (31, 2, [31]), (33, 2, [17, 16]), (48, 1, [48])])
def test_many_addresses_are_shared(many: int, most: int, sizes: List[int]) -> None:
    shares = [*lines._shares(range(many), most)]
    assert [len(share) for share in shares] == sizes
    assert [one for share in shares for one in share] == [*range(many)]


@pytest.mark.parametrize(
    ("tool", "most", "cpus"), [("eu-addr2line", 2, 2), ("eu-addr2line", 2, 1), ("eu-addr2line", 1, 2), (None, 2, 2)]
)
def test_two_processes_answer_as_one(tool: Optional[str], most: int, cpus: int, tmp_path: Path) -> None:
    """Where there are two CPUs and memory for both; addr2line takes 0.3 s to load a vmlinux, and is asked once."""
    found = opened(compiled(tmp_path), eu_addr2line=tool)
    asked = [CodeAddress(Section("part", ".text"), offset) for offset in range(32)]
    all_cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cpus)[:cpus])
    try:
        with contextlib.closing(Pool(most)) as pool, Recording() as recording:
            both = Lines(pool, Failures())
            both.ask(asked, {"part": found})
            answers = both.answers()
    finally:
        os.sched_setaffinity(0, all_cpus)
    started = [command for command in recording.commands if command.argv[0] == (tool or "addr2line")]
    assert len(started) == (min(most, cpus, len(all_cpus)) if tool else 1)
    with contextlib.closing(Pool(1)) as pool:
        alone = Lines(pool, Failures())
        alone.ask(asked, {"part": found})
        assert alone.answers() == answers and len(answers) > 8


def test_threads_that_ask_a_module_at_once_get_its_functions() -> None:
    """Two processes that share a module's addresses have their answers judged at one moment."""
    symbols = [Symbol(f"f{number}", number * 16, 16, ".text") for number in range(20_000)]
    functions: Dict[str, Tuple[Symbol, ...]] = {symbol.name: (symbol,) for symbol in symbols}
    path, tools = Path("part.ko"), binutils.toolset(None)
    for _ in range(10):
        found, together = Object(tools, path, path, None, functions), threading.Barrier(4)
        names: List[Optional[str]] = []

        def ask(
            found: Object = found, together: threading.Barrier = together, names: List[Optional[str]] = names
        ) -> None:
            together.wait()
            symbol = found.enclosing(".text", 19_999 * 16 + 3)
            names.append(symbol.name if symbol else None)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert names == ["f19999"] * 4


def test_a_share_that_fails_is_told_once_and_of_all(tool_dir: ToolDir, tmp_path: Path) -> None:
    path = compiled(tmp_path)
    tool = str(tool_dir.fake("eu-addr2line", "cat >/dev/null; exit 1"))
    failures = Failures()
    answers = located(opened(path, eu_addr2line=tool), [(".text", offset) for offset in range(34)], failures)
    (problem,) = failures.of(["part"])
    assert "printed no answers" in problem.message and sum(map(bool, answers)) > 8  # which addr2line gave


@pytest.mark.parametrize("with_elfutils", [True, False])
def test_of_instructions_the_line_alone_is_asked(with_elfutils: bool, tmp_path: Path) -> None:
    """By a process of its own where that is cheaper; what was asked is not asked again, and a whole chain stays."""
    path = compiled(tmp_path)
    found = opened(path) if with_elfutils else opened(path, eu_addr2line=None)
    text = Section("part", ".text")
    frame, row = CodeAddress(text, division(path, ".text")), CodeAddress(text, 0)
    with contextlib.closing(Pool(2)) as pool, Recording() as recording:
        asked = Lines(pool, Failures())
        asked.begin([frame], {"part": found})
        asked.ask([frame], {"part": found}, [frame, row])
        known = asked.answers()
        asked.ask([], {"part": found}, [frame, row])
        assert asked.answers() == known
    assert shown(known[frame][0]).startswith("inner part.c:3") and len(known[frame]) == 2
    assert (known[row][0].file or "").endswith("part.c") and known[row][0].line == 13
    assert len(known[row]) == 1 and (known[row][0].function is None) == with_elfutils
    commands = [re.sub(r".*\| (\S+ -a( -\w)*) -.*", r"\1", command.text) for command in recording.commands]
    assert sorted(commands) == (
        ["eu-addr2line -a", "eu-addr2line -a -f -i"] if with_elfutils else ["addr2line -a -i -f"]
    )
