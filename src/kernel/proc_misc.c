/*
 * One-value files of /proc/PID (proc(5); fs/proc/base.c tgid_base_stuff[]).
 *
 * Formats: personality "%08x\n"; oom_score_adj "%hd\n"; loginuid "%u" without newline;
 * coredump_filter "%08lx\n" (empty without an mm); timerslack_ns "%llu\n"; autogroup
 * "/autogroup-%ld nice %d\n" (empty when the scheduler feature is off).
 */
#include "kernel/proc_misc.h"

#include <errno.h>
#include <string.h>

#include "base/session.h"
#include "kernel/proc_stat.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

bool proc_number_parse(const char *text, size_t len, enum proc_base base, uint64_t *ret)
{
	struct scan c = SCAN(text, len);
	int64_t value = 0;
	bool good = base == PROC_HEX   ? scan_hex(&c, ret)
		: scan_peek(&c) == '-' ? scan_i64(&c, &value)
				       : scan_u64(&c, ret);
	if (value < 0)
		*ret = (uint64_t)value;
	scan_char(&c, '\n');
	return good && scan_done(&c);
}

bool proc_autogroup_parse(const char *text, size_t len, int *ret)
{
	struct scan c = SCAN(text, len);
	return scan_skip_to(&c, ' ') && scan_literal(&c, "nice ") && scan_int(&c, ret);
}

/* An empty file says that the task has no such thing any more: -ESRCH. */
static int read_number(
	struct session *s, pid_t pid, const char *name, enum proc_base base, uint64_t *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, name, &b);
	if (err)
		return err;
	if (!b.len)
		return -ESRCH;
	return proc_number_parse(b.data, b.len, base, ret) ? 0 : proc_malformed(s, -EINVAL, pid, name);
}

static int read_u32(struct session *s, pid_t pid, const char *name, enum proc_base base, uint32_t *ret)
{
	uint64_t value = 0;
	int err = read_number(s, pid, name, base, &value);
	if (!err)
		*ret = (uint32_t)value;
	return err;
}

int proc_personality(struct session *s, pid_t pid, uint32_t *ret)
{
	return read_u32(s, pid, "personality", PROC_HEX, ret);
}

int proc_oom_score_adj(struct session *s, pid_t pid, int *ret)
{
	uint64_t value = 0;
	int err = read_number(s, pid, "oom_score_adj", PROC_DECIMAL, &value);
	if (!err)
		*ret = (int)value;
	return err;
}

int proc_loginuid(struct session *s, pid_t pid, uint32_t *ret)
{
	return read_u32(s, pid, "loginuid", PROC_DECIMAL, ret);
}

int proc_coredump_filter(struct session *s, pid_t pid, uint32_t *ret)
{
	return read_u32(s, pid, "coredump_filter", PROC_HEX, ret);
}

int proc_timerslack_ns(struct session *s, pid_t pid, uint64_t *ret)
{
	return read_number(s, pid, "timerslack_ns", PROC_DECIMAL, ret);
}

int proc_autogroup_nice(struct session *s, pid_t pid, int *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, "autogroup", &b);
	if (err)
		return err;
	if (!b.len)
		return -ENOENT;
	return proc_autogroup_parse(b.data, b.len, ret) ? 0
						       : proc_malformed(s, -EINVAL, pid, "autogroup");
}

int proc_auxv(struct session *s, pid_t pid, uint64_t **ret_words, size_t *ret_n)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, "auxv", &b);
	if (err)
		return err;
	*ret_n = b.len / sizeof(uint64_t);
	*ret_words = arena_memdup(&s->arena, b.data, *ret_n * sizeof(uint64_t));
	return 0;
}

int proc_cgroup(struct session *s, pid_t pid, char **ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, "cgroup", &b);
	if (!err)
		*ret = arena_memdup(&s->arena, b.data, b.len + 1);
	return err;
}

int proc_exe(struct session *s, pid_t pid, char **ret)
{
	return proc_readlink_pid(s, pid, "exe", ret);
}

int proc_cwd(struct session *s, pid_t pid, char **ret)
{
	return proc_readlink_pid(s, pid, "cwd", ret);
}

int proc_root(struct session *s, pid_t pid, char **ret)
{
	return proc_readlink_pid(s, pid, "root", ret);
}
