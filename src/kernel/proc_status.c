/*
 * /proc/PID/status: "Name:\tvalue" lines (proc(5); fs/proc/array.c proc_pid_status()).
 *
 * Name escapes newlines, so lines are lines.  The table below follows the order of the kernel,
 * which lets the search go on where the last hit was; any other order works too, only slower.
 * Kthread came with 6.8, Seccomp_filters with 5.9, NSpid with 4.1.
 */
#include "kernel/proc_status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/session.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

enum kind { STATE, OCTAL, NUMBER, IDS, HEX, GROUPS, NSPID, FEATURES };

#define FIELD(text, how, member)                                                  \
	{                                                                         \
		text ":", sizeof(text), how, offsetof(struct proc_status, member) \
	}

static const struct field {
	const char *name;
	size_t len;
	enum kind kind;
	size_t offset;
} fields[] = {
	FIELD("Umask", OCTAL, umask),
	FIELD("State", STATE, state),
	FIELD("Tgid", NUMBER, tgid),
	FIELD("Pid", NUMBER, pid),
	FIELD("PPid", NUMBER, ppid),
	FIELD("TracerPid", NUMBER, tracer),
	FIELD("Uid", IDS, uid),
	FIELD("Gid", IDS, gid),
	FIELD("FDSize", NUMBER, fd_size),
	FIELD("Groups", GROUPS, groups),
	FIELD("NSpid", NSPID, nspid),
	FIELD("Kthread", NUMBER, kthread),
	FIELD("Threads", NUMBER, threads),
	FIELD("SigPnd", HEX, sig_pnd),
	FIELD("ShdPnd", HEX, shd_pnd),
	FIELD("SigBlk", HEX, sig_blk),
	FIELD("SigIgn", HEX, sig_ign),
	FIELD("SigCgt", HEX, sig_cgt),
	FIELD("CapInh", HEX, cap_inh),
	FIELD("CapPrm", HEX, cap_prm),
	FIELD("CapEff", HEX, cap_eff),
	FIELD("CapBnd", HEX, cap_bnd),
	FIELD("CapAmb", HEX, cap_amb),
	FIELD("NoNewPrivs", NUMBER, no_new_privs),
	FIELD("Seccomp", NUMBER, seccomp),
	FIELD("Seccomp_filters", NUMBER, seccomp_filters),
	FIELD("x86_Thread_features", FEATURES, shadow_stack),
};

enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

static const struct field *find_field(struct scan *line, size_t *hint)
{
	const char first = scan_peek(line);
	for (size_t i = 0; i < N_FIELDS; i++) {
		size_t k = *hint + i < N_FIELDS ? *hint + i : *hint + i - N_FIELDS;
		if (*fields[k].name == first && scan_text(line, fields[k].name, fields[k].len)) {
			*hint = k + 1 < N_FIELDS ? k + 1 : 0;
			return &fields[k];
		}
	}
	return NULL;
}

static bool scan_groups(struct arena *a, struct scan *line, struct proc_status *ret)
{
	for (scan_blanks(line); !scan_done(line); scan_blanks(line)) {
		uint32_t gid;
		if (!scan_u32(line, &gid))
			return false;
		*vec_push(a, &ret->groups) = gid;
	}
	return true;
}

static bool scan_nspid(struct scan *line, struct proc_status *ret)
{
	for (scan_blanks(line); !scan_done(line); scan_blanks(line)) {
		if (ret->n_nspid >= PROC_PIDNS_MAX || !scan_int(line, &ret->nspid[ret->n_nspid]))
			return false;
		ret->n_nspid++;
	}
	return ret->n_nspid > 0;
}

static bool scan_ids(struct scan *line, uint32_t ids[static 4])
{
	for (int i = 0; i < 4; i++) {
		scan_blanks(line);
		if (!scan_u32(line, &ids[i]))
			return false;
	}
	return true;
}

static bool scan_mode(struct scan *line, int *ret)
{
	uint64_t mode;
	if (!scan_octal(line, &mode) || mode > 07777)
		return false;
	*ret = (int)mode;
	return true;
}

static bool scan_value(
	struct arena *a, struct scan *line, const struct field *f, struct proc_status *ret)
{
	void *at = (char *)ret + f->offset;
	scan_blanks(line);
	switch (f->kind) {
	case STATE:
		ret->state = scan_peek(line);
		return ret->state != '\0';
	case OCTAL:
		return scan_mode(line, at);
	case NUMBER:
		return scan_int(line, at);
	case IDS:
		return scan_ids(line, at);
	case HEX:
		return scan_hex(line, at);
	case GROUPS:
		return scan_groups(a, line, ret);
	case NSPID:
		return scan_nspid(line, ret);
	case FEATURES:
		ret->tells_features = true;
		ret->shadow_stack = memmem(line->p, (size_t)(line->end - line->p), "shstk", 5);
		return true;
	}
	return false;
}

int proc_status_parse(struct arena *a, const char *text, size_t len, struct proc_status *ret)
{
	struct scan c = SCAN(text, len), line;
	size_t hint = 0;
	*ret = (struct proc_status){
		.umask = -1, .kthread = -1, .seccomp_filters = -1, .pid = -1, .ppid = -1};
	while (scan_line(&c, &line)) {
		const struct field *f = find_field(&line, &hint);
		if (f && !scan_value(a, &line, f, ret))
			return -EINVAL;
	}
	return ret->state && ret->pid >= 0 && ret->ppid >= 0 ? 0 : -EINVAL;
}

static int read_name(struct session *s, pid_t pid, const char *name, struct proc_status *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_record(s, pid, name, &b);
	if (err)
		return err;
	if (!b.len)
		return -ESRCH;
	err = proc_status_parse(&s->arena, b.data, b.len, ret);
	return err ? proc_malformed(s, err, pid, name) : 0;
}

int proc_status_read(struct session *s, pid_t pid, struct proc_status *ret)
{
	return read_name(s, pid, "status", ret);
}

int proc_status_read_tid(struct session *s, pid_t pid, pid_t tid, struct proc_status *ret)
{
	char name[PROC_PATH_MAX / 2];
	snprintf(name, sizeof(name), "task/%d/status", tid);
	return read_name(s, pid, name, ret);
}
