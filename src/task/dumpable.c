/*
 * Whether a process may dump core and be traced by its own user: prctl(2) PR_SET_DUMPABLE.
 *
 * A flag of the address space that the kernel sets to fs.suid_dumpable whenever a thread changes
 * its credentials, so every thread sets it again after its own.  The value 2 (core readable by
 * root only) cannot be set; it comes from that very change, so one of the group that files belong to
 * is made and undone where there is no other.  Where that is not allowed, 0 is the safe side.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/core.h"

extern const struct aspect dumpable_aspect;

enum { SOME_GID = 1 };
enum { NOT_DUMPABLE, USER_DUMPABLE, ROOT_DUMPABLE };

static int dumpable_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	if (!t->core->tc)
		return 0;
	int *step = *state = arena_new(&s->arena, int);
	*step = program_step(p, "read dumpable", NULL, SYS_prctl, imm(PR_GET_DUMPABLE));
	return 0;
}

static int dumpable_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	if (!state)
		return 0;
	MmEntry *mm = core_mm(s, t->task);
	mm->has_dumpable = true;
	mm->dumpable = (int32_t)program_result(p, *(const int *)state);
	return 0;
}

static int dumpable_check(struct session *s, struct thread *t)
{
	const MmEntry *mm = t->task->mm;
	if (mm && mm->has_dumpable && (mm->dumpable < NOT_DUMPABLE || mm->dumpable > ROOT_DUMPABLE))
		return fail(s, EBADMSG, "pid %d: dumpable is %d", t->task->vpid, mm->dumpable);
	return 0;
}

static int suid_dumpable(void)
{
	char digit = '0';
	_cleanup_close_ int fd = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &digit, 1) != 1)
		return NOT_DUMPABLE;
	return digit - '0';
}

/* The change of ids makes the kernel set fs.suid_dumpable (kernel/cred.c commit_creds()). */
static bool creds_change(const struct thread *t)
{
	const CredsEntry *e = t->core->thread_core->creds;
	return e && (e->euid != geteuid() || e->egid != getegid() || e->fsuid != geteuid() ||
			    e->fsgid != getegid());
}

/* setfsgid() says what was, not whether it was allowed. */
static void change_creds(const struct thread *t, struct program *p)
{
	const CredsEntry *e = t->core->thread_core->creds;
	uint32_t fsgid = e ? e->fsgid : getegid();
	program_step(p, "make dumpable by root", NULL, SYS_setfsgid, imm(fsgid ^ SOME_GID));
	program_step(p, "and the group again", NULL, SYS_setfsgid, imm(fsgid));
}

static int dumpable_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const MmEntry *mm = t->task->mm;
	if (!mm || !mm->has_dumpable)
		return 0;
	if (mm->dumpable == ROOT_DUMPABLE && creds_change(t) && suid_dumpable() == ROOT_DUMPABLE)
		return 0;
	program_step(p, "set dumpable", NULL, SYS_prctl, imm(PR_SET_DUMPABLE),
		imm(mm->dumpable == USER_DUMPABLE));
	if (mm->dumpable == ROOT_DUMPABLE && suid_dumpable() == ROOT_DUMPABLE)
		change_creds(t, p);
	return 0;
}

const struct aspect dumpable_aspect = {
	.name = "dumpable",
	.collect = dumpable_collect,
	.store = dumpable_store,
	.check = dumpable_check,
	.plan = dumpable_plan,
};
