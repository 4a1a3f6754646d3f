/*
 * Cgroups are not dumped yet: a restored tree is in that of who restores it.  Services are usually
 * dumped from another one, so this is told, not refused.  A task whose cgroup is frozen cannot be
 * asked anything.
 *
 * Of many tasks the kernel's own address of the set of cgroups is known (records.c).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "dump/dump_tree.h"
#include "engine/seize.h"
#include "kernel/cgroup_freezer.h"
#include "kernel/proc_misc.h"

/* What was found out of the task before: most of a tree are in the same. */
struct last {
	uint64_t record; /* 0: none */
	const char *text;
};

static int read_membership(struct session *s, const struct task *t, struct last *last)
{
	const struct task_record *of = leader(t)->record;
	if (of && of->cgroups && of->cgroups == last->record)
		return 0;
	char *text;
	int r = proc_cgroup(s, t->pid, &text);
	if (r < 0)
		return fail(s, r, "pid %d: look at its cgroups", t->pid);
	last->record = of ? of->cgroups : 0;
	if (last->text && !strcmp(text, last->text))
		return 0;
	last->text = text;
	const char *frozen_by = cgroup_frozen_by(s, text);
	return frozen_by ? seize_fail_frozen(s, t->pid, frozen_by) : 0;
}

/* The first line by which they differ, from its path on. */
static const char *where(struct session *s, const char *text, const char *own)
{
	size_t i = 0, line = 0;
	for (; text[i] && text[i] == own[i]; i++)
		if (text[i] == '\n')
			line = i + 1;
	return arena_printf(&s->arena, "%.*s", (int)strcspn(text + line, "\n"), text + line);
}

int dump_check_cgroups(struct dump *d)
{
	struct session *s = d->s;
	struct last last = {0};
	const char *first = NULL;
	pid_t first_pid = 0;
	size_t n = 0;
	char *own;
	if (proc_cgroup(s, getpid(), &own) < 0)
		return 0; /* the kernel has none */
	vec_for_each (&d->tree.tasks, t) {
		if (!task_lives(*t))
			continue;
		int r = read_membership(s, *t, &last);
		if (r < 0)
			return r;
		if (!strcmp(last.text, own))
			continue;
		if (!n++) {
			first = where(s, last.text, own);
			first_pid = (*t)->pid;
		}
	}
	if (n && s->opt->manage_cgroups != CGROUP_IGNORE)
		log_warn(s,
			"pid %d%s: in another cgroup (%s) than this tool; what is restored will be "
			"in "
			"the cgroup of who restores it",
			first_pid, n == 1 ? "" : arena_printf(&s->arena, " and %zu more", n - 1),
			first);
	return 0;
}
