/*
 * Mappings of devices that a plugin knows: status VMA_EXT_PLUGIN, with a REG entry for the name.
 *
 * Dump: the hook HANDLE_DEVICE_VMA says whether the mapping is the plugin's, which keeps whatever
 * is in it.  Restore: UPDATE_VMA_MAP may give another offset, and a descriptor to map instead of
 * the path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "mem/plan.h"
#include "mem/vma_dump.h"
#include "plugin/plugin.h"

int vma_ask_plugins(struct session *s, const struct task *t, const struct vma_info *info)
{
	char link[80];
	struct stat st;
	if (!plugins_have(s, CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA))
		return 0;
	snprintf(link, sizeof(link), "map_files/%llx-%llx", (unsigned long long)info->start,
		(unsigned long long)info->end);
	_cleanup_close_ int fd = proc_open_pid(s, t->pid, link, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(s, fd < 0 ? fd : errno, "pid %d: look at its mapping %llx-%llx (%s)",
			t->pid, (unsigned long long)info->start, (unsigned long long)info->end,
			info->name);
	return plugin_handle_device_vma(s, fd, &st) >= 0;
}

int vma_plugin_check(struct session *s, const struct task *t, const VmaEntry *e)
{
	if (!plugins_may_run(s) || plugins_have(s, CR_PLUGIN_HOOK__UPDATE_VMA_MAP))
		return 0;
	return fail_remedy(s, ENOTSUP, "name the plugin's directory with --libdir",
		"pid %d: a plugin has to map the device memory at %llx, and none is here that "
		"could",
		t->vpid, (unsigned long long)e->start);
}

int vma_plugin_update(
	struct session *s, const struct task *t, struct vma_plan *v, const char *path, int *ret_fd)
{
	uint64_t pgoff = v->pgoff;
	*ret_fd = -1;
	int r = plugin_update_vma_map(s, path, v->e->start, v->pgoff, &pgoff, ret_fd);
	if (r == 1)
		v->pgoff = pgoff;
	return r >= 0 || !plugins_may_run(s) ? 0
					 : fail(s, r, "pid %d: no plugin could map %s at %llx",
						   t->vpid, path, (unsigned long long)v->e->start);
}
