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
.Lmine:
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

/*
 * DWARF 4 by hand: iptunnel_xmit, iptunnel_xmit_stats inlined in it at line 87, the variables that have a register there,
 * and as much of their types as the crash touches.
 */
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
	.byte	1
	.uleb128 0x03, 0x08
	.uleb128 0x20, 0x0b		/* DW_AT_inline, data1 */
	.uleb128 0, 0
	.uleb128 3, 0x2e		/* DW_TAG_subprogram */
	.byte	1
	.uleb128 0x3f, 0x19		/* DW_AT_external, flag_present */
	.uleb128 0x03, 0x08
	.uleb128 0x11, 0x01
	.uleb128 0x12, 0x07
	.uleb128 0x40, 0x18		/* DW_AT_frame_base, exprloc */
	.uleb128 0, 0
	.uleb128 4, 0x1d		/* DW_TAG_inlined_subroutine */
	.byte	1
	.uleb128 0x31, 0x13		/* DW_AT_abstract_origin, ref4 */
	.uleb128 0x11, 0x01
	.uleb128 0x12, 0x07
	.uleb128 0x58, 0x0b		/* DW_AT_call_file, data1 */
	.uleb128 0x59, 0x0b		/* DW_AT_call_line, data1 */
	.uleb128 0, 0
	.uleb128 5, 0x24		/* DW_TAG_base_type */
	.byte	0
	.uleb128 0x0b, 0x0b		/* DW_AT_byte_size, data1 */
	.uleb128 0x3e, 0x0b		/* DW_AT_encoding, data1 */
	.uleb128 0x03, 0x08
	.uleb128 0, 0
	.uleb128 6, 0x13		/* DW_TAG_structure_type */
	.byte	1
	.uleb128 0x03, 0x08
	.uleb128 0x0b, 0x05		/* DW_AT_byte_size, data2 */
	.uleb128 0, 0
	.uleb128 7, 0x0d		/* DW_TAG_member */
	.byte	0
	.uleb128 0x03, 0x08
	.uleb128 0x49, 0x13		/* DW_AT_type, ref4 */
	.uleb128 0x38, 0x05		/* DW_AT_data_member_location, data2 */
	.uleb128 0, 0
	.uleb128 8, 0x0f		/* DW_TAG_pointer_type */
	.byte	0
	.uleb128 0x0b, 0x0b
	.uleb128 0x49, 0x13
	.uleb128 0, 0
	.uleb128 9, 0x05		/* DW_TAG_formal_parameter of what is inlined */
	.byte	0
	.uleb128 0x03, 0x08
	.uleb128 0x49, 0x13
	.uleb128 0, 0
	.uleb128 10, 0x34		/* DW_TAG_variable of what is inlined */
	.byte	0
	.uleb128 0x03, 0x08
	.uleb128 0x49, 0x13
	.uleb128 0, 0
	.uleb128 11, 0x05		/* DW_TAG_formal_parameter where it is inlined */
	.byte	0
	.uleb128 0x31, 0x13
	.uleb128 0x02, 0x18		/* DW_AT_location, exprloc */
	.uleb128 0, 0
	.uleb128 12, 0x34		/* DW_TAG_variable where it is inlined */
	.byte	0
	.uleb128 0x31, 0x13
	.uleb128 0x02, 0x17		/* DW_AT_location, sec_offset: a list */
	.uleb128 0, 0
	.uleb128 13, 0x16		/* DW_TAG_typedef */
	.byte	0
	.uleb128 0x03, 0x08
	.uleb128 0x49, 0x13
	.uleb128 0, 0
	.byte	0

	.macro	member name, type, at
	.uleb128 7
	.asciz	"\name"
	.long	\type - .Linfo
	.short	\at
	.endm

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
.Lint:
	.uleb128 5
	.byte	4, 5			/* DW_ATE_signed */
	.asciz	"int"
.Llong:
	.uleb128 5
	.byte	8, 7			/* DW_ATE_unsigned */
	.asciz	"long unsigned int"
.Lu64:
	.uleb128 13
	.asciz	"u64"
	.long	.Llong - .Linfo
.Lnetstats:
	.uleb128 6
	.asciz	"pcpu_sw_netstats"
	.short	0x20
	member	rx_packets, .Lu64, 0
	member	rx_bytes, .Lu64, 8
	member	tx_packets, .Lu64, 0x10
	member	tx_bytes, .Lu64, 0x18
	.byte	0
.Lnetstats_pointer:
	.uleb128 8
	.byte	8
	.long	.Lnetstats - .Linfo
.Lnet_device:
	.uleb128 6
	.asciz	"net_device"
	.short	0x900
	member	tstats, .Lnetstats_pointer, 0x4f0
	.byte	0
.Lnet_device_pointer:
	.uleb128 8
	.byte	8
	.long	.Lnet_device - .Linfo
.Lorigin:
	.uleb128 2
	.asciz	"iptunnel_xmit_stats"
	.byte	3			/* declared inline and inlined */
.Ldev:
	.uleb128 9
	.asciz	"dev"
	.long	.Lnet_device_pointer - .Linfo
.Lpkt_len:
	.uleb128 9
	.asciz	"pkt_len"
	.long	.Lint - .Linfo
.Lmine_origin:
	.uleb128 10
	.asciz	"mine"
	.long	.Lnetstats_pointer - .Linfo
	.byte	0
	.uleb128 3
	.asciz	"iptunnel_xmit"
	.quad	iptunnel_xmit
	.quad	.Ltext_end - iptunnel_xmit
	.byte	1, 0x9c			/* DW_OP_call_frame_cfa */
	.uleb128 4
	.long	.Lorigin - .Linfo
	.quad	.Lstats
	.quad	.Lstats_end - .Lstats
	.byte	1
	.byte	87
	.uleb128 11
	.long	.Ldev - .Linfo
	.byte	1, 0x56			/* DW_OP_reg6: rbp */
	.uleb128 11
	.long	.Lpkt_len - .Linfo
	.byte	1, 0x53			/* DW_OP_reg3: rbx */
	.uleb128 12
	.long	.Lmine_origin - .Linfo
	.long	.Lmine_list
	.byte	0
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

	.section .debug_loc, "", @progbits
.Lmine_list:
	.quad	.Lmine - .Ltext, .Lstats_end - .Ltext
	.short	1
	.byte	0x50			/* DW_OP_reg0: rax */
	.quad	0, 0

	.section .note.GNU-stack, "", @progbits
