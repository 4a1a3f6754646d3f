/*
 * The network lock with nf_tables: one table `inet CRIU-<run id>`, as spec/images-files.md 18.1 has
 * it, so that either tool can undo what the other did.  The method iptables is the same here, and
 * images say nftables: whoever restores them has to look for that table.
 *
 * Two sets hold address.port.address.port of every connection, both ways round; chains at input
 * and output drop what is in them, but for packets with the mark of those that a restore sends to
 * itself.  One transaction makes it, one message removes all of it.  A table that shall not outlive
 * the tool is owned by the netlink socket (NFT_TABLE_F_OWNER, Linux 5.12) and goes with it.
 */
#include "socket/net_lock.h"

#include <netinet/in.h> /* before linux/in.h */

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "cli/options.h"
#include "fermata/tcp.h"
#include "kernel/nftables.h"

enum {
	NAME_MAX_LEN = 64,
	KEY_MAX = 40,
	ELEMENTS_MAX = 50000, /* bytes of one message; attributes end at 64 KiB */
	TYPE_IPADDR = 7,      /* of nft(8), so that it can print the sets */
	TYPE_IP6ADDR = 8,
	TYPE_SERVICE = 13,
	IPV4_SOURCE = 12, /* offsets in headers */
	IPV4_DEST = 16,
	IPV6_SOURCE = 8,
	IPV6_DEST = 24,
};

struct family {
	const char *set;
	uint32_t set_id;
	uint8_t nfproto;
	uint32_t address_len, source, dest, type;
};

static const struct family families[] = {
	{"conns4", 1, NFPROTO_IPV4, 4, IPV4_SOURCE, IPV4_DEST, TYPE_IPADDR},
	{"conns6", 2, NFPROTO_IPV6, 16, IPV6_SOURCE, IPV6_DEST, TYPE_IP6ADDR},
};

static const struct {
	const char *name;
	uint32_t hook;
} chains[] = {{"input", NF_INET_LOCAL_IN}, {"output", NF_INET_LOCAL_OUT}};

static void table_name(const struct net_lock *l, char name[static NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "CRIU-%.40s", l->run_id);
}

/* --- expressions --- */

static size_t begin_expr(struct nft_batch *b, const char *name, size_t *ret_data)
{
	size_t element = nft_nest(b, NFTA_LIST_ELEM);
	nft_put_text(b, NFTA_EXPR_NAME, name);
	*ret_data = nft_nest(b, NFTA_EXPR_DATA);
	return element;
}

static void end_expr(struct nft_batch *b, size_t element, size_t data)
{
	nft_nest_end(b, data);
	nft_nest_end(b, element);
}

/* Goes on only if this property of the packet is that. */
static void expect(struct nft_batch *b, uint32_t meta, const void *value, size_t len)
{
	size_t data, expr = begin_expr(b, "meta", &data);
	nft_put_u32(b, NFTA_META_KEY, meta);
	nft_put_u32(b, NFTA_META_DREG, NFT_REG_1);
	end_expr(b, expr, data);
	expr = begin_expr(b, "cmp", &data);
	nft_put_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	nft_put_u32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	size_t nest = nft_nest(b, NFTA_CMP_DATA);
	nft_put(b, NFTA_DATA_VALUE, value, len);
	nft_nest_end(b, nest);
	end_expr(b, expr, data);
}

