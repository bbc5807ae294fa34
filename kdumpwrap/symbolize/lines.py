"""The lines of addresses: this file alone runs eu-addr2line and addr2line, each for many addresses."""

import os
from functools import partial
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.log import symbolname
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import Location
from kdumpwrap.parse import nm
from kdumpwrap.symbolize import objects
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Object, Section
from kdumpwrap.symbolize.pool import Job, Pool
from kdumpwrap.tools import binutils, elfutils

_Chain = Tuple[Location, ...]
_Chains = Dict[int, _Chain]
_Share = Tuple[Sequence[int], Job[_Chains]]

# Either tool keeps each compilation unit that it has read in memory. For a vmlinux of 600 MB eu-addr2line takes 107 MB
# for one address, 163 for 100 pages, 360 for 3000; addr2line takes 259, 317 and 1326. A new process costs 0.03 s and
# 0.3 s.
_PAGES = 100  # of code that one process is asked about
_WHOLE = 3  # what an answer that needs no other is worth
_BESIDE = 2  # processes of eu-addr2line that share the addresses of one object: it takes longest of all tools
_SHARE = 16  # addresses, of 4 ms each, that are worth a process


class Lines:
    """The lines of the addresses of one kernel; each address is looked up once."""

    def __init__(self, pool: Pool, failures: Failures) -> None:
        """The tools run in ``pool``; their failures are added to ``failures``."""
        self._pool = pool
        self._failures = failures
        self._asked: Dict[bool, Set[CodeAddress]] = {
            True: set(),
            False: set(),
        }  # by whether functions were asked for
        self._known: Dict[CodeAddress, _Chain] = {}
        self._jobs: List[Job[None]] = []
        self._beside = min(_BESIDE, len(os.sched_getaffinity(0)))

    def begin(self, addresses: Iterable[CodeAddress], opened: Mapping[Optional[str], Object]) -> None:
        """Start eu-addr2line early for some addresses; addr2line gets all of them at once in ``ask``."""
        self.ask((one for one in addresses if opened[one.section.module].tools.eu_addr2line is not None), opened)

    def ask(
        self,
        addresses: Iterable[CodeAddress],
        opened: Mapping[Optional[str], Object],
        instructions: Iterable[CodeAddress] = (),
    ) -> None:
        """Start the look-up of ``addresses`` in ``opened``: one job for each object, or section of a module.

        Two processes of eu-addr2line share many addresses.
        Of ``instructions`` only the line is looked up, by an eu-addr2line of their own: it takes most of its time to
        find functions.
        """
        new: Dict[Tuple[Section, bool], List[int]] = {}
        for one, functions in (*((one, True) for one in addresses), *((one, False) for one in instructions)):
            functions = functions or opened[one.section.module].tools.eu_addr2line is None
            if one not in self._asked[True] and one not in self._asked[functions]:
                self._asked[functions].add(one)
                new.setdefault((one.section, functions), []).append(one.address)
        # the vmlinux first: it takes longest
        for (section, functions), few in sorted(new.items(), key=lambda item: item[0][0].module is not None):
            found, parts = opened[section.module], [*_few_pages(sorted(few))]
            beside = self._share(section, found, parts[0]) if functions and len(parts) == 1 else ()
            self._jobs.append(self._pool.submit(self._look_up, section, found, parts, functions, beside))

    def _share(self, section: Section, found: Object, addresses: Sequence[int]) -> Sequence[_Share]:
        """The shares of ``addresses`` that other processes of eu-addr2line look up: begun before that for the rest."""
        tool, path = found.tools.eu_addr2line, found.lines
        if tool is None or path is None:
            return ()
        others = [*_shares(addresses, min(self._beside, self._pool.most))][1:]
        ask = partial(elfutils.locations, tool, path, section=section.name)
        return [(share, self._pool.submit(ask, share)) for share in others]

    def answers(self) -> Dict[CodeAddress, _Chain]:
        """The locations of every address that was asked for, innermost function first; none where it is not known."""
        while self._jobs:
            self._jobs.pop().result()
        return self._known

    def _look_up(
        self,
        section: Section,
        found: Object,
        parts: Sequence[Sequence[int]],
        functions: bool,
        beside: Sequence[_Share],
    ) -> None:
        if found.lines is None:  # the opening of the object reported it
            return
        for few in parts:
            chains = self._chains(section, found, few, functions, beside)
            for one, chain in ((CodeAddress(section, address), chain) for address, chain in chains.items() if chain):
                if functions or one not in self._known:
                    self._known[one] = chain

    def _chains(
        self, section: Section, found: Object, addresses: Sequence[int], functions: bool, beside: Sequence[_Share]
    ) -> _Chains:
        """The chain of each address from the best tool; from the next one where that lost a line, or has none."""
        chains: _Chains = {}
        worths: Dict[int, int] = {}
        left, told = addresses, False
        for tool, ask in _tools(section, found, functions, beside):
            answers: _Chains = {}
            problem = None
            try:
                answers = ask(left)
            except KdumpwrapError as error:
                problem = Problem(error.message, error.hint, error.tool_failed)
            if problem is None and len(answers) < len(left):
                message = f"{tool} answered {len(answers)} of {len(left)} addresses of {found.lines}"
                problem = Problem(message, tool_failed=True)
            if problem is not None and any(address not in chains for address in left):  # else each has an answer
                self._failures.add(section.module, problem)
                told = True
            for one, chain in answers.items():
                worth = _worth(section, found, one, chain, functions)
                if worth > worths.get(one, -1):
                    chains[one], worths[one] = chain, worth
            left = [address for address in addresses if worths.get(address, 0) < _WHOLE]
            if not left:
                break
        if functions and not any(map(_has_line, chains.values())):  # else the function's frame is asked for too
            old = self._failures.keep(section.module, partial(objects.blind, found))
            if old is not None or not told:
                self._failures.add(section.module, old or _nothing(found, len(addresses)))
            if old is None:  # the names of inlined functions are then unreliable too
                return {}
        if not functions:
            return chains
        return {address: _named(section, found, address, chain) for address, chain in chains.items()}


