/*
 * Resource limits: prlimit(2), 16 per process, shared by its threads.
 *
 * Read and set inside, where no capability is needed (from outside another uid's limits take
 * CAP_SYS_RESOURCE).  A stub starts with the controller's limits; only those that differ are set.
 * Raising a hard limit takes CAP_SYS_RESOURCE in the initial user namespace.  Without it the limit
 * stays where it is, with a warning: the reference ignores the error as well.
 *
 * What must hold: memory and descriptors are in place (a limit would refuse them later), and
 * signals are queued after, because RLIMIT_SIGPENDING counts them.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>

#include "kernel/proc_limits.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect rlimit_aspect;

static const char *const names[N_RLIMITS] = {
	"RLIMIT_CPU",
	"RLIMIT_FSIZE",
	"RLIMIT_DATA",
	"RLIMIT_STACK",
	"RLIMIT_CORE",
	"RLIMIT_RSS",
	"RLIMIT_NPROC",
	"RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK",
	"RLIMIT_AS",
	"RLIMIT_LOCKS",
	"RLIMIT_SIGPENDING",
	"RLIMIT_MSGQUEUE",
	"RLIMIT_NICE",
	"RLIMIT_RTPRIO",
	"RLIMIT_RTTIME",
};

static int rlimit_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	struct rlimit *read = *state = arena_array(&s->arena, struct rlimit, N_RLIMITS);
	for (int i = 0; i < N_RLIMITS; i++)
		program_step(p, "read resource limit", names[i], SYS_prlimit64, imm(0),
			imm((uint64_t)i), imm(0), out(p, &read[i], sizeof(read[i])));
	return 0;
}

static int rlimit_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)p;
	const struct rlimit *read = state;
	TaskRlimitsEntry *list = t->core->tc->rlimits = arena_new(&s->arena, TaskRlimitsEntry);
	task_rlimits_entry__init(list);
	list->n_rlimits = N_RLIMITS;
	list->rlimits = arena_array(&s->arena, RlimitEntry *, N_RLIMITS);
	for (int i = 0; i < N_RLIMITS; i++) {
		RlimitEntry *e = list->rlimits[i] = arena_new(&s->arena, RlimitEntry);
		rlimit_entry__init(e);
		e->cur = read[i].rlim_cur;
		e->max = read[i].rlim_max;
	}
	return 0;
}

static int rlimit_check(struct session *s, struct thread *t)
{
	const TaskRlimitsEntry *list = t->core->tc->rlimits;
	if (!list)
		return fail(s, EBADMSG, "pid %d: the image lacks the resource limits", t->vtid);
	if (list->n_rlimits > N_RLIMITS)
		return fail(s, EBADMSG, "pid %d: the image has %zu resource limits, not %d",
			t->vtid, list->n_rlimits, N_RLIMITS);
	return 0;
}

static bool may_raise(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	syscall(SYS_capget, &header, data);
	return data[0].effective & 1u << CAP_SYS_RESOURCE;
}

/* What stubs inherit from the controller. */
static int inherited_limits(struct session *s, struct tree *tree, const struct rlimit **ret)
{
	if (!tree->own_limits) {
		struct rlimit *own = arena_array(&s->arena, struct rlimit, N_RLIMITS);
		for (int i = 0; i < N_RLIMITS; i++)
			if (syscall(SYS_prlimit64, 0, i, NULL, &own[i]) < 0)
				return fail(s, errno, "read own %s", names[i]);
		tree->own_limits = own;
	}
	*ret = tree->own_limits;
	return 0;
}

static int rlimit_plan(struct session *s, struct thread *t, struct program *p)
{
	const TaskRlimitsEntry *list = t->core->tc->rlimits;
	const struct rlimit *inherited = NULL;
	int r = inherited_limits(s, t->task->tree, &inherited);
	if (!inherited)
		return r;
	for (size_t i = 0; i < list->n_rlimits; i++) {
		struct rlimit want = {
			.rlim_cur = list->rlimits[i]->cur, .rlim_max = list->rlimits[i]->max};
		struct rlimit own = inherited[i];
		if (want.rlim_max > own.rlim_max && !may_raise()) {
			log_warn(s,
				"pid %d: %s stays at %llu instead of %llu: raising it takes "
				"CAP_SYS_RESOURCE",
				t->vtid, names[i], (unsigned long long)own.rlim_max,
				(unsigned long long)want.rlim_max);
			want.rlim_max = own.rlim_max;
		}
		if (want.rlim_cur > want.rlim_max)
			want.rlim_cur = want.rlim_max;
		if (want.rlim_cur == own.rlim_cur && want.rlim_max == own.rlim_max)
			continue;
		program_step(p, "set resource limit", names[i], SYS_prlimit64, imm(0), imm(i),
			in_copy(p, &want, sizeof(want)), imm(0));
	}
	return 0;
}

const struct aspect rlimit_aspect = {
	.name = "resource limits",
	.leader_only = true,
	.collect = rlimit_collect,
	.store = rlimit_store,
	.check = rlimit_check,
	.plan = rlimit_plan,
};
