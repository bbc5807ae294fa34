// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xxxwan: the out-of-tree driver that brings the lab's kernels down.
 *
 * It plays the vendor's part in a crash: tunnels, sessions, link statistics, and in each of
 * them one mistake. "insmod xxxwan.ko fault=NAME" picks the mistake, a write to /proc/xxxwan
 * makes it; "iptunnel" alone waits for the first ping instead.
 *
 * The tests read this file for the right answers:
 *
 *   FAULT:name	the statement that the CPU could not execute (FAULT2: another, equally right)
 *   WARN:name	a statement that only warns
 *   CALL:name	the call that led there; CALL2, CALL3: its caller, and so on outwards
 *   CALL:any	the call that every fault set off by a write has at its outer end
 *
 * So a marked call stays on one line and is never the last thing that its function does:
 * a tail call would leave no frame behind. Functions stay apart (noinline), except where an
 * inlined one is the point.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/poison.h>
#include <linux/proc_fs.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/ip_tunnels.h>
#include <net/route.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "name of the mistake to make");

struct wan_ops {
	const char *name;
	int (*open)(void);
	int weight;		/* 0x10 */
};

struct wan_session {
	struct list_head link;
	u64 seq;		/* 0x10: the offset that a NULL session faults at */
	u32 id;
	u32 flags;
	struct wan_ops *ops;
	struct hlist_node by_id;
};

struct wan_link {
	int mtu;
	int credits;
	bool ready;
};

struct wan_label {
	u32 length;
	char text[60];
};

struct wan_window {
	u32 usecs;
	u32 packets;
};

static LIST_HEAD(wan_sessions);
static HLIST_HEAD(wan_ids);
static DEFINE_SPINLOCK(wan_link_lock);
static struct wan_link wan_link0 = { .mtu = 1420, .credits = 0 };
static struct net_device *wan_dev;
static struct workqueue_struct *wan_wq;

/* ---------------------------------------------------------------- iptunnel: a packet on its way out */

static noinline __noclone int send4(struct sk_buff *skb)
{
	struct flowi4 fl4 = {
		.flowi4_proto = IPPROTO_IPIP,
		.daddr = htonl(INADDR_LOOPBACK),
		.saddr = htonl(INADDR_LOOPBACK),
	};
	struct rtable *rt = ip_route_output_flow(&init_net, &fl4, NULL);

	if (IS_ERR(rt)) {
		kfree_skb(skb);
		return PTR_ERR(rt);
	}
	iptunnel_xmit(NULL, rt, skb, fl4.saddr, fl4.daddr, IPPROTO_IPIP, 0, 64, 0, false); /* CALL:iptunnel */
	wan_link0.credits++;
	return 0;
}

static struct sk_buff *wan_envelope(const struct sk_buff *inner)
{
	struct sk_buff *skb = skb_copy_expand(inner, LL_MAX_HEADER + sizeof(struct iphdr), 0, GFP_ATOMIC);

	if (!skb)
		return NULL;
	skb_dst_drop(skb);
	skb_reset_inner_headers(skb);
	skb_set_inner_network_header(skb, 0);
	skb->dev = wan_dev;
	return skb;
}

static noinline __noclone unsigned int hfunc_in4(void *priv, struct sk_buff *skb,
						 const struct nf_hook_state *state)
{
	struct sk_buff *outer;
	int err;

	if (ip_hdr(skb)->protocol != IPPROTO_ICMP)
		return NF_ACCEPT;
	outer = wan_envelope(skb);
	if (!outer)
		return NF_DROP;
	err = send4(outer); /* CALL2:iptunnel */
	return err ? NF_DROP : NF_ACCEPT;
}

static const struct nf_hook_ops wan_hook = {
	.hook = hfunc_in4,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_PRE_ROUTING,
	.priority = NF_IP_PRI_FIRST,
};

static netdev_tx_t wan_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops wan_netdev_ops = {
	.ndo_start_xmit = wan_start_xmit,
};

static void wan_setup(struct net_device *dev)
{
	dev->netdev_ops = &wan_netdev_ops;
	dev->flags = IFF_NOARP | IFF_POINTOPOINT;
	dev->mtu = wan_link0.mtu;
}

static int wan_arm_iptunnel(void)
{
	wan_dev = alloc_netdev(0, "wan%d", NET_NAME_UNKNOWN, wan_setup);
	if (!wan_dev)
		return -ENOMEM;
	dev_net_set(wan_dev, &init_net);
	/* The mistake: no counters were ever allocated, the pointer to them is what lay there before. */
	wan_dev->tstats = (struct pcpu_sw_netstats __percpu *)0x0000200012345678UL;
	return nf_register_net_hook(&init_net, &wan_hook);
}

