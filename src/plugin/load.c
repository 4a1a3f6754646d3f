/*
 * All plugins of a run: found in a directory, started, asked for what the images need, ended.
 *
 * The directory is --libdir, else of the environment (options_init()), else the one that was built
 * in; only that may be missing.  A plugin that cannot be used is an error: what it was put there
 * for would be lost.
 */
#include "plugin/internal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/options.h"
#include "plugin/plugin_dir.h"

static bool is_plugin(const char *name)
{
	size_t len = strlen(name);
	return len > 3 && !strcmp(name + len - 3, ".so");
}

bool plugins_built_in(void)
{
	_cleanup_dir_ DIR *dir = opendir(PLUGIN_DIR);
	const struct dirent *e = NULL;
	while (dir && (e = readdir(dir)))
		if (is_plugin(e->d_name))
			break;
	return e;
}

static int start_one(struct plugins *p, const char *path)
{
	struct session *s = p->s;
	struct plugin one;
	int r = plugin_open(s, path, &one);
	if (r < 0)
		return r;
	r = one.init ? one.init(p->stage) : 0;
	if (r) {
		r = fail(s, r < -4095 || r > 0 ? EINVAL : r,
			"plugin %s did not start: it returned %d", one.name, r);
		plugin_close(&one);
		return r;
	}
	log_info(s, "Plugin %s was loaded from %s", one.name, path);
	*vec_push(&s->arena, &p->loaded) = one;
	return 0;
}

static int start_all(struct plugins *p)
{
	struct session *s = p->s;
	const char *given = s->opt->libdir;
	const char *path = given ? given : PLUGIN_DIR;
	_cleanup_dir_ DIR *dir = opendir(path);
	if (!dir && errno == ENOENT && !given)
		return 0;
	if (!dir)
		return fail(s, errno, "open the directory of plugins %s", path);
	const struct dirent *e;
	int r = 0, err = 0;
	while (r >= 0 && (e = next_entry(dir, &err)))
		if (is_plugin(e->d_name))
			r = start_one(p, arena_printf(&s->arena, "%s%s/%s",
						 *path == '/' ? "" : "./", path, e->d_name));
	return err < 0 ? fail(s, err, "read the directory of plugins %s", path) : r;
}

/* Plugins cross their names off when they start. */
static int check_needed(struct plugins *p)
{
	if (!p->needed.n)
		return 0;
	return fail_remedy(p->s, ENOENT, "name its directory with --libdir",
		"Missing required plugin: %s", p->needed.v[0]);
}

int plugins_start(struct session *s, int stage, const InventoryEntry *inventory)
{
	struct plugins *p = s->plugins = arena_new(&s->arena, struct plugins);
	p->s = s;
	p->stage = stage;
	const PluginsEntry *list = inventory ? inventory->plugins_entry : NULL;
	p->all_wanted = inventory && !list;
	for (size_t i = 0; list && i < list->n_plugins; i++)
		*vec_push(&s->arena, &p->needed) = list->plugins[i];
	exports_bind(p);
	int r = start_all(p);
	return r < 0 ? r : check_needed(p);
}

void plugins_finish(struct session *s, int ret)
{
	struct plugins *p = s->plugins;
	if (!p)
		return;
	vec_for_each (&p->loaded, one)
		if (one->exit)
			one->exit(p->stage, ret);
	exports_bind(NULL);
	vec_for_each (&p->loaded, one)
		plugin_close(one);
	s->plugins = NULL;
}

void plugins_store(const struct session *s, PluginsEntry *e)
{
	if (!s->plugins)
		return;
	e->n_plugins = s->plugins->stored.n;
	e->plugins = (char **)(uintptr_t)s->plugins->stored.v;
}
