/*
 * What the list of sock_diag tells of options, which then need not be asked for one by one.
 *
 * Attributes are the words that getsockopt(2) copies (net/ipv4/inet_diag.c): no value is derived.
 * What this kernel does not tell is asked for.  An entry of the list is a socket's by its inode
 * and its cookie: that of a part of an MPTCP connection has the inode of the whole.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <linux/in6.h> /* after that */
#include <string.h>
#include <sys/socket.h>

#include "kernel/sock_diag.h"
#include "socket/inet.h"

#ifndef IP_RECVERR_RFC4884 /* 5.9 */
#define IP_RECVERR_RFC4884 26
#endif

enum { PACING_AT = offsetof(struct tcp_info, tcpi_max_pacing_rate) };

int inet_is_listed(struct file_dump *d, const struct file_view *v, const struct inet_listed *l)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	if (!l || !l->cookie)
		return 0;
	if (getsockopt(v->fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return fail(d->s, errno, "pid %d %s: read its cookie", v->from.task->vpid,
			view_label(d, v));
	return cookie == l->cookie;
}

/* --- what attributes say --- */

static void add(struct inet_listed *l, enum inet_told which, uint32_t value)
{
	l->known |= 1u << which;
	l->number[which] = value;
}

static void add_bits(struct inet_listed *l, const struct inet_diag_sockopt *bits)
{
	add(l, TOLD_RECVERR, bits->recverr);
	add(l, TOLD_FREEBIND, bits->freebind);
	add(l, TOLD_TRANSPARENT, bits->transparent);
	add(l, TOLD_BIND_NO_PORT, bits->bind_address_no_port);
	add(l, TOLD_RECVERR_RFC4884, bits->recverr_rfc4884);
}

static uint32_t number_at(const struct sock_diag_item *item, size_t index)
{
	uint32_t number;
	memcpy(&number, (const char *)item->value + index * sizeof(number), sizeof(number));
	return number;
}

void inet_told_add(struct inet_listed *l, const struct sock_diag_item *item)
{
	struct inet_diag_sockopt bits;
	size_t len = item->len;
	if (item->type == INET_DIAG_TOS && len == 1)
		add(l, TOLD_TOS, *(const uint8_t *)item->value);
	else if (item->type == INET_DIAG_TCLASS && len == 1)
		add(l, TOLD_TCLASS, *(const uint8_t *)item->value);
	else if (item->type == INET_DIAG_MARK && len == 4)
		add(l, TOLD_MARK, number_at(item, 0));
	else if (item->type == INET_DIAG_SKMEMINFO && len >= (SK_MEMINFO_SNDBUF + 1) * 4) {
		add(l, TOLD_RCVBUF, number_at(item, SK_MEMINFO_RCVBUF));
		add(l, TOLD_SNDBUF, number_at(item, SK_MEMINFO_SNDBUF));
	} else if (item->type == INET_DIAG_SOCKOPT && len >= sizeof(bits)) {
		memcpy(&bits, item->value, sizeof(bits));
		add_bits(l, &bits);
	} else if (item->type == INET_DIAG_CONG && len <= sizeof(l->congestion))
		memcpy(l->congestion, item->value, len);
	else if (item->type == INET_DIAG_INFO && len >= PACING_AT + sizeof(l->max_pacing_rate)) {
		l->has_info = true;
		memcpy(&l->max_pacing_rate, (const char *)item->value + PACING_AT,
			sizeof(l->max_pacing_rate));
	}
}

/* --- instead of getsockopt(2) --- */

#define OPTION(level, option) ((uint32_t)(level) << 16 | (uint32_t)(option))

static int number_of(uint32_t option)
{
	switch (option) {
	case OPTION(SOL_SOCKET, SO_SNDBUF):
		return TOLD_SNDBUF;
	case OPTION(SOL_SOCKET, SO_RCVBUF):
		return TOLD_RCVBUF;
	case OPTION(SOL_SOCKET, SO_MARK):
		return TOLD_MARK;
	case OPTION(IPPROTO_IP, IP_TOS):
		return TOLD_TOS;
	case OPTION(IPPROTO_IPV6, IPV6_TCLASS):
		return TOLD_TCLASS;
	case OPTION(IPPROTO_IP, IP_RECVERR):
		return TOLD_RECVERR;
	case OPTION(IPPROTO_IP, IP_FREEBIND):
	case OPTION(IPPROTO_IPV6, IPV6_FREEBIND):
		return TOLD_FREEBIND;
	case OPTION(IPPROTO_IP, IP_TRANSPARENT):
	case OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT):
		return TOLD_TRANSPARENT;
	case OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT):
		return TOLD_BIND_NO_PORT;
	case OPTION(IPPROTO_IP, IP_RECVERR_RFC4884):
		return TOLD_RECVERR_RFC4884;
	default:
		return -1;
	}
}

static bool give(void *ret, socklen_t *len, const void *value, socklen_t value_len)
{
	if (*len < value_len)
		return false;
	memcpy(ret, value, value_len);
	*len = value_len;
	return true;
}

static bool is_told(const struct inet_listed *l, int level, int option, void *ret, socklen_t *len)
{
	uint32_t key = OPTION(level, option);
	int which = number_of(key);
	if (which >= 0)
		return l->known >> which & 1 && give(ret, len, &l->number[which], 4);
	if (key == OPTION(SOL_SOCKET, SO_BINDTODEVICE))
		return !l->interface && give(ret, len, "", 0);
	if (key == OPTION(SOL_SOCKET, SO_MAX_PACING_RATE))
		return l->has_info && give(ret, len, &l->max_pacing_rate, 8);
	return key == OPTION(IPPROTO_TCP, TCP_CONGESTION) && l->congestion[0] &&
	       give(ret, len, l->congestion, sizeof(l->congestion));
}

int socket_ask(const struct file_view *v, int level, int option, void *ret, socklen_t *len)
{
	if (v->listed && is_told(v->listed, level, option, ret, len))
		return 0;
	return getsockopt(v->fd, level, option, ret, len);
}

int socket_ask_int(const struct file_view *v, int option, int absent)
{
	int value = 0;
	socklen_t len = sizeof(value);
	return socket_ask(v, SOL_SOCKET, option, &value, &len) < 0 ? absent : value;
}
