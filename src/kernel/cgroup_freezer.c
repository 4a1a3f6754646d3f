/*
 * Frozen cgroups.  A task that is frozen by version 1 is in an uninterruptible sleep and cannot be
 * stopped; by version 2 it can, but runs nothing for a tracer either.  Both tell of ancestors that
 * are frozen as well.
 */
#include "kernel/cgroup_freezer.h"

#include <string.h>

#include "base/session.h"
#include "kernel/procfs.h"

static const struct {
	const char *controller, *place, *file, *frozen, *switched_by;
} freezers[] = {
	{":freezer:", "/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "freezer.state"},
	{"0::", "/sys/fs/cgroup", "cgroup.events", "frozen 1", "cgroup.freeze"},
	{"0::", "/sys/fs/cgroup/unified", "cgroup.events", "frozen 1", "cgroup.freeze"},
};

const char *cgroup_frozen_by(struct session *s, const char *membership)
{
	for (size_t i = 0; i < sizeof(freezers) / sizeof(freezers[0]); i++) {
		_cleanup_proc_buf_ struct proc_buf b = {0};
		const char *path = strstr(membership, freezers[i].controller);
		if (!path)
			continue;
		path += strlen(freezers[i].controller);
		const char *dir = arena_printf(
			&s->arena, "%s%.*s", freezers[i].place, (int)strcspn(path, "\n"), path);
		const char *file = arena_printf(&s->arena, "%s/%s", dir, freezers[i].file);
		if (proc_read(s, file, &b) >= 0 && strstr(b.data, freezers[i].frozen))
			return arena_printf(&s->arena, "%s/%s", dir, freezers[i].switched_by);
	}
	return NULL;
}

const char *cgroup_task_frozen_by(struct session *s, pid_t pid)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	return proc_read_record(s, pid, "cgroup", &b) < 0 ? NULL : cgroup_frozen_by(s, b.data);
}
