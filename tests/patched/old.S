/*
 * What 4.18 (el8) rewrites in its own text: calls through pv_…ops by an absolute address, for which objdump prints no
 * name. Each function holds one place. "listed" ones stand in .parainstructions, and what they call through is not
 * called pv_…ops; "named" ones are the other way round.
 */
	.macro	function name
	.balign	16
	.globl	\name
	.type	\name, @function
\name:
	.endm

	/* struct paravirt_patch_site: u8 *instr; u8 instrtype; u8 len; u16 clobbers */
	.macro	site at, length
	.pushsection .parainstructions, "a"
	.balign	8
	.quad	\at
	.byte	44, \length
	.short	1
	.balign	8
	.popsection
	.endm

	.text
	.globl	_stext
_stext:
function named_call
	call	*pv_lock_ops+8
	nop
	ret
function named_jump
	jmp	*pv_cpu_ops+0x18
	nop
function listed_call
1:	call	*nameless+8
	site	1b, 7
	nop
	ret
function listed_relative_call	/* as 5.14 makes them, 6 bytes */
1:	call	*nameless(%rip)
	site	1b, 6
	nop
	ret
function stranger_call	/* neither listed nor named so */
	call	*stranger_ops+8
	nop
	ret

	/* A call that is an alternative, to a function 16 bytes before: no call depth tracking, which is newer. */
function slow_copy
	ret
function fast_copy
	ret
function alternative_call
1:	call	fast_copy
2:	nop
	ret
	.pushsection .altinstr_replacement, "ax"
3:	call	slow_copy
4:
	.popsection
	/* struct alt_instr: s32 instr_offset, repl_offset; u16 cpuid; u8 instrlen, replacementlen, padlen */
	.pushsection .altinstructions, "a"
	.long	1b - ., 3b - .
	.short	0x70
	.byte	2b - 1b, 4b - 3b, 0
	.popsection
function moved_call	/* a call that is none */
	call	fast_copy
	nop
	ret
function _etext

	.data
	.globl	pv_lock_ops, pv_cpu_ops, nameless, stranger_ops
	.fill	0xc0, 1, 0	/* the log's "call *0xffffffff82025ac8" goes through pv_lock_ops+8 */
pv_lock_ops:
	.fill	8, 8, 0
pv_cpu_ops:
	.fill	8, 8, 0
nameless:
	.fill	8, 8, 0
stranger_ops:
	.fill	8, 8, 0
