/*
 * What 6.3 and later, and 5.14 of el9, rewrite in their own text besides. Each function holds one place.
 */
	.macro	function name
	.balign	16
	.globl	\name
	.type	\name, @function
\name:
	.endm

	/* struct alt_instr: s32 instr_offset, repl_offset; u32 cpuid and flags; u8 instrlen, replacementlen */
	.macro	alternative from, to, at, end
	.pushsection .altinstructions, "a"
	.long	\from - ., \at - .
	.long	0x70
	.byte	\to - \from, \end - \at
	.popsection
	.endm

	.text
	.globl	_text
_text:
function _stext

	/* _static_cpu_has(): jmp 6f, until the kernel knows; then to where the feature is not, or no-ops */
function static_cpu_has
1:	jmp	6f
2:	nop
	ret
	nop
	nop
	nop
	nop
	nop
3:	nop
	ret
	.pushsection .altinstr_aux, "ax"
6:	jmp	3b
	.popsection
	.pushsection .altinstr_replacement, "ax"
4:	.byte	0xe9
	.long	3b - 5f
5:
	.popsection
	alternative 1b, 2b, 4b, 5b
	alternative 1b, 2b, 5b, 5b

	/* runtime_const_ptr(), runtime_const_shift_right_32() */
function runtime_pointer
	movabs	$0x0123456789abcdef, %rcx
1:	.pushsection runtime_ptr_USER_PTR_MAX, "a"
	.long	1b - 8 - .
	.popsection
	ret
function runtime_pointer_r8
	movabs	$0x0123456789abcdef, %r8
1:	.pushsection runtime_ptr_USER_PTR_MAX, "a"
	.long	1b - 8 - .
	.popsection
	ret
function true_pointer	/* a constant of that very value, which is none of the runtime */
	movabs	$0x0123456789abcdef, %rcx
	ret
function runtime_shift
	shrl	$12, %edx
1:	.pushsection runtime_shift_d_hash_shift, "a"
	.long	1b - 1 - .
	.popsection
	ret
function true_shift
	shrl	$12, %edx
	ret

	/* kaslr_offset(): _text less the address that it was linked at */
function kaslr_sub
	sub	$_text + 0x7f000000, %rbp
	ret
function kaslr_sub_rax
	sub	$_text + 0x7f000000, %rax
	ret
function kaslr_mov
	mov	$_text + 0x7f000000, %rsi
	ret
function kaslr_store	/* a zero of four bytes that is one */
	movq	$0, 0x10(%rsi)
	ret

	/* a per-CPU variable, its address followed by an immediate of four bytes, or of one */
function percpu_store
	movl	$0x80000000, %gs:counter(%rip)
	ret
function percpu_compare
	cmpb	$0x7f, %gs:counter(%rip)
	ret

	/* call depth tracking: a call to the padding of a function, 16 or 10 bytes before it */
function padding
	.fill	16, 1, 0x90
function tracked
	ret
function tracked_call
1:	call	tracked
	.ifdef	TRACKING
	.pushsection .call_sites, "a"
	.long	1b - .
	.popsection
	.endif
	nop
	ret
	/* an alternative of 14 no-ops, more than the longest that there is */
function long_nops
1:	.fill	14, 1, 0x90
2:	ret
	.pushsection .altinstr_replacement, "ax"
3:	clac
4:
	.popsection
	alternative 1b, 2b, 3b, 4b
function kaslr_store_short	/* as long as those that are relocated */
	movq	$0, (%rsi)
	ret
function _etext

	.section .data..percpu, "aw"
	.fill	0x100, 1, 0
counter:
	.fill	2, 4, 0
