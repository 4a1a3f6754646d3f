/* Defaults, and the checks that need the whole command line: spec/cli.md 4.9. */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/option_table.h"
#include "cli/parser.h"

void options_init(struct options *o)
{
	*o = (struct options){
		.images_dir = ".",
		.timeout = 10,
		.ghost_fiemap = true,
		.ghost_limit = 1 << 20,
		.network_lock = NETLOCK_NFTABLES,
		.libdir = getenv("CRIU_LIBS_DIR"),
		.ps_socket = -1,
		.status_fd = -1,
		.verbosity = 2,
		.cpu_cap = CPU_CAP_FPU | CPU_CAP_INS,
		.deprecated = getenv("CRIU_DEPRECATED") != NULL,
	};
}

/* Whether the option asks for something: --no-tls, or cgroups left alone, do not. */
static bool asks_for_something(const struct options *o, const struct option_def *def)
{
	const void *target = (const char *)o + def->offset;
	if (def->kind == OPT_BOOL)
		return *(const bool *)target;
	if (def->offset == offsetof(struct options, manage_cgroups))
		return o->manage_cgroups != CGROUP_NONE && o->manage_cgroups != CGROUP_IGNORE;
	return true;
}

static int check_built(struct parser *p)
{
	const struct options *o = p->opt;
	for (size_t i = 0; i < n_options; i++) {
		const struct option_def *def = &option_table[i];
		if (o->given[i] && (def->unbuilt & (1u << o->action)) && asks_for_something(o, def))
			return parse_error(p, false, "option --%s: not built yet", def->name);
	}
	return 0;
}

int check_options(struct parser *p)
{
	const struct options *o = p->opt;
	bool tree_needed = o->action == ACTION_DUMP || o->action == ACTION_PRE_DUMP;

	if (o->restore_sibling && !o->detach)
		return parse_error(
			p, false, "option --restore-sibling needs --restore-detached (-d)");
	if (o->mntns_compat && o->action != ACTION_RESTORE)
		return parse_error(p, false, "option --mntns-compat-mode is for restore only");
	if (o->inherit_fd.n && o->action != ACTION_RESTORE)
		return parse_error(p, false, "option --inherit-fd is for restore only");
	if (o->exec_cmd && o->detach)
		return parse_error(
			p, false, "options --exec-cmd and --restore-detached exclude each other");
	if (o->ps_socket >= 0 && o->ps_socket <= 2 && o->detach)
		return parse_error(p, false,
			"option --ps-socket: descriptor %d is lost with --daemon", o->ps_socket);
	for (size_t i = 0; i < o->join_ns.n; i++)
		if (o->empty_ns.n && !strncmp(o->join_ns.v[i], "net:", 4))
			return parse_error(
				p, false, "options --join-ns and --empty-ns: both for net");
	if (tree_needed && !o->tree)
		return parse_error(p, false, "no process tree given; use --tree PID (-t)");
	return check_built(p);
}
