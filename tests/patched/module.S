/* A call through pv_…ops in a module of 4.18: listed by relocations, in two sections of text. */
	.macro	site at
	.pushsection .parainstructions, "a"
	.balign	8
	.quad	\at
	.byte	44, 7
	.short	1
	.balign	8
	.popsection
	.endm

	.text
first:
	nop
1:	call	*nameless
	site	1b
	ret
	.section .text.unlikely, "ax"
second:
	nop
	nop
1:	call	*nameless
	site	1b
	ret
	.data
nameless:
	.quad	0
