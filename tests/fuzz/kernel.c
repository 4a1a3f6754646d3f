/*
 * What the kernel tells, in text or otherwise: the first line of the input names a parser, the rest
 * is for it.  A kernel does not lie, but /proc may be a mount of somebody else's.
 */
#include "fuzz.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/btf.h"
#include "kernel/fdinfo_epoll.h"
#include "kernel/fdinfo_fsnotify.h"
#include "kernel/fdinfo_timerfd.h"
#include "kernel/maps_stream.h"
#include "kernel/mountinfo.h"
#include "kernel/proc_limits.h"
#include "kernel/proc_locks.h"
#include "kernel/proc_maps.h"
#include "kernel/proc_misc.h"
#include "kernel/proc_stat.h"
#include "kernel/proc_status.h"
#include "kernel/proc_tasks.h"
#include "kernel/proc_timers.h"
#include "kernel/rtnetlink.h"
#include "kernel/sock_diag.h"
#include "kernel/uring.h"

static void maps(struct session *s, const char *text, size_t len)
{
	vma_info_vec whole = {0}, parts = {0};
	int err = proc_maps_parse(&s->arena, text, len, &whole);
	vec_for_each (&whole, v)
		MUST(v->start < v->end && v->name && strlen(v->name) <= len);
	_cleanup_close_ int fd = fuzz_file(text, len);
	char buffer[MAPS_CHUNK];
	struct maps_stream st = {.s = s, .fd = fd, .out = &parts, .text = buffer};
	int parts_err = maps_stream_parse(&st, SIZE_MAX);
	MUST(err || parts_err || whole.n == parts.n); /* long lines are only refused by and by */
}

static void status(struct session *s, const char *text, size_t len)
{
	struct proc_status st;
	if (proc_status_parse(&s->arena, text, len, &st) == 0)
		MUST(st.n_nspid >= 0 && st.n_nspid <= PROC_PIDNS_MAX);
}

static void stat_line(struct session *s, const char *text, size_t len)
{
	struct proc_stat st;
	(void)s;
	if (proc_stat_parse(text, len, &st) == 0)
		MUST(memchr(st.comm, '\0', sizeof(st.comm)));
}

static void limits(struct session *s, const char *text, size_t len)
{
	struct proc_limits l;
	(void)s;
	proc_limits_parse(text, len, &l);
}

static void locks(const struct proc_fdinfo *info)
{
	struct scan c = fdinfo_extra(info), value;
	struct lock_info lock;
	char buf[LOCK_TEXT];
	while (fdinfo_next(&c, "lock", &value))
		if (lock_parse(&value, &lock))
			MUST(memchr(lock_text(&lock, buf), '\0', LOCK_TEXT));
}

static void marks(const struct proc_fdinfo *info, const char *what)
{
	struct scan c = fdinfo_extra(info);
	struct fdinfo_mark mark;
	bool malformed;
	while (fdinfo_mark_next(&c, what, &mark, &malformed))
		;
}

static void fdinfo(struct session *s, const char *text, size_t len)
{
	struct proc_fdinfo info;
	struct fdinfo_epoll_target target;
	struct fdinfo_timerfd timer;
	struct uring_fdinfo ring;
	bool malformed;
	if (proc_fdinfo_parse(&s->arena, text, len, &info) < 0)
		return;
	struct scan c = fdinfo_extra(&info);
	while (fdinfo_epoll_next(&c, &target, &malformed))
		;
	if (fdinfo_timerfd_parse(&info, &timer))
		MUST(timer.value_nsec < 1000000000 && timer.interval_nsec < 1000000000);
	marks(&info, "inotify");
	marks(&info, "fanotify");
	locks(&info);
	uring_fdinfo_parse(&s->arena, info.extra, info.extra_len, &ring);
}

static void timers(struct session *s, const char *text, size_t len)
{
	proc_timer_vec all = {0};
	proc_timers_parse(&s->arena, text, len, &all);
}

static void mounts(struct session *s, const char *text, size_t len)
{
	mountinfo_vec all = {0};
	mountinfo_parse(&s->arena, text, len, &all);
	vec_for_each (&all, m)
		MUST(m->root && m->mountpoint && m->fstype && m->source && *m->sb_options);
}

static void children(struct session *s, const char *text, size_t len)
{
	pid_vec all = {0};
	proc_children_parse(&s->arena, text, len, &all);
	vec_for_each (&all, pid)
		MUST(*pid >= 0);
}

static void number(struct session *s, const char *text, size_t len)
{
	uint64_t value;
	int nice;
	(void)s;
	proc_number_parse(text, len, PROC_HEX, &value);
	proc_number_parse(text, len, PROC_DECIMAL, &value);
	proc_autogroup_parse(text, len, &nice);
}

static void btf(struct session *s, const char *data, size_t len)
{
	(void)s;
	const struct kernel_member members[] = {{"s", "m"}, {"s", "n"}};
	uint32_t offsets[2];
	struct btf_index *x = btf_index_make(data, len);
	if (x)
		btf_index_find(x, members, 2, offsets);
	btf_index_free(x);
	btf_find_function(data, len, "f");
	MUST(btf_find_member(data, len, "s", "m") >= -1);
	MUST(btf_find_pointer(data, len, "s", "m") >= -1);
}

/* Attributes of any number, as far as they go. */
static int take_socket(void *sum, const void *message, size_t len)
{
	const size_t head = sizeof(struct inet_diag_msg);
	for (unsigned type = 0; type < 32 && len >= head; type++) {
		size_t n;
		const uint8_t *at = sock_diag_attr(message, len, head, type, &n);
		for (size_t i = 0; at && i < n; i++)
			*(unsigned *)sum += at[i];
		*(unsigned *)sum += sock_diag_u32(message, len, head, type, 1);
	}
	return 0;
}

static int take_answer(void *sum, const struct nlmsghdr *h)
{
	return take_socket(sum, NLMSG_DATA(h), h->nlmsg_len - NLMSG_HDRLEN);
}

/* Messages are aligned where the kernel puts them. */
static void netlink(struct session *s, const char *data, size_t len)
{
	unsigned sum = 0;
	void *aligned = arena_memdup(&s->arena, data, len);
	sock_diag_parse(aligned, len, take_socket, &sum);
	rtnl_parse(aligned, len, take_answer, &sum);
}

static const struct {
	const char *name;
	void (*parse)(struct session *s, const char *text, size_t len);
} parsers[] = {
	{"maps", maps},
	{"status", status},
	{"stat", stat_line},
	{"limits", limits},
	{"fdinfo", fdinfo},
	{"timers", timers},
	{"mountinfo", mounts},
	{"children", children},
	{"number", number},
	{"btf", btf},
	{"netlink", netlink},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s;
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	if (!newline)
		return 0;
	size_t name_len = (size_t)(newline - data), len = size - name_len - 1;
	fuzz_session(&s);
	/* exactly as long, not followed by anything that is there */
	_cleanup_free_ char *text = malloc(len ? len : 1);
	MUST(text);
	memcpy(text, newline + 1, len);
	for (size_t i = 0; i < sizeof(parsers) / sizeof(*parsers); i++)
		if (strlen(parsers[i].name) == name_len && !memcmp(parsers[i].name, data, name_len))
			parsers[i].parse(&s, text, len);
	session_release(&s);
	return 0;
}
