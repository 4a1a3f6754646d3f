/*
 * The audit login uid: /proc/PID/loginuid (CONFIG_AUDIT), inherited, per thread in the kernel.
 *
 * Only the thread itself may write it, and only some policies let it change once it is set; an
 * unset one (UINT32_MAX) can be set without privilege.  Stubs start with the controller's, so
 * mostly nothing is to do.  The write is allowed to fail; the result is looked at from outside.
 *
 * What must hold: planned before RLIMIT_NOFILE may forbid the open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/options.h"
#include "kernel/proc_misc.h"
#include "kernel/procfs.h"
#include "task/aspect.h"
#include "task/core.h"

extern const struct aspect loginuid_aspect;

static int loginuid_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	TaskCoreEntry *tc = t->core->tc;
	uint32_t uid = UINT32_MAX;
	if (!tc)
		return 0;
	int r = 0;
	if (t->record)
		uid = (uint32_t)t->record->loginuid;
	else
		r = proc_loginuid(s, t->task->pid, &uid);
	if (r < 0 && r != -ENOENT)
		return fail(s, r, "pid %d: read loginuid", t->vtid);
	tc->has_loginuid = true;
	tc->loginuid = uid;
	return 0;
}

/* What stubs inherit from the controller; NULL if the kernel has none. */
static const uint32_t *inherited_uid(struct session *s, struct tree *tree)
{
	uint32_t own = UINT32_MAX;
	if (tree->no_loginuid)
		return NULL;
	if (!tree->own_loginuid && proc_loginuid(s, getpid(), &own) < 0) {
		tree->no_loginuid = true;
		return NULL;
	}
	if (!tree->own_loginuid)
		tree->own_loginuid = arena_memdup(&s->arena, &own, sizeof(own));
	return tree->own_loginuid;
}

static int loginuid_plan(struct session *s, struct thread *t, struct program *p)
{
	const TaskCoreEntry *tc = core_tc(t);
	const uint32_t *own = tc->has_loginuid ? inherited_uid(s, t->task->tree) : NULL;
	if (!own || *own == tc->loginuid)
		return 0;
	const char *text = arena_printf(&s->arena, "%u", tc->loginuid);
	int fd = program_may_fail(
		p, program_step(p, "open", "loginuid", SYS_openat, simm(AT_FDCWD),
			   in_str(p, "/proc/thread-self/loginuid"), imm(O_WRONLY | O_CLOEXEC)));
	program_may_fail(p, program_step(p, "set loginuid", text, SYS_write, result_of(fd),
				    in_str(p, text), imm(strlen(text))));
	program_may_fail(p, program_step(p, "close", "loginuid", SYS_close, result_of(fd)));
	return 0;
}

static int loginuid_finish(struct session *s, struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	uint32_t now = UINT32_MAX;
	if (!tc || !tc->has_loginuid || s->opt->explain)
		return 0;
	if (proc_loginuid(s, t->task->pid, &now) >= 0 && now != tc->loginuid)
		log_warn(s, "pid %d: loginuid stays %d instead of %d", t->vtid, (int)now,
			(int)tc->loginuid);
	return 0;
}

const struct aspect loginuid_aspect = {
	.name = "loginuid",
	.read = loginuid_read,
	.plan = loginuid_plan,
	.finish = loginuid_finish,
};
