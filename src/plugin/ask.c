/*
 * Asking plugins: each in the order they were loaded, until one does not say -ENOTSUP.
 */
#include "plugin/internal.h"

#include "cli/options.h"

static int none(void)
{
	return -ENOTSUP;
}

/* Calls hook NAME of each, until one knows. Evaluates to its answer. */
#define ask(s, NAME, ...)                                                                   \
	({                                                                                  \
		int answer_ = none();                                                       \
		struct plugins *p_ = (s)->plugins;                                          \
		for (size_t i_ = 0; p_ && i_ < p_->loaded.n && answer_ == -ENOTSUP; i_++) { \
			CR_PLUGIN_HOOK__##NAME##_t *hook_ =                                 \
				(CR_PLUGIN_HOOK__##NAME##_t *)p_->loaded.v[i_]              \
					.hooks[CR_PLUGIN_HOOK__##NAME];                     \
			if (hook_)                                                          \
				answer_ = hook_(__VA_ARGS__);                               \
		}                                                                           \
		answer_;                                                                    \
	})

bool plugins_have(const struct session *s, int hook)
{
	for (size_t i = 0; s->plugins && i < s->plugins->loaded.n; i++)
		if (s->plugins->loaded.v[i].hooks[hook])
			return true;
	return false;
}

bool plugins_may_run(const struct session *s)
{
	return !s->opt->explain && !s->images_only;
}

int plugin_dump_unix_sk(struct session *s, int fd, uint32_t ino)
{
	return ask(s, DUMP_UNIX_SK, fd, (int)ino);
}

int plugin_restore_unix_sk(struct session *s, uint32_t ino)
{
	return ask(s, RESTORE_UNIX_SK, (int)ino);
}

int plugin_dump_ext_file(struct session *s, int fd, uint32_t id)
{
	return ask(s, DUMP_EXT_FILE, fd, (int)id);
}

int plugin_restore_ext_file(struct session *s, uint32_t id, bool *ret_retry)
{
	*ret_retry = false;
	return ask(s, RESTORE_EXT_FILE, (int)id, ret_retry);
}

int plugin_handle_device_vma(struct session *s, int fd, const struct stat *st)
{
	return ask(s, HANDLE_DEVICE_VMA, fd, st);
}

int plugin_update_vma_map(struct session *s, const char *path, uint64_t addr, uint64_t old_pgoff,
	uint64_t *new_pgoff, int *plugin_fd)
{
	return ask(s, UPDATE_VMA_MAP, path, addr, old_pgoff, new_pgoff, plugin_fd);
}

/* The hooks of plugins_tell(). */
static const struct {
	int hook;
	const char *name;
	bool takes_pid;
} told[] = {
	{CR_PLUGIN_HOOK__RESUME_DEVICES_LATE, "RESUME_DEVICES_LATE", true},
	{CR_PLUGIN_HOOK__PAUSE_DEVICES, "PAUSE_DEVICES", true},
	{CR_PLUGIN_HOOK__CHECKPOINT_DEVICES, "CHECKPOINT_DEVICES", true},
	{CR_PLUGIN_HOOK__POST_FORKING, "POST_FORKING", false},
	{CR_PLUGIN_HOOK__RESTORE_INIT, "RESTORE_INIT", false},
	{CR_PLUGIN_HOOK__DUMP_DEVICES_LATE, "DUMP_DEVICES_LATE", true},
};

static int tell_one(const struct plugin *p, size_t i, int about)
{
	void *hook = p->hooks[told[i].hook];
	if (!hook)
		return -ENOTSUP;
	return told[i].takes_pid ? ((CR_PLUGIN_HOOK__PAUSE_DEVICES_t *)hook)(about)
				 : ((CR_PLUGIN_HOOK__POST_FORKING_t *)hook)();
}

static int tell(struct session *s, size_t i, int about)
{
	struct plugins *p = s->plugins;
	for (size_t k = 0; k < p->loaded.n; k++) {
		int r = tell_one(&p->loaded.v[k], i, about);
		if (r == -ENOTSUP)
			continue;
		const char *name = p->loaded.v[k].name;
		if (r < 0 && told[i].takes_pid)
			return fail(
				s, r, "pid %d: plugin %s refuses %s", about, name, told[i].name);
		return r < 0 ? fail(s, r, "plugin %s refuses %s", name, told[i].name) : 0;
	}
	return 0;
}

int plugins_tell(struct session *s, int hook, int about)
{
	if (!s->plugins || !s->plugins->loaded.n)
		return 0;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (told[i].hook == hook)
			return tell(s, i, about);
	return 0;
}
