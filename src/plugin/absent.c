/*
 * In place of open.c in a program that is linked statically: the C library cannot load plugins into it.
 *
 * Such a program starts faster.  Where there are plugins it becomes fermata-dynamic, which lies beside it
 * in the build directory, and is installed out of the way: bin/fermata, libexec/fermata/fermata-dynamic.
 */
#include "plugin/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "plugin/plugin_dir.h"

static bool is_asked_for(enum action action)
{
	return action == ACTION_DUMP || action == ACTION_PRE_DUMP || action == ACTION_RESTORE ||
	       action == ACTION_SERVICE || action == ACTION_SWRK;
}

void plugins_change_program(const struct options *o, char **argv)
{
	static const char elsewhere[] = "../libexec/fermata/fermata-dynamic";
	char path[PATH_MAX];
	if (!is_asked_for(o->action) || !(o->libdir || plugins_built_in()))
		return;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(elsewhere));
	if (n > 0) {
		strcpy(path + n, "-dynamic");
		execv(path, argv);
		path[n] = 0;
		strcpy(strrchr(path, '/') + 1, elsewhere);
		execv(path, argv);
	}
	execv(DYNAMIC_TOOL, argv);
	/* if none is there, the first plugin fails */
}

int plugin_open(struct session *s, const char *path, struct plugin *ret)
{
	(void)ret;
	return fail_remedy(s, ENOEXEC, "set CRIU_LIBS_DIR where the tool is started",
		"load the plugin %s: this program is linked statically, and %s did not take its place",
		path, DYNAMIC_TOOL);
}

void plugin_close(struct plugin *p)
{
	(void)p;
}
