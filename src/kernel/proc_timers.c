/*
 * /proc/PID/timers: four lines per timer (proc(5); fs/proc/base.c show_timer()):
 *
 *	ID: 0
 *	signal: 34/0000000000abcdef
 *	notify: signal/tid.812
 *	ClockID: 1
 */
#include "kernel/proc_timers.h"

#include <errno.h>
#include <signal.h>

#include "base/session.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

static bool scan_notify(struct scan *c, struct proc_timer *t)
{
	if (scan_literal(c, "signal/"))
		t->notify = SIGEV_SIGNAL;
	else if (scan_literal(c, "none/"))
		t->notify = SIGEV_NONE;
	else if (scan_literal(c, "thread/"))
		t->notify = SIGEV_THREAD;
	else
		return false;
	if (scan_literal(c, "tid."))
		t->notify |= SIGEV_THREAD_ID;
	else if (!scan_literal(c, "pid."))
		return false;
	return scan_int(c, &t->notify_id);
}

static bool scan_timer(struct scan *c, struct proc_timer *t)
{
	if (!scan_literal(c, "ID: ") || !scan_int(c, &t->id) || !scan_char(c, '\n'))
		return false;
	if (!scan_literal(c, "signal: ") || !scan_int(c, &t->signo) || !scan_char(c, '/') ||
		!scan_hex(c, &t->sigev_value) || !scan_char(c, '\n'))
		return false;
	if (!scan_literal(c, "notify: ") || !scan_notify(c, t) || !scan_char(c, '\n'))
		return false;
	return scan_literal(c, "ClockID: ") && scan_int(c, &t->clock) && scan_char(c, '\n');
}

int proc_timers_parse(struct arena *a, const char *text, size_t len, proc_timer_vec *out)
{
	struct scan c = SCAN(text, len);
	while (!scan_done(&c)) {
		struct proc_timer t = {0};
		if (!scan_timer(&c, &t))
			return -EINVAL;
		*vec_push(a, out) = t;
	}
	return 0;
}

int proc_timers_read(struct session *s, pid_t pid, proc_timer_vec *out)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_pid(s, pid, "timers", &b);
	if (err)
		return err;
	err = proc_timers_parse(&s->arena, b.data, b.len, out);
	return err ? proc_malformed(s, err, pid, "timers") : 0;
}
