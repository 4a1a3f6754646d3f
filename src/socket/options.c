/*
 * Socket options of level SOL_SOCKET (socket(7)), of any family.
 *
 * Read by getsockopt() on the controller's copy, which never changes a socket but for SO_ERROR:
 * that one is not asked.  sk_opts_entry has a field for the usual ones, which are here; those it
 * lacks are in options_extra.c.  Set again after queues are filled.
 *
 * Buffer sizes: getsockopt() tells what the kernel uses, twice what setsockopt() was given, so half
 * is set, and only if it differs: a size grows by no number of restores.  Setting one also locks
 * it against autotuning, so SO_BUF_LOCK (Linux 5.14) comes after.
 *
 * tests/unit/test_socket_options.c lists all there are, and why some are not kept.
 */
#include "socket/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef SO_BUF_LOCK /* 5.14 */
#define SO_BUF_LOCK 72
#endif
/* --- the plain ones of sk_opts_entry: a number each, 0 in a new socket --- */

static const struct plain {
	int option;
	const char *name;
	size_t value, has; /* offsets in SkOptsEntry; of a uint32_t or protobuf_c_boolean */
	bool is_bool;
	bool only_set;	   /* no field when it is 0 */
	bool unix_netlink; /* others answer EOPNOTSUPP, or lie */
} plain[] = {
#define NUMBER(option, field) \
	option, #option, offsetof(SkOptsEntry, field), offsetof(SkOptsEntry, has_##field)
	{NUMBER(SO_REUSEADDR, reuseaddr), .is_bool = true},
	{NUMBER(SO_REUSEPORT, so_reuseport), .is_bool = true},
	{NUMBER(SO_PRIORITY, so_priority)},
	{NUMBER(SO_MARK, so_mark), .only_set = true},
	{NUMBER(SO_PASSCRED, so_passcred), .is_bool = true, .unix_netlink = true},
	{NUMBER(SO_PASSSEC, so_passsec), .is_bool = true, .unix_netlink = true},
	{NUMBER(SO_DONTROUTE, so_dontroute), .is_bool = true},
	{NUMBER(SO_NO_CHECK, so_no_check), .is_bool = true},
	{NUMBER(SO_BROADCAST, so_broadcast), .is_bool = true},
	{NUMBER(SO_OOBINLINE, so_oobinline)},
	{NUMBER(SO_KEEPALIVE, so_keepalive), .is_bool = true},
#undef NUMBER
};

int socket_int(int fd, int option, int absent)
{
	int value = 0;
	socklen_t len = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? absent : value;
}

int socket_family(const struct file_view *v)
{
	return v->family ? v->family : -1;
}

bool socket_passes_messages(const struct file_view *v)
{
	int family = socket_family(v);
	return family == AF_UNIX || family == AF_NETLINK;
}

/* --- dump --- */

static void read_plain(const struct file_view *v, SkOptsEntry *e)
{
	bool unix_netlink = socket_passes_messages(v);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		const struct plain *p = &plain[i];
		int value =
			p->unix_netlink && !unix_netlink ? -1 : socket_ask_int(v, p->option, -1);
		if ((p->unix_netlink && value < 0) || (p->only_set && value <= 0))
			continue;
		if (value < 0)
			value = 0;
		*(protobuf_c_boolean *)((char *)e + p->has) = true;
		if (p->is_bool)
			*(protobuf_c_boolean *)((char *)e + p->value) = value != 0;
		else
			*(uint32_t *)((char *)e + p->value) = (uint32_t)value;
	}
}

static void read_times(int fd, SkOptsEntry *e)
{
	struct timeval t = {0};
	socklen_t len = sizeof(t);
	if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, &len) == 0) {
		e->so_snd_tmo_sec = (uint64_t)t.tv_sec;
		e->so_snd_tmo_usec = (uint64_t)t.tv_usec;
	}
	len = sizeof(t);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, &len) == 0) {
		e->so_rcv_tmo_sec = (uint64_t)t.tv_sec;
		e->so_rcv_tmo_usec = (uint64_t)t.tv_usec;
	}
	struct linger linger = {0};
	len = sizeof(linger);
	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff) {
		e->has_so_linger = true;
		e->so_linger = (uint32_t)linger.l_linger;
	}
}

