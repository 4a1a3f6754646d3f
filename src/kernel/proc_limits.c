/*
 * /proc/PID/limits: a table of "%-25s %-20s %-20s %-10s" rows (fs/proc/base.c proc_pid_limits()).
 *
 * Rows come in RLIMIT order but are matched by name, since the set may grow.  Names hold blanks,
 * so each is matched whole.
 */
#include "kernel/proc_limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/session.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

static const char *const row_names[N_RLIMITS] = {
	[RLIMIT_CPU] = "Max cpu time ",
	[RLIMIT_FSIZE] = "Max file size ",
	[RLIMIT_DATA] = "Max data size ",
	[RLIMIT_STACK] = "Max stack size ",
	[RLIMIT_CORE] = "Max core file size ",
	[RLIMIT_RSS] = "Max resident set ",
	[RLIMIT_NPROC] = "Max processes ",
	[RLIMIT_NOFILE] = "Max open files ",
	[RLIMIT_MEMLOCK] = "Max locked memory ",
	[RLIMIT_AS] = "Max address space ",
	[RLIMIT_LOCKS] = "Max file locks ",
	[RLIMIT_SIGPENDING] = "Max pending signals ",
	[RLIMIT_MSGQUEUE] = "Max msgqueue size ",
	[RLIMIT_NICE] = "Max nice priority ",
	[RLIMIT_RTPRIO] = "Max realtime priority ",
	[RLIMIT_RTTIME] = "Max realtime timeout ",
};

static int find_row(struct scan *line, int hint)
{
	for (int i = 0; i < N_RLIMITS; i++) {
		int row = (hint + i) % N_RLIMITS;
		if (scan_text(line, row_names[row], strlen(row_names[row])))
			return row;
	}
	return -1;
}

static bool scan_limit(struct scan *line, uint64_t *ret)
{
	scan_blanks(line);
	if (scan_literal(line, "unlimited")) {
		*ret = UINT64_MAX;
		return true;
	}
	return scan_u64(line, ret);
}

int proc_limits_parse(const char *text, size_t len, struct proc_limits *ret)
{
	struct scan c = SCAN(text, len), line;
	unsigned seen = 0;
	int hint = 0;
	memset(ret, 0, sizeof(*ret));
	while (scan_line(&c, &line)) {
		int row = find_row(&line, hint);
		if (row < 0) /* the heading, or a limit of a newer kernel */
			continue;
		if (!scan_limit(&line, &ret->limit[row].cur) ||
			!scan_limit(&line, &ret->limit[row].max))
			return -EINVAL;
		seen |= 1U << row;
		hint = row + 1;
	}
	return seen == (1U << N_RLIMITS) - 1 ? 0 : -EINVAL;
}

int proc_limits_read(struct session *s, pid_t pid, struct proc_limits *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, "limits", &b);
	if (err)
		return err;
	if (!b.len)
		return -ESRCH;
	err = proc_limits_parse(b.data, b.len, ret);
	return err ? proc_malformed(s, err, pid, "limits") : 0;
}