/* ---------------------------------------------------------------- null_deref: a session that is not there */

static noinline struct wan_session *wan_find(u32 id)
{
	struct wan_session *s;

	list_for_each_entry(s, &wan_sessions, link)
		if (s->id == id)
			return s;
	return NULL;
}

static noinline u64 wan_next_seq(struct wan_session *s)
{
	u64 seq = READ_ONCE(s->seq); /* FAULT:null_deref */

	WRITE_ONCE(s->seq, seq + 1);
	return seq;
}

static noinline int wan_ping_session(void)
{
	u64 seq = wan_next_seq(wan_find(7)); /* CALL:null_deref */

	pr_info("ping %llu\n", seq);
	return 0;
}

/* ---------------------------------------------------------------- bug_on: credits below zero */

static noinline void __cold wan_spend(struct wan_link *l, int credits)
{
	l->credits -= credits;
	BUG_ON(l->credits < 0); /* FAULT:bug_on */
	pr_info("%d credits left\n", l->credits);
}

static noinline int __cold wan_overdraw(void)
{
	wan_spend(&wan_link0, 3); /* CALL:bug_on */
	return wan_link0.credits;
}

/* ---------------------------------------------------------------- list_del: a session closed twice */

static noinline void wan_forget(struct wan_session *s)
{
	list_del(&s->link); /* CALL:list_del */
	s->flags = 0;
}

static noinline int wan_close_twice(void)
{
	struct wan_session *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int times;

	if (!s)
		return -ENOMEM;
	list_add(&s->link, &wan_sessions);
	for (times = 0; times < 2; times++)
		wan_forget(s); /* CALL2:list_del */
	kfree(s);
	return 0;
}

/* ---------------------------------------------------------------- divide: a rate over no time, inlined */

static __always_inline u32 wan_per_usec(const struct wan_window *w)
{
	u32 packets = READ_ONCE(w->packets), usecs = READ_ONCE(w->usecs);

	return packets / usecs; /* FAULT:divide */
}

/* The kernel has several functions of this name too. */
static noinline u32 s_show(const struct wan_window *w)
{
	u32 rate = wan_per_usec(w); /* INLINED:divide */

	return rate > 100 ? 100 : rate;
}

static noinline int wan_report(void)
{
	struct wan_window w = { .packets = 1500 };

	OPTIMIZER_HIDE_VAR(w.usecs);
	pr_info("%u packets a usec\n", s_show(&w)); /* CALL:divide */
	return 0;
}

/* ---------------------------------------------------------------- softlockup: a link that never comes up */

static noinline void wan_wait(struct wan_link *l)
{
	while (!READ_ONCE(l->ready)) /* FAULT:softlockup */
		cpu_relax(); /* FAULT2:softlockup */
}

static int wan_poll(void *link)
{
	spin_lock(&wan_link_lock);
	wan_wait(link); /* CALL:softlockup */
	spin_unlock(&wan_link_lock);
	return 0;
}

static int wan_start_polling(void)
{
	return PTR_ERR_OR_ZERO(kthread_run(wan_poll, &wan_link0, "wan_poll/0"));
}

/* ---------------------------------------------------------------- warn_then_oops: first a hint, then the crash */

static noinline __noclone void wan_set_weight(struct wan_session *s, int weight)
{
	s->ops->weight = weight; /* FAULT:warn_then_oops */
}

static void wan_renegotiate(struct work_struct *work)
{
	/* The mistake: nobody gave the new session its operations. */
	struct wan_session s = { .id = 9 };

	wan_set_weight(&s, 9); /* CALL:warn_then_oops */
	wan_link0.ready = true;
}
static DECLARE_DELAYED_WORK(wan_later, wan_renegotiate);

static noinline void wan_set_mtu(struct wan_link *l, int mtu)
{
	WARN_ON(mtu > l->mtu); /* WARN:warn_then_oops */
	l->mtu = mtu;
}

static noinline int wan_raise_mtu(void)
{
	wan_set_mtu(&wan_link0, 9000);
	queue_delayed_work(wan_wq, &wan_later, 2 * HZ);
	return 0;
}

/* ---------------------------------------------------------------- distmod: garbage handed to a module of Debian's */

