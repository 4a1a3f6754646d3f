/*
 * What sockets have beyond the fields of sk_opts_entry: options of level SOL_SOCKET that differ
 * from a new socket's, and the owner.  They go to fermata-files.img, as do options of other levels
 * that families keep by sk_option_keep(), and are set again after all others.
 */
#include "socket/socket.h"

#include <errno.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_RCVMARK /* 5.19 */
#define SO_RCVMARK 75
#endif
#ifndef SO_PASSPIDFD /* 6.5 */
#define SO_PASSPIDFD 76
#endif
#ifndef SO_RCVPRIORITY /* 6.14 */
#define SO_RCVPRIORITY 82
#define SO_PASSRIGHTS  83 /* 6.16 */
#define SO_INQ	       84 /* 6.17 */
#endif

static const struct extra {
	int option;
	const char *name;
	uint8_t len;
	uint64_t usual; /* in a new socket */
	bool unix_netlink;
	bool as_before;		 /* usual if the row before is, of which it tells another view */
	uint32_t counting;	 /* bits that start a counter */
	const char *what, *stop; /* the counter, for messages */
} extras[] = {
	{SO_DEBUG, "SO_DEBUG", 4, 0}, {SO_TIMESTAMP_OLD, "SO_TIMESTAMP", 4, 0},
	{SO_TIMESTAMP_NEW, "SO_TIMESTAMP_NEW", 4, 0}, {SO_TIMESTAMPNS_OLD, "SO_TIMESTAMPNS", 4, 0},
	{SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS_NEW", 4, 0},
	/* the old one is told also when the new one was set: it comes first */
	{SO_TIMESTAMPING_OLD, "SO_TIMESTAMPING", 8, 0, .counting = SOF_TIMESTAMPING_OPT_ID,
		.what = "for timestamps (SOF_TIMESTAMPING_OPT_ID)",
		.stop = "have it turn that off"},
	{SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING_NEW", 8, 0, .as_before = true},
	{SO_RXQ_OVFL, "SO_RXQ_OVFL", 4, 0}, {SO_WIFI_STATUS, "SO_WIFI_STATUS", 4, 0},
	{SO_NOFCS, "SO_NOFCS", 4, 0}, {SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE", 4, 0},
	{SO_BUSY_POLL, "SO_BUSY_POLL", 4, 0}, {SO_PREFER_BUSY_POLL, "SO_PREFER_BUSY_POLL", 4, 0},
	{SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", 8, UINT64_MAX},
	{SO_ZEROCOPY, "SO_ZEROCOPY", 4, 0, .counting = UINT32_MAX,
		.what = "without copying (SO_ZEROCOPY)", .stop = "have it turn SO_ZEROCOPY off"},
	{SO_TXTIME, "SO_TXTIME", 8, 0}, {SO_RCVMARK, "SO_RCVMARK", 4, 0},
	{SO_RCVPRIORITY, "SO_RCVPRIORITY", 4, 0},
	{SO_PASSPIDFD, "SO_PASSPIDFD", 4, 0, .unix_netlink = true},
	{SO_PASSRIGHTS, "SO_PASSRIGHTS", 4, 1, .unix_netlink = true},
	{SO_INQ, "SO_INQ", 4, 0, .unix_netlink = true}, {SO_PEEK_OFF, "SO_PEEK_OFF", 4, UINT32_MAX},
	{SO_LOCK_FILTER, "SO_LOCK_FILTER", 4, 0}, /* after the filter */
};

bool sk_extra_is_kept(int option)
{
	for (size_t i = 0; i < sizeof(extras) / sizeof(*extras); i++)
		if (extras[i].option == option)
			return true;
	return false;
}

/* --- dump --- */

void sk_option_keep(struct file_dump *d, struct dumped_file *f, int level, int option,
	const void *value, size_t len)
{
	FermataFileEntry *extra = file_extra_make(d, f);
	FermataSocketOption *o = arena_new(&d->s->arena, FermataSocketOption);
	fermata_socket_option__init(o);
	o->level = (uint32_t)level;
	o->option = (uint32_t)option;
	o->value.data = arena_memdup(&d->s->arena, value, len);
	o->value.len = len;
	size_t n = extra->n_socket_options;
	FermataSocketOption **all = arena_array(&d->s->arena, FermataSocketOption *, n + 1);
	if (n)
		memcpy(all, extra->socket_options, n * sizeof(*all));
	all[n] = o;
	extra->socket_options = all;
	extra->n_socket_options = n + 1;
}

/*
 * Some options start a counter, which numbers what is sent from then on and is told only with the
 * next of it.
 */
static void block_counter(struct file_dump *d, const struct file_view *v, const struct extra *x,
	const uint64_t *value)
{
	uint32_t flags;
	memcpy(&flags, value, sizeof(flags));
	if (flags & x->counting)
		view_block(d, v, x->stop,
			"a socket that numbers what it sends %s; the kernel does not tell at which "
			"number it is",
			x->what);
}

static void read_extras(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	bool unix_netlink = socket_passes_messages(v), same = false;
	for (size_t i = 0; i < sizeof(extras) / sizeof(*extras); i++) {
		const struct extra *x = &extras[i];
		uint64_t value = 0, usual = x->len == 8 ? x->usual : (uint32_t)x->usual;
		socklen_t len = x->len;
		if ((x->unix_netlink && !unix_netlink) || (x->as_before && same))
			continue;
		bool is_told = socket_ask(v, SOL_SOCKET, x->option, &value, &len) == 0;
		same = is_told && value == usual;
		if (is_told && len == x->len && !same)
			sk_option_keep(d, f, SOL_SOCKET, x->option, &value, len);
		block_counter(d, v, x, &value);
	}
}

void sk_extras_dump(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	read_extras(d, v, f);
	/* whoever made it: shown by fstat(2), and compared when ports are shared */
	file_extra_keep_owner(d, v, f, 0777);
}

/* --- restore --- */

static const char *extra_name(struct file_set *f, const FermataSocketOption *x)
{
	for (size_t i = 0; i < sizeof(extras) / sizeof(*extras); i++)
		if (x->level == SOL_SOCKET && (uint32_t)extras[i].option == x->option)
			return extras[i].name;
	return arena_printf(&f->s->arena, "option %u of level %u", x->option, x->level);
}

static int set_extras(struct file_set *f, const struct open_file *o, int fd)
{
	for (size_t i = 0; o->extra && i < o->extra->n_socket_options; i++) {
		const FermataSocketOption *x = o->extra->socket_options[i];
		if (setsockopt(fd, (int)x->level, (int)x->option, x->value.data,
			    (socklen_t)x->value.len) < 0)
			return fail(f->s, errno, "%s: set %s of the socket", open_file_label(f, o),
				extra_name(f, x));
	}
	return 0;
}

int sk_extras_restore(struct file_set *f, const struct open_file *o, int fd)
{
	int r = file_extra_give_owner(f, o, fd);
	return r < 0 ? r : set_extras(f, o, fd);
}
