/*
 * Timers read from a descriptor: timerfd_create(2).
 *
 * fdinfo tells the time left (of absolute timers, too), the interval and the expirations not yet
 * read.  A periodic timer that has expired is only started again, and its expirations counted,
 * when somebody looks at it: timerfd_gettime() on our copy does that, and no reader can tell.
 * At restore timers are armed last of all, with what was left; then the unread expirations are put
 * back (TFD_IOC_SET_TICKS).  An absolute timer of the wall clock keeps its moment, which
 * fermata-files.img has; without it, what was left counts, as for the other clocks, whose zero
 * is the machine's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/file_extras.h"
#include "file/restoring.h"
#include "kernel/fdinfo_timerfd.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

enum { LOOKS = 8 };
#define SECOND_NS UINT64_C(1000000000)

static bool timerfd_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[timerfd]") == 0;
}

static bool is_wall_clock(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

static bool is_known_clock(int clock)
{
	return is_wall_clock(clock) || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
	       clock == CLOCK_BOOTTIME_ALARM;
}

/* The clocks that wake the machine show the same time, but only where it has an RTC. */
static uint64_t now_ns(int clock)
{
	struct timespec now;
	clock_gettime(is_wall_clock(clock)	      ? CLOCK_REALTIME
		      : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
						      : clock,
		&now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t interval_ns(const TimerfdEntry *e)
{
	return e->isec * SECOND_NS + e->insec;
}

static uint64_t value_ns(const TimerfdEntry *e)
{
	return e->vsec * SECOND_NS + e->vnsec;
}

/* --- dump --- */

static int look(struct file_dump *d, struct file_view *v, TimerfdEntry *e)
{
	struct proc_fdinfo info;
	struct fdinfo_timerfd t;
	struct itimerspec unused;
	if (timerfd_gettime(v->fd, &unused) < 0)
		return fail(d->s, errno, "pid %d %s: read a timer", v->from.task->vpid,
			view_label(d, v));
	int r = view_fdinfo_now(d, v, &info);
	if (r < 0)
		return r;
	if (!fdinfo_timerfd_parse(&info, &t))
		return view_malformed(d, v);
	e->clockid = (uint32_t)t.clock;
	e->ticks = t.ticks;
	e->settime_flags = t.settime_flags;
	e->vsec = t.value_sec;
	e->vnsec = t.value_nsec;
	e->isec = t.interval_sec;
	e->insec = t.interval_nsec;
	return 0;
}

/* A periodic timer that expired between gettime() and fdinfo has no time left: look again. */
static int look_closely(struct file_dump *d, struct file_view *v, TimerfdEntry *e)
{
	int r = look(d, v, e);
	for (int i = 1; i < LOOKS && r >= 0 && e->ticks && interval_ns(e) && !value_ns(e); i++)
		r = look(d, v, e);
	if (r >= 0 && e->ticks && interval_ns(e) && !value_ns(e)) {
		e->vsec = e->isec;
		e->vnsec = e->insec;
	}
	return r;
}

static int timerfd_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	TimerfdEntry *e = arena_new(&d->s->arena, TimerfdEntry);
	f->detail = e;
	timerfd_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = look_closely(d, v, e);
	if (r < 0)
		return r;
	bool absolute = e->settime_flags & TFD_TIMER_ABSTIME && is_wall_clock((int)e->clockid);
	if (!is_known_clock((int)e->clockid)) {
		view_block(d, v, NULL, "a timerfd of the unknown clock %u", e->clockid);
	} else if (e->ticks && value_ns(e) && !interval_ns(e)) {
		if (absolute && e->settime_flags & TFD_TIMER_CANCEL_ON_SET)
			view_block(d, v, "dump again when the program has noticed",
				"a timerfd that a change of the clock has just cancelled");
		e->vsec = e->vnsec = 0; /* expired between the two lines of fdinfo */
	}
	if (absolute && value_ns(e)) {
		FermataFileEntry *extra = file_extra_make(d, f);
		extra->has_wall_clock_ns = true;
		extra->wall_clock_ns = now_ns(CLOCK_REALTIME) + value_ns(e);
	}
	return fown_dump(d, v, &e->fown);
}

/* --- restore --- */

static int timerfd_check(struct file_set *f, struct open_file *o)
{
	const TimerfdEntry *e = o->e->tfd;
	o->flags = e->flags;
	o->fown = e->fown;
	bool sane = is_known_clock((int)e->clockid) && e->vnsec < SECOND_NS &&
		    e->insec < SECOND_NS && e->vsec <= INT64_MAX / SECOND_NS &&
		    e->isec <= INT64_MAX / SECOND_NS &&
		    !(e->settime_flags & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET));
	return sane ? 0
		    : fail(f->s, EBADMSG, "%s: the timer in its image is not sane",
			      open_file_label(f, o));
}

static int timerfd_create_file(struct file_set *f, struct open_file *o, int *ret_fd)
{
	*ret_fd = timerfd_create((int)o->e->tfd->clockid, TFD_CLOEXEC);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: make a timer of clock %u",
				     open_file_label(f, o), o->e->tfd->clockid)
			   : 0;
}

static int timerfd_finish(struct file_set *f, struct open_file *o, int fd)
{
	const TimerfdEntry *e = o->e->tfd;
	uint64_t value = value_ns(e), now = now_ns((int)e->clockid), ticks = e->ticks;
	if (value && e->settime_flags & TFD_TIMER_ABSTIME) {
		value = file_extra_or(o, wall_clock_ns, now + value);
		ticks += ticks && value <= now; /* that expiration will be overwritten */
	}
	struct itimerspec setting = {
		.it_value = {(time_t)(value / SECOND_NS), (long)(value % SECOND_NS)},
		.it_interval = {(time_t)e->isec, (long)e->insec},
	};
	if (timerfd_settime(fd, (int)e->settime_flags, &setting, NULL) < 0)
		return fail(f->s, errno, "%s: arm the timer", open_file_label(f, o));
	if (ticks && ioctl(fd, TFD_IOC_SET_TICKS, &ticks) < 0)
		return fail(f->s, errno, "%s: set %ju unread expirations of a timer",
			open_file_label(f, o), (uintmax_t)ticks);
	return 0;
}

const struct file_type timerfd_type = {
	.type = FD_TYPES__TIMERFD,
	.name = "timerfd",
	.restored = "all clocks, remaining time, ticks that were not read",
	.limits = "a change of the clock that the program has not noticed yet",
	.detail = offsetof(FileEntry, tfd),
	.recognize = timerfd_recognize,
	.collect = timerfd_collect,
	.check = timerfd_check,
	.create = timerfd_create_file,
	.finish = timerfd_finish,
};
