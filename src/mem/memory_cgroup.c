/*
 * Memory limits of the control group a task is in.
 *
 * Page cache belongs to the group of whoever makes it.  A task that writes a large image into a
 * tmpfs could so hit its group's limit, and be killed for it; and so could the controller.  Unless
 * both are in one group anyway, the one that writes must have no limit at all up to the root.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/proc_misc.h"
#include "kernel/procfs.h"

static const struct {
	const char *controller; /* as in /proc/PID/cgroup; "" is the unified hierarchy */
	const char *mount, *limit;
} hierarchies[] = {
	{"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
	{"", "/sys/fs/cgroup", "memory.max"},
	{"", "/sys/fs/cgroup/unified", "memory.max"},
};

/* A limit this large is how version 1 says "none". */
#define NO_LIMIT (UINT64_C(1) << 62)

/* The path in a line "id:controller:/path", NULL if the text has no such controller. */
static char *path_of(struct session *s, const char *text, const char *controller)
{
	for (const char *line = text; line && *line;) {
		const char *end = strchrnul(line, '\n');
		const char *name = memchr(line, ':', (size_t)(end - line));
		const char *path = name ? memchr(name + 1, ':', (size_t)(end - name - 1)) : NULL;
		size_t len = path ? (size_t)(path - name - 1) : 0;
		if (path && len == strlen(controller) && !memcmp(name + 1, controller, len))
			return arena_printf(&s->arena, "%.*s", (int)(end - path - 1), path + 1);
		line = *end ? end + 1 : end;
	}
	return NULL;
}

/* -ENOENT: the kernel keeps no limit there (the root group, or no such mount). */
static int read_limit(struct session *s, const char *file, uint64_t *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int r = proc_read(s, file, &b);
	if (r < 0)
		return r;
	*ret = !strncmp(b.data, "max", 3) ? UINT64_MAX : strtoull(b.data, NULL, 10);
	return 0;
}

/* From the group up to the root; a group of a foreign namespace shows as "/../..". */
static bool is_unlimited(struct session *s, size_t hierarchy, char *path)
{
	if (strstr(path, "/.."))
		return false;
	for (;;) {
		uint64_t limit;
		const char *file = arena_printf(&s->arena, "%s%s/%s", hierarchies[hierarchy].mount,
			path, hierarchies[hierarchy].limit);
		int r = read_limit(s, file, &limit);
		if (r < 0 && r != -ENOENT)
			return false;
		if (r >= 0 && limit < NO_LIMIT)
			return false;
		char *slash = strrchr(path, '/');
		if (!slash)
			return true;
		*slash = '\0';
	}
}

bool memory_cgroup_allows(struct session *s, pid_t writer, pid_t other)
{
	char *groups, *others;
	if (proc_cgroup(s, writer, &groups) < 0 || proc_cgroup(s, other, &others) < 0)
		return false;
	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(hierarchies[0]); i++) {
		char *path = path_of(s, groups, hierarchies[i].controller);
		const char *same = path_of(s, others, hierarchies[i].controller);
		if (path && same && strcmp(path, same) != 0 && !is_unlimited(s, i, path))
			return false;
	}
	return true;
}
