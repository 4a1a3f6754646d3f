/*
 * One plugin: its shared object, and the descriptor CR_PLUGIN_DESC in it (spec/plugins.md 1.1).
 *
 * Plugins from before version 0.2 have functions of fixed names instead (1.3); they get the same
 * shape.
 */
#include "plugin/internal.h"

#include <dlfcn.h>
#include <string.h>

/* Of old plugins, by hook. */
static const char *const old_hooks[CR_PLUGIN_HOOK__MAX] = {
	[CR_PLUGIN_HOOK__DUMP_UNIX_SK] = "cr_plugin_dump_unix_sk",
	[CR_PLUGIN_HOOK__RESTORE_UNIX_SK] = "cr_plugin_restore_unix_sk",
	[CR_PLUGIN_HOOK__DUMP_EXT_FILE] = "cr_plugin_dump_file",
	[CR_PLUGIN_HOOK__RESTORE_EXT_FILE] = "cr_plugin_restore_file",
	[CR_PLUGIN_HOOK__DUMP_EXT_MOUNT] = "cr_plugin_dump_ext_mount",
	[CR_PLUGIN_HOOK__RESTORE_EXT_MOUNT] = "cr_plugin_restore_ext_mount",
	[CR_PLUGIN_HOOK__DUMP_EXT_LINK] = "cr_plugin_dump_ext_link",
	[CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA] = "cr_plugin_handle_device_vma",
	[CR_PLUGIN_HOOK__UPDATE_VMA_MAP] = "cr_plugin_update_vma_map",
	[CR_PLUGIN_HOOK__RESUME_DEVICES_LATE] = "cr_plugin_resume_devices_late",
	[CR_PLUGIN_HOOK__PAUSE_DEVICES] = "cr_plugin_pause_devices",
	[CR_PLUGIN_HOOK__CHECKPOINT_DEVICES] = "cr_plugin_checkpoint_devices",
	[CR_PLUGIN_HOOK__POST_FORKING] = "cr_plugin_post_forking",
	[CR_PLUGIN_HOOK__RESTORE_INIT] = "cr_plugin_restore_init",
	[CR_PLUGIN_HOOK__DUMP_DEVICES_LATE] = "cr_plugin_dump_devices_late",
};

/* dlsym(3) gives functions as data; POSIX says they have one size. */
static void find_function(void *library, const char *name, void *ret)
{
	void *found = dlsym(library, name);
	memcpy(ret, &found, sizeof(found));
}

static void take_old(struct session *s, struct plugin *p)
{
	log_warn(s, "plugin %s has no CR_PLUGIN_DESC: taken for one of version 0.1", p->path);
	p->name = p->path;
	find_function(p->library, "cr_plugin_init", &p->init);
	find_function(p->library, "cr_plugin_fini", &p->exit);
	for (int i = 0; i < CR_PLUGIN_HOOK__MAX; i++)
		p->hooks[i] = dlsym(p->library, old_hooks[i]);
}

static int take_descriptor(struct session *s, struct plugin *p, const cr_plugin_desc_t *desc)
{
	if (desc->version > CRIU_PLUGIN_VERSION)
		return fail_remedy(s, EINVAL, "build it for this version, or take it away",
			"plugin %s is for version %u.%u.%u of the interface, newer than %d.%d.%d",
			p->path, desc->version >> 16, desc->version >> 8 & 0xff,
			desc->version & 0xff, CRIU_PLUGIN_VERSION_MAJOR, CRIU_PLUGIN_VERSION_MINOR,
			CRIU_PLUGIN_VERSION_SUBLEVEL);
	if (desc->max_hooks > CR_PLUGIN_HOOK__MAX)
		return fail(s, EINVAL, "plugin %s has %u hooks, but there are %d", p->path,
			desc->max_hooks, CR_PLUGIN_HOOK__MAX);
	p->name = desc->name ? desc->name : p->path;
	p->init = desc->init;
	p->exit = desc->exit;
	memcpy(p->hooks, desc->hooks, desc->max_hooks * sizeof(p->hooks[0]));
	return 0;
}

int plugin_open(struct session *s, const char *path, struct plugin *ret)
{
	*ret = (struct plugin){.path = path, .library = dlopen(path, RTLD_LAZY)};
	if (!ret->library)
		return fail_remedy(s, ENOEXEC,
			"take it away, or name another directory with --libdir",
			"load the plugin %s: %s", path, dlerror());
	const cr_plugin_desc_t *desc = dlsym(ret->library, "CR_PLUGIN_DESC");
	int r = 0;
	if (desc)
		r = take_descriptor(s, ret, desc);
	else
		take_old(s, ret);
	if (r < 0)
		plugin_close(ret);
	return r;
}

void plugin_close(struct plugin *p)
{
	dlclose(p->library);
}

void plugins_change_program(const struct options *o, char **argv)
{
	(void)o, (void)argv; /* this one will do */
}
