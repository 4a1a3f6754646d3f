/*
 * /proc/PID/stat: one line, fields by position (proc(5); fs/proc/array.c do_task_stat()).
 *
 * comm is printed raw between parentheses and may itself hold ") " or a newline, so it ends at
 * the last ')'.  Fields 45-52 exist since Linux 3.5, far below our floor: a line without them is
 * an error.
 */
#include "kernel/proc_stat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/session.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

/* Field numbers of proc(5) that we keep. */
enum {
	FIELD_PPID = 4,
	FIELD_PGID = 5,
	FIELD_SID = 6,
	FIELD_TTY_NR = 7,
	FIELD_TTY_PGRP = 8,
	FIELD_FLAGS = 9,
	FIELD_NUM_THREADS = 20,
	FIELD_STARTTIME = 22,
	FIELD_RSS = 24,
	FIELD_START_CODE = 26,
	FIELD_END_CODE = 27,
	FIELD_START_STACK = 28,
	FIELD_EXIT_SIGNAL = 38,
	FIELD_START_DATA = 45,
	FIELD_END_DATA = 46,
	FIELD_START_BRK = 47,
	FIELD_ARG_START = 48,
	FIELD_ARG_END = 49,
	FIELD_ENV_START = 50,
	FIELD_ENV_END = 51,
	FIELD_EXIT_CODE = 52,
};

static bool scan_comm(struct scan *c, char comm[static PROC_COMM_MAX])
{
	if (!scan_literal(c, " ("))
		return false;
	const char *close = memrchr(c->p, ')', (size_t)(c->end - c->p));
	if (!close)
		return false;
	size_t len = (size_t)(close - c->p);
	if (len >= PROC_COMM_MAX)
		len = PROC_COMM_MAX - 1;
	memcpy(comm, c->p, len);
	comm[len] = '\0';
	c->p = close + 1;
	return true;
}

/* Fields 4 to 52, all numbers; negative ones wrap, and casts below bring them back. */
static bool scan_numbers(struct scan *c, uint64_t field[static FIELD_EXIT_CODE + 1])
{
	for (int i = FIELD_PPID; i <= FIELD_EXIT_CODE; i++) {
		if (!scan_char(c, ' '))
			return false;
		bool negative = scan_char(c, '-');
		if (!scan_u64(c, &field[i]))
			return false;
		if (negative)
			field[i] = 0 - field[i];
	}
	return true;
}

int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret)
{
	struct scan c = SCAN(text, len);
	uint64_t f[FIELD_EXIT_CODE + 1] = {0};
	memset(ret, 0, sizeof(*ret));
	if (!scan_int(&c, &ret->pid) || !scan_comm(&c, ret->comm) || !scan_char(&c, ' '))
		return -EINVAL;
	ret->state = scan_peek(&c);
	if (!scan_char(&c, ret->state) || !scan_numbers(&c, f))
		return -EINVAL;
	ret->ppid = (pid_t)f[FIELD_PPID];
	ret->pgid = (pid_t)f[FIELD_PGID];
	ret->sid = (pid_t)f[FIELD_SID];
	ret->tty_nr = (int)f[FIELD_TTY_NR];
	ret->tty_pgrp = (int)f[FIELD_TTY_PGRP];
	ret->flags = (uint32_t)f[FIELD_FLAGS];
	ret->num_threads = (int)f[FIELD_NUM_THREADS];
	ret->starttime = f[FIELD_STARTTIME];
	ret->rss = f[FIELD_RSS];
	ret->start_code = f[FIELD_START_CODE];
	ret->end_code = f[FIELD_END_CODE];
	ret->start_stack = f[FIELD_START_STACK];
	ret->exit_signal = (int)f[FIELD_EXIT_SIGNAL];
	ret->start_data = f[FIELD_START_DATA];
	ret->end_data = f[FIELD_END_DATA];
	ret->start_brk = f[FIELD_START_BRK];
	ret->arg_start = f[FIELD_ARG_START];
	ret->arg_end = f[FIELD_ARG_END];
	ret->env_start = f[FIELD_ENV_START];
	ret->env_end = f[FIELD_ENV_END];
	ret->exit_code = (int)f[FIELD_EXIT_CODE];
	return 0;
}

static int parse_buf(struct session *s, pid_t pid, const struct proc_buf *b, struct proc_stat *ret)
{
	if (!b->len) /* the task died between open and read */
		return -ESRCH;
	int err = proc_stat_parse(b->data, b->len, ret);
	return err ? proc_malformed(s, err, pid, "stat") : 0;
}

int proc_stat_read(struct session *s, pid_t pid, struct proc_stat *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, "stat", &b);
	return err ? err : parse_buf(s, pid, &b, ret);
}

int proc_stat_read_at(struct session *s, int procfd, pid_t pid, struct proc_stat *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	char path[PROC_PATH_MAX];
	snprintf(path, sizeof(path), "%d/stat", pid);
	int err = proc_read_at(s, procfd, path, &b);
	return err ? err : parse_buf(s, pid, &b, ret);
}