static void load(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t *reg)
{
	size_t data, expr = begin_expr(b, "payload", &data);
	nft_put_u32(b, NFTA_PAYLOAD_DREG, NFT_REG32_00 + *reg);
	nft_put_u32(b, NFTA_PAYLOAD_BASE, base);
	nft_put_u32(b, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_u32(b, NFTA_PAYLOAD_LEN, len);
	end_expr(b, expr, data);
	*reg += (len + 3) / 4;
}

static void give_verdict(struct nft_batch *b, uint32_t code)
{
	size_t data, expr = begin_expr(b, "immediate", &data);
	nft_put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t value = nft_nest(b, NFTA_IMMEDIATE_DATA);
	size_t verdict = nft_nest(b, NFTA_DATA_VERDICT);
	nft_put_u32(b, NFTA_VERDICT_CODE, code);
	nft_nest_end(b, verdict);
	nft_nest_end(b, value);
	end_expr(b, expr, data);
}

/* --- the table --- */

static size_t begin_rule(struct nft_batch *b, const char *table, const char *chain)
{
	nft_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nft_put_text(b, NFTA_RULE_TABLE, table);
	nft_put_text(b, NFTA_RULE_CHAIN, chain);
	return nft_nest(b, NFTA_RULE_EXPRESSIONS);
}

static void add_drop_rule(
	struct nft_batch *b, const char *table, const char *chain, const struct family *f)
{
	const uint8_t tcp = IPPROTO_TCP;
	uint32_t reg = 0;
	size_t rule = begin_rule(b, table, chain);
	expect(b, NFT_META_NFPROTO, &f->nfproto, 1);
	expect(b, NFT_META_L4PROTO, &tcp, 1);
	load(b, NFT_PAYLOAD_NETWORK_HEADER, f->source, f->address_len, &reg);
	load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, &reg);
	load(b, NFT_PAYLOAD_NETWORK_HEADER, f->dest, f->address_len, &reg);
	load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, &reg);
	size_t data, expr = begin_expr(b, "lookup", &data);
	nft_put_text(b, NFTA_LOOKUP_SET, f->set);
	nft_put_u32(b, NFTA_LOOKUP_SREG, NFT_REG32_00);
	nft_put_u32(b, NFTA_LOOKUP_SET_ID, f->set_id);
	end_expr(b, expr, data);
	give_verdict(b, NF_DROP);
	nft_nest_end(b, rule);
}

static void add_chain(struct nft_batch *b, const char *table, const char *name, uint32_t hook)
{
	const uint32_t mark = FERMATA_TCP_MARK;
	nft_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nft_put_text(b, NFTA_CHAIN_TABLE, table);
	nft_put_text(b, NFTA_CHAIN_NAME, name);
	size_t nest = nft_nest(b, NFTA_CHAIN_HOOK);
	nft_put_u32(b, NFTA_HOOK_HOOKNUM, hook);
	nft_put_u32(b, NFTA_HOOK_PRIORITY, 0);
	nft_nest_end(b, nest);
	nft_put_u32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	nft_put_text(b, NFTA_CHAIN_TYPE, "filter");
	size_t rule = begin_rule(b, table, name);
	expect(b, NFT_META_MARK, &mark, sizeof(mark));
	give_verdict(b, NF_ACCEPT);
	nft_nest_end(b, rule);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		add_drop_rule(b, table, name, &families[i]);
}

static void add_set(struct nft_batch *b, const char *table, const struct family *f)
{
	nft_message(b, NFT_MSG_NEWSET, NLM_F_CREATE);
	nft_put_text(b, NFTA_SET_TABLE, table);
	nft_put_text(b, NFTA_SET_NAME, f->set);
	nft_put_u32(b, NFTA_SET_ID, f->set_id);
	nft_put_u32(b, NFTA_SET_FLAGS, 0);
	nft_put_u32(b, NFTA_SET_KEY_TYPE,
		f->type << 18 | TYPE_SERVICE << 12 | f->type << 6 | TYPE_SERVICE);
	nft_put_u32(b, NFTA_SET_KEY_LEN, 2 * (f->address_len + 4));
}

/* --- its elements --- */

/* Address and port as they lie in registers; a v4-mapped address is one of IPv4. */
static const struct family *put_end(const struct sockaddr_storage *name, char *key)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)name;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
	const uint8_t *address = (const uint8_t *)&in->sin_addr;
	bool six = name->ss_family == AF_INET6;
	if (six)
		address = in6->sin6_addr.s6_addr;
	if (six && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		six = false;
		address += 12;
	}
	const struct family *f = &families[six];
	memcpy(key, address, f->address_len);
	memcpy(key + f->address_len, &in->sin_port, 2); /* at the same place in both */
	return f;
}

static const struct family *make_key(
	const struct sockaddr_storage *from, const struct sockaddr_storage *to, char *key)
{
	memset(key, 0, KEY_MAX);
	const struct family *f = put_end(from, key);
	put_end(to, key + f->address_len + 4);
	return f;
}