def _tools(
    section: Section, found: Object, functions: bool, beside: Sequence[_Share]
) -> Iterator[Tuple[str, Callable[[Sequence[int]], _Chains]]]:
    """The tools that can look up addresses of ``section``, the best first: name, and the call that asks it."""
    tools, path = found.tools, found.lines
    if path is None:
        return
    if tools.eu_addr2line is not None:
        ask = partial(elfutils.locations, tools.eu_addr2line, path, section=section.name, functions=functions)
        yield tools.eu_addr2line, partial(_together, ask, beside)
    if section.module is None or tools.relocates:
        yield tools.addr2line, partial(binutils.locations, tools, path, section=section.name)


def _together(ask: Callable[[Sequence[int]], _Chains], beside: Sequence[_Share], addresses: Sequence[int]) -> _Chains:
    """The answers of ``ask`` and of the jobs ``beside`` it. Raises KdumpwrapError when one of them failed."""
    others = {address for share, _ in beside for address in share}
    answers = ask([address for address in addresses if address not in others])
    for _, job in beside:
        answers.update(job.result())
    return answers


def _nothing(found: Object, asked: int) -> Problem:
    message = f"no tool has a line of any of {asked} addresses of {found.lines}, which has debug information"
    return Problem(message, tool_failed=True)


def _has_line(chain: _Chain) -> bool:
    return any(place.line for place in chain)


def _worth(section: Section, found: Object, address: int, chain: _Chain, functions: bool) -> int:
    """How far the answer of a tool can be trusted: _WHOLE, or less, 0 for none.

    The last function of a whole chain contains ``address``, as nm says; another one says that the last line is lost.
    eu-addr2line names another one for 1 of 1,500 addresses of a vmlinux, so the next tool is asked rarely.
    """
    if not _has_line(chain):
        return bool(chain)
    name = chain[-1].function if functions else None
    symbol = found.enclosing(section.name, address) if name is not None else None
    if name is None or symbol is None or symbolname.plain(name) == symbolname.plain(symbol.name):
        return _WHOLE
    other = not (chain[-1].file or "").endswith(".S") and _address(found, section, name) != symbol.address
    return _WHOLE - other


def _address(found: Object, section: Section, name: str) -> Optional[int]:
    """The address of the function ``name``."""
    if found.nm:
        return nm.address(found.nm, name)
    return next((one.address for one in found.functions.get(name, ()) if one.section == section.name), None)


def _named(section: Section, found: Object, address: int, chain: _Chain) -> _Chain:
    """``chain`` with the function that contains ``address``, as nm says, where the tool had no name for it.

    eu-addr2line has none for 3 of 100 addresses. An inlined function that has no name stays unknown. In assembly it
    names the symbol that has a size, ``entry_SYSCALL_64``; the kernel prints the label that is nearer.
    """
    if not chain:
        return chain
    name, file = chain[-1].function, chain[-1].file or ""
    if name is None or (found.nm and file.endswith(".S")):
        symbol = found.enclosing(section.name, address)
        other = symbol is not None and (name is None or _address(found, section, name) != symbol.address)
        name = symbol.name if symbol is not None and other else name
    return (*chain[:-1], chain[-1]._replace(function=name and symbolname.plain(name)))


def _shares(addresses: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """``addresses`` in equal shares, each worth a process: ``most`` at most."""
    size = -(-len(addresses) // max(1, min(most, len(addresses) // _SHARE)))
    return (addresses[start : start + size] for start in range(0, len(addresses), size))


def _few_pages(addresses: Iterable[int]) -> Iterator[List[int]]:
    """``addresses``, which are sorted, in lists that lie on few pages of code: each for a process of its own."""
    few: List[int] = []
    pages: Set[int] = set()
    for address in addresses:
        page = address >> 12
        if page not in pages and len(pages) == _PAGES:
            yield few
            few, pages = [], set()
        few.append(address)
        pages.add(page)
    if few:
        yield few