static void read_device(struct file_dump *d, const struct file_view *v, SkOptsEntry *e)
{
	char name[IF_NAMESIZE] = "";
	socklen_t len = sizeof(name);
	if (socket_ask(v, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 && len && name[0])
		e->so_bound_dev = arena_strdup(&d->s->arena, name);
}

/* Classic BPF only: of eBPF the kernel tells EACCES. Lengths are in instructions. */
static int read_filter(struct file_dump *d, const struct file_view *v, SkOptsEntry *e)
{
	socklen_t n = 0;
	if (getsockopt(v->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) < 0) {
		if (errno == EACCES)
			view_block(d, v, "detach the filter",
				"a socket with an eBPF filter, which cannot be read");
		return errno == EACCES || errno == EOPNOTSUPP || errno == ENOPROTOOPT
			       ? 0
			       : fail(d->s, errno, "pid %d %s: read its filter", v->from.task->vpid,
					 view_label(d, v));
	}
	if (!n)
		return 0;
	struct sock_filter *code = arena_array(&d->s->arena, struct sock_filter, n);
	if (getsockopt(v->fd, SOL_SOCKET, SO_GET_FILTER, code, &n) < 0)
		return fail(d->s, errno, "pid %d %s: read its filter", v->from.task->vpid,
			view_label(d, v));
	e->n_so_filter = n;
	e->so_filter = arena_array(&d->s->arena, uint64_t, n);
	for (unsigned i = 0; i < n; i++)
		e->so_filter[i] = (uint64_t)code[i].code << 48 | (uint64_t)code[i].jt << 40 |
				  (uint64_t)code[i].jf << 32 | code[i].k;
	return 0;
}

bool sk_option_is_kept(int option)
{
	static const int others[] = {SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE,
		SO_BUF_LOCK, SO_RCVLOWAT, SO_SNDTIMEO_OLD, SO_RCVTIMEO_OLD, SO_SNDTIMEO_NEW,
		SO_RCVTIMEO_NEW, SO_LINGER, SO_BINDTODEVICE, SO_ATTACH_FILTER};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (others[i] == option)
			return true;
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (plain[i].option == option)
			return true;
	return sk_extra_is_kept(option);
}

int sk_opts_dump(
	struct file_dump *d, const struct file_view *v, struct dumped_file *f, SkOptsEntry **ret)
{
	SkOptsEntry *e = *ret = arena_new(&d->s->arena, SkOptsEntry);
	sk_opts_entry__init(e);
	e->so_sndbuf = (uint32_t)socket_ask_int(v, SO_SNDBUF, 0);
	e->so_rcvbuf = (uint32_t)socket_ask_int(v, SO_RCVBUF, 0);
	int lock = socket_int(v->fd, SO_BUF_LOCK, -1);
	e->has_so_buf_lock = lock >= 0;
	e->so_buf_lock = lock >= 0 ? (uint32_t)lock : 0;
	e->has_so_rcvlowat = true;
	e->so_rcvlowat = (uint32_t)socket_int(v->fd, SO_RCVLOWAT, 1);
	read_plain(v, e);
	read_times(v->fd, e);
	read_device(d, v, e);
	sk_extras_dump(d, v, f);
	return read_filter(d, v, e);
}

/* --- restore --- */

int sk_opts_check(struct file_set *f, const struct open_file *o, const SkOptsEntry *e)
{
	if (!e || e->so_sndbuf > INT32_MAX || e->so_rcvbuf > INT32_MAX ||
		e->n_so_filter > BPF_MAXINSNS)
		return fail(f->s, EBADMSG, "%s: the socket options in its image are not sane",
			open_file_label(f, o));
	const char *dev = e->so_bound_dev;
	if (dev && dev[0] && !if_nametoindex(dev) && !tun_comes_as(f, dev, 0))
		return fail(f->s, ENODEV, "%s: the socket is bound to the interface %s",
			open_file_label(f, o), dev);
	return 0;
}

static int set(struct file_set *f, const struct open_file *o, int fd, int option, const char *name,
	const void *value, size_t len)
{
	if (setsockopt(fd, SOL_SOCKET, option, value, (socklen_t)len) == 0)
		return 0;
	return fail(f->s, errno, "%s: set %s of the socket", open_file_label(f, o), name);
}

static int set_int(struct file_set *f, const struct open_file *o, int fd, int option,
	const char *name, int value)
{
	return set(f, o, fd, option, name, &value, sizeof(value));
}

/* FORCE goes beyond the limits of sysctl, and needs CAP_NET_ADMIN. */
static int set_buffer(
	struct file_set *f, const struct open_file *o, int fd, bool receive, uint32_t want)
{
	int option = receive ? SO_RCVBUF : SO_SNDBUF, half = (int)(want / 2);
	if (!want || (uint32_t)socket_int(fd, option, 0) == want)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &half,
		    sizeof(half)) == 0)
		return 0;
	return set_int(f, o, fd, option, receive ? "SO_RCVBUF" : "SO_SNDBUF", half);
}

