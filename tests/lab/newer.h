/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xxxwan.c takes from 6.1 and newer kernels (6.12) have otherwise. It is included before all else (gcc -include),
 * so that the module itself stays the same file, with the same lines, on each kernel.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/netdevice.h>
#include <net/ip_tunnels.h>

/* Since 6.10 the flags of a tunnel are a bitmap. */
#undef TUNNEL_KEY
#define TUNNEL_KEY ((const unsigned long[]){ BIT(IP_TUNNEL_KEY_BIT) })

/* Since 6.12 iptunnel_xmit_stats() asks the device which of the counters are in use. */
#define dev_net_set(dev, net) \
	do { \
		(dev)->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS; \
		dev_net_set(dev, net); \
	} while (0)