static size_t begin_elements(struct nft_batch *b, const char *table, const struct family *f)
{
	nft_message(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	nft_put_text(b, NFTA_SET_ELEM_LIST_TABLE, table);
	nft_put_text(b, NFTA_SET_ELEM_LIST_SET, f->set);
	nft_put_u32(b, NFTA_SET_ELEM_LIST_SET_ID, f->set_id);
	return nft_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_element(struct nft_batch *b, const struct family *f, const char *key)
{
	size_t element = nft_nest(b, NFTA_LIST_ELEM);
	size_t nest = nft_nest(b, NFTA_SET_ELEM_KEY);
	nft_put(b, NFTA_DATA_VALUE, key, 2 * (f->address_len + 4));
	nft_nest_end(b, nest);
	nft_nest_end(b, element);
}

static void add_elements(
	struct nft_batch *b, const char *table, const struct net_lock *l, const struct family *f)
{
	bool open = false;
	size_t list = 0;
	for (size_t i = 0; i < 2 * l->n; i++) {
		char key[KEY_MAX];
		const struct net_conn *c = &l->conns[i / 2];
		if (make_key(i % 2 ? &c->remote : &c->local, i % 2 ? &c->local : &c->remote, key) !=
			f)
			continue;
		if (open && nft_message_len(b) > ELEMENTS_MAX) {
			nft_nest_end(b, list);
			open = false;
		}
		if (!open)
			list = begin_elements(b, table, f);
		open = true;
		put_element(b, f, key);
	}
	if (open)
		nft_nest_end(b, list);
}

/* --- as a whole --- */

static int make(struct net_lock *l, int fd, uint32_t flags)
{
	char table[NAME_MAX_LEN];
	struct nft_batch b;
	table_name(l, table);
	nft_begin(&b);
	nft_message(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	nft_put_text(&b, NFTA_TABLE_NAME, table);
	nft_put_u32(&b, NFTA_TABLE_FLAGS, flags);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		add_set(&b, table, &families[i]);
	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++)
		add_chain(&b, table, chains[i].name, chains[i].hook);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		add_elements(&b, table, l, &families[i]);
	int r = nft_commit(&b, fd);
	nft_release(&b);
	return r;
}

static int exists(const struct net_lock *l, int fd)
{
	char table[NAME_MAX_LEN];
	table_name(l, table);
	return nft_find_table(fd, table);
}

int net_lock_probe(int method)
{
	if (method == NETLOCK_SKIP)
		return 0;
	_cleanup_close_ int fd = nft_open();
	struct net_lock none = {.run_id = "none"};
	int r = fd < 0 ? fd : exists(&none, fd);
	return r == -ENOENT ? 0 : r;
}

int net_lock_make(struct session *s, struct net_lock *l, bool temporary)
{
	if (l->method == NETLOCK_SKIP)
		return 0;
	_cleanup_close_ int fd = nft_open();
	int r = fd < 0 ? fd : make(l, fd, temporary ? NFT_TABLE_F_OWNER : 0);
	if (r < 0)
		return fail_remedy(s, r, "use --network-lock skip",
			"hold back the packets of %zu TCP connections by nf_tables", l->n);
	l->ours = true;
	if (temporary)
		l->owner = take_fd(&fd);
	return 0;
}

int net_lock_ensure(struct session *s, struct net_lock *l)
{
	if (l->method == NETLOCK_SKIP || !l->run_id)
		return 0;
	_cleanup_close_ int fd = nft_open();
	int r = fd < 0 ? fd : exists(l, fd);
	if (r == -EOPNOTSUPP || r == -EPROTONOSUPPORT || r == -EINVAL) {
		/* then there cannot be one of the dump either */
		log_warn(s, "this kernel has no nf_tables: packets of TCP connections that come "
			    "during the restore may end them");
		l->method = NETLOCK_SKIP;
		return 0;
	}
	return r >= 0 ? 0 : net_lock_make(s, l, /* temporary= */ true);
}

int net_lock_remove(struct net_lock *l)
{
	char table[NAME_MAX_LEN];
	struct nft_batch b;
	if (l->method == NETLOCK_SKIP || !l->run_id)
		return 0;
	_cleanup_close_ int fd = l->owner >= 0 ? take_fd(&l->owner) : nft_open();
	if (fd < 0)
		return fd;
	table_name(l, table);
	nft_begin(&b);
	nft_message(&b, NFT_MSG_DELTABLE, 0);
	nft_put_text(&b, NFTA_TABLE_NAME, table);
	int r = nft_commit(&b, fd);
	nft_release(&b);
	return r == -ENOENT ? 0 : r;
}