int sk_opts_buffers(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd)
{
	int r = set_buffer(f, o, fd, /* receive= */ false, e->so_sndbuf);
	if (r >= 0)
		r = set_buffer(f, o, fd, /* receive= */ true, e->so_rcvbuf);
	if (r >= 0 && e->has_so_buf_lock &&
		socket_int(fd, SO_BUF_LOCK, (int)e->so_buf_lock) != (int)e->so_buf_lock)
		r = set_int(f, o, fd, SO_BUF_LOCK, "SO_BUF_LOCK", (int)e->so_buf_lock);
	return r;
}

int sk_opts_widen(int fd)
{
	int most = INT32_MAX / 2;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof(most)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &most, sizeof(most)) < 0)
		return -errno;
	return 0;
}

static int set_plain(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd)
{
	int r = 0;
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain) && r >= 0; i++) {
		const struct plain *p = &plain[i];
		const char *at = (const char *)e;
		if (!*(const protobuf_c_boolean *)(at + p->has))
			continue;
		uint32_t value = p->is_bool
					 ? (uint32_t) * (const protobuf_c_boolean *)(at + p->value)
					 : *(const uint32_t *)(at + p->value);
		if (value || socket_int(fd, p->option, 0) > 0)
			r = set_int(f, o, fd, p->option, p->name, (int)value);
	}
	return r;
}

static int set_times(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd)
{
	struct timeval send = {(time_t)e->so_snd_tmo_sec, (suseconds_t)e->so_snd_tmo_usec};
	struct timeval receive = {(time_t)e->so_rcv_tmo_sec, (suseconds_t)e->so_rcv_tmo_usec};
	struct linger linger = {1, (int)e->so_linger};
	int r = 0;
	if (send.tv_sec || send.tv_usec)
		r = set(f, o, fd, SO_SNDTIMEO, "SO_SNDTIMEO", &send, sizeof(send));
	if (r >= 0 && (receive.tv_sec || receive.tv_usec))
		r = set(f, o, fd, SO_RCVTIMEO, "SO_RCVTIMEO", &receive, sizeof(receive));
	if (r >= 0 && e->has_so_linger)
		r = set(f, o, fd, SO_LINGER, "SO_LINGER", &linger, sizeof(linger));
	return r;
}

static int set_filter(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd)
{
	size_t n = e->n_so_filter;
	if (!n)
		return 0;
	struct sock_filter *code = arena_array(&f->s->arena, struct sock_filter, n);
	for (size_t i = 0; i < n; i++)
		code[i] = (struct sock_filter){.code = (uint16_t)(e->so_filter[i] >> 48),
			.jt = (uint8_t)(e->so_filter[i] >> 40),
			.jf = (uint8_t)(e->so_filter[i] >> 32),
			.k = (uint32_t)e->so_filter[i]};
	struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
	return set(f, o, fd, SO_ATTACH_FILTER, "the filter", &program, sizeof(program));
}

int sk_opts_restore(struct file_set *f, const struct open_file *o, const SkOptsEntry *e, int fd)
{
	const char *dev = e->so_bound_dev;
	int r = sk_opts_buffers(f, o, e, fd);
	if (r >= 0 && e->has_so_rcvlowat && socket_int(fd, SO_RCVLOWAT, 1) != (int)e->so_rcvlowat)
		r = set_int(f, o, fd, SO_RCVLOWAT, "SO_RCVLOWAT", (int)e->so_rcvlowat);
	if (r >= 0)
		r = set_plain(f, o, e, fd);
	if (r >= 0)
		r = set_times(f, o, e, fd);
	if (r >= 0 && dev && dev[0])
		r = set(f, o, fd, SO_BINDTODEVICE, "SO_BINDTODEVICE", dev, strlen(dev) + 1);
	if (r >= 0)
		r = set_filter(f, o, e, fd);
	return r < 0 ? r : sk_extras_restore(f, o, fd);
}

int sk_shutdown(struct file_set *f, const struct open_file *o, SkShutdown how, int fd)
{
	if (how == SK_SHUTDOWN__NONE || shutdown(fd, (int)how - 1) == 0)
		return 0;
	return fail(f->s, errno, "%s: shut the socket down", open_file_label(f, o));
}
