/*
 * The few bytes of a 4.19.113-88.8bs.el7 vmlinux that the worked example needs, with line numbers and an inlined
 * function as gcc would describe them. scripts/example/build turns it into kdumpwrap/example/root/…/vmlinux.
 *
 * iptunnel_xmit lies at 0xffffffff81898c00. From +0x153 on its bytes are those of the crash's "Code:" line, except the
 * displacement at +0x176: the log has 467763ae there, since KASLR had moved the kernel up by 0x38000000. The rest of
 * the function, and the other functions of the call trace, are room of the right size.
 */
	.file	1 "net/ipv4/ip_tunnel_core.c"
	.file	2 "include/net/ip_tunnels.h"

	.section .debug_line, "", @progbits
.Lline:

/* a function of the call trace: a name, a size, nothing inside */
.macro	room name, size
	.globl	\name
	.type	\name, @function
\name:	.fill	\size, 1, 0x90
	.size	\name, \size
.endm

	.text
.Ltext:
	.globl	iptunnel_xmit
	.type	iptunnel_xmit, @function
iptunnel_xmit:
	.loc	1 53
	push	%r14
	push	%r13
	push	%r12
	push	%rbp
	push	%rbx
	sub	$0x20, %rsp
	.fill	0x14e - (. - iptunnel_xmit), 1, 0x90
	.loc	1 83
	mov	%r13, %rsi
	mov	%r13, %rdx		/* 4c 89 ea: the log's bytes begin with its last one */
	mov	%r12, %rdi
	call	iptunnel_xmit + 0x15c - 0x4ed2c	/* ip_local_out, which is not in this piece */
	.loc	1 84
	test	%rbp, %rbp
	je	.Ldone
	.loc	1 85
	and	$0xfffffffd, %eax
	jne	.Lfailed
.Lstats:
	.loc	2 457
	cmp	$0x0, %ebx
	jle	.Lerrors
	.loc	2 458
	mov	0x4f0(%rbp), %rax
	add	%gs:this_cpu_off(%rip), %rax
	.loc	2 461
	movslq	%ebx, %rbx
	.loc	2 462
	addq	$0x1, 0x10(%rax)
	.loc	2 461
	add	%rbx, 0x18(%rax)
.Lstats_end:
	.loc	1 89
	add	$0x20, %rsp
	pop	%rbx
	pop	%rbp
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
.Ldone = .Lstats_end
	ret
.Lerrors:
	.loc	2 470
	je	.Ldone
.Lfailed:
	.fill	0x1c0 - (. - iptunnel_xmit), 1, 0x90
	.size	iptunnel_xmit, . - iptunnel_xmit
.Ltext_end:

	.section .text.room, "ax", @progbits	/* a section of its own: the line table ends with the other one */
	room	nf_hook_slow, 0xb0
	room	ip6_xmit, 0x5e0
	room	neigh_key_eq128, 0x30
	room	inet6_csk_route_socket, 0x250
	room	__kmalloc_node_track_caller, 0x280
	room	inet6_csk_xmit, 0xe0
	room	__tcp_transmit_skb, 0x9f0
	room	ipt_do_table, 0x680
	.globl	_etext
_etext:

	.section .percpu, "a", @nobits
	.globl	this_cpu_off
	.type	this_cpu_off, @object
	.size	this_cpu_off, 8
this_cpu_off:
	.skip	8

	.section .rodata, "a", @progbits
	.globl	linux_banner
	.type	linux_banner, @object
linux_banner:
	.asciz	"Linux version 4.19.113-88.8bs.el7.x86_64 (worked example) #1 SMP\n"
	.size	linux_banner, . - linux_banner

/* DWARF 4 by hand: iptunnel_xmit, and iptunnel_xmit_stats inlined in it at line 87 */
	.section .debug_abbrev, "", @progbits
.Labbrev:
	.uleb128 1, 0x11		/* DW_TAG_compile_unit */
	.byte	1
	.uleb128 0x03, 0x08		/* DW_AT_name, string */
	.uleb128 0x1b, 0x08		/* DW_AT_comp_dir, string */
	.uleb128 0x13, 0x0b		/* DW_AT_language, data1 */
	.uleb128 0x11, 0x01		/* DW_AT_low_pc, addr */
	.uleb128 0x12, 0x07		/* DW_AT_high_pc, data8 */
	.uleb128 0x10, 0x17		/* DW_AT_stmt_list, sec_offset */
	.uleb128 0, 0
	.uleb128 2, 0x2e		/* DW_TAG_subprogram, inlined elsewhere */
	.byte	0
	.uleb128 0x03, 0x08
	.uleb128 0x20, 0x0b		/* DW_AT_inline, data1 */
	.uleb128 0, 0
	.uleb128 3, 0x2e		/* DW_TAG_subprogram */
	.byte	1
	.uleb128 0x3f, 0x19		/* DW_AT_external, flag_present */
	.uleb128 0x03, 0x08
	.uleb128 0x11, 0x01
	.uleb128 0x12, 0x07
	.uleb128 0, 0
	.uleb128 4, 0x1d		/* DW_TAG_inlined_subroutine */
	.byte	0
	.uleb128 0x31, 0x13		/* DW_AT_abstract_origin, ref4 */
	.uleb128 0x11, 0x01
	.uleb128 0x12, 0x07
	.uleb128 0x58, 0x0b		/* DW_AT_call_file, data1 */
	.uleb128 0x59, 0x0b		/* DW_AT_call_line, data1 */
	.uleb128 0, 0
	.byte	0

	.section .debug_info, "", @progbits
.Linfo:
	.long	.Linfo_end - .Linfo_start
.Linfo_start:
	.short	4
	.long	.Labbrev
	.byte	8
	.uleb128 1
	.asciz	"net/ipv4/ip_tunnel_core.c"
	.asciz	"/usr/src/debug/kernel-alt-4.19.113/linux-4.19.113-88.8bs.el7.x86_64"
	.byte	0x0c			/* DW_LANG_C99 */
	.quad	.Ltext
	.quad	.Ltext_end - .Ltext
	.long	.Lline
.Lorigin:
	.uleb128 2
	.asciz	"iptunnel_xmit_stats"
	.byte	3			/* declared inline and inlined */
	.uleb128 3
	.asciz	"iptunnel_xmit"
	.quad	iptunnel_xmit
	.quad	.Ltext_end - iptunnel_xmit
	.uleb128 4
	.long	.Lorigin - .Linfo
	.quad	.Lstats
	.quad	.Lstats_end - .Lstats
	.byte	1
	.byte	87
	.byte	0
	.byte	0
.Linfo_end:

/* which unit an address belongs to: elfutils finds none without it */
	.section .debug_aranges, "", @progbits
	.long	.Laranges_end - .Laranges_start
.Laranges_start:
	.short	2
	.long	.Linfo
	.byte	8, 0
	.balign	16
	.quad	.Ltext
	.quad	.Ltext_end - .Ltext
	.quad	0, 0
.Laranges_end:

	.section .note.GNU-stack, "", @progbits