static noinline int wan_match_tunnel(void)
{
	struct ip_tunnel_net *itn;
	struct ip_tunnel *t;

	/* The mistake: the table of tunnels is looked for in memory that was freed, hence full of 6b. */
	memset(&itn, POISON_FREE, sizeof(itn));
	t = ip_tunnel_lookup(itn, 1, TUNNEL_KEY, htonl(INADDR_LOOPBACK), 0, htonl(7)); /* CALL:distmod */
	pr_info("tunnel %p\n", t);
	return 0;
}

/* ---------------------------------------------------------------- memcpy: a name for a label that is none */

static noinline void wan_rename(struct wan_label *l, const char *name, u32 length)
{
	memcpy(l->text, name, length); /* CALL:memcpy */
	WRITE_ONCE(l->length, length);
}

static noinline int wan_rename_all(void)
{
	/* The mistake: what stands here is a number of the device, no address. */
	struct wan_label *l = (struct wan_label *)0x00000000c0ffee00;
	const char *name = "the label of every link and codec";
	u32 length = strlen(name);

	OPTIMIZER_HIDE_VAR(l);
	OPTIMIZER_HIDE_VAR(name);
	OPTIMIZER_HIDE_VAR(length);
	wan_rename(l, name, length); /* CALL2:memcpy */
	return length;
}

/* ---------------------------------------------------------------- uaf: a session that was freed is used again */

static noinline __noclone int wan_weigh(struct wan_session *s)
{
	return s->ops->weight++; /* FAULT:uaf */
}

static noinline int wan_weigh_freed(void)
{
	/* SLAB_POISON: what is freed is filled with 6b, as a debug kernel does it everywhere. */
	struct kmem_cache *cache = kmem_cache_create("wan_session", sizeof(struct wan_session), 0, SLAB_POISON, NULL);
	struct wan_session *s = cache ? kmem_cache_zalloc(cache, GFP_KERNEL) : NULL;

	if (!s)
		return -ENOMEM;
	kmem_cache_free(cache, s);
	pr_info("weight %d\n", wan_weigh(s)); /* CALL:uaf */
	return 0;
}

/* ---------------------------------------------------------------- list_poison: a session taken out of its list twice */

static noinline void wan_unhash(struct wan_session *s)
{
	hlist_del(&s->by_id); /* INLINED:list_poison */
	s->flags = 0;
}

static noinline int wan_unhash_twice(void)
{
	struct wan_session *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int times;

	if (!s)
		return -ENOMEM;
	hlist_add_head(&s->by_id, &wan_ids);
	for (times = 0; times < 2; times++)
		wan_unhash(s); /* CALL:list_poison */
	kfree(s);
	return 0;
}

/* ---------------------------------------------------------------- /proc/xxxwan */

static const struct wan_mistake {
	const char *name;
	int (*make)(void);
} wan_mistakes[] = {
	{ "null_deref", wan_ping_session },
	{ "bug_on", wan_overdraw },
	{ "list_del", wan_close_twice },
	{ "divide", wan_report },
	{ "softlockup", wan_start_polling },
	{ "warn_then_oops", wan_raise_mtu },
	{ "distmod", wan_match_tunnel },
	{ "memcpy", wan_rename_all },
	{ "uaf", wan_weigh_freed },
	{ "list_poison", wan_unhash_twice },
};

static ssize_t wan_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	int i, err = -ENOENT;

	for (i = 0; i < ARRAY_SIZE(wan_mistakes); i++)
		if (!strcmp(fault, wan_mistakes[i].name))
			err = wan_mistakes[i].make(); /* CALL:any */
	return err < 0 ? err : len;
}

static const struct proc_ops wan_proc_ops = {
	.proc_write = wan_write,
};

static int __init wan_init(void)
{
	wan_wq = alloc_workqueue("wan_later", 0, 1);
	if (!wan_wq || !proc_create(KBUILD_MODNAME, 0200, NULL, &wan_proc_ops))
		return -ENOMEM;
	pr_info("version %s\n", THIS_MODULE->version);
	return strcmp(fault, "iptunnel") ? 0 : wan_arm_iptunnel();
}

static void __exit wan_exit(void)
{
	remove_proc_entry(KBUILD_MODNAME, NULL);
	destroy_workqueue(wan_wq);
}

module_init(wan_init);
module_exit(wan_exit);
MODULE_LICENSE("GPL");
MODULE_VERSION("2.0.7");
MODULE_DESCRIPTION("WAN tunnels that crash on demand");
