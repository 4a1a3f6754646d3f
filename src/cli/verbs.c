/* The verb table, and what surrounds the engine's part of each verb. */
#include "cli/verbs.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/session.h"
#include "cli/check.h"
#include "cli/cpuinfo.h"
#include "cli/parser.h"
#include "dump/dump.h"
#include "dump/preflight.h"
#include "restore/restore.h"
#include "rpc/rpc.h"

/* Not beside what goes to the same terminal anyhow, or to a program. */
static void watch(struct session *s)
{
	bool chatty = s->opt->verbosity > LOG_WARN && isatty(s->log.fd);
	if (s->comforts && !chatty && !s->opt->json && !s->opt->explain)
		progress_open(s, s->opt->action == ACTION_DUMP ? "dump" : "restore");
}

static int run_dump(struct session *s)
{
	if (s->opt->explain)
		return preflight_run(s);
	watch(s);
	int err = dump_run(s);
	progress_close(s);
	return err;
}

/* The reference stays until the restored tree has exited; statuses are not passed on. */
static int wait_for_tree(void)
{
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 0;
}

/* Only returns when the command could not be started. */
static int run_command(struct session *s)
{
	struct strings words = s->opt->words;
	*vec_push(&s->arena, &words) = NULL;
	execvp(words.v[0], (char *const *)words.v);
	return fail(s, errno, "the tree is restored, but running %s failed", words.v[0]);
}

static int run_restore(struct session *s)
{
	if (option_given(s->opt, "tree"))
		log_warn(s, "restore takes its PIDs from the images; --tree has no effect");
	if (option_given(s->opt, "network-lock"))
		log_warn(s, "restore uses the network lock of the images; --network-lock has no "
			    "effect");
	watch(s);
	int err = restore_run(s);
	progress_close(s);
	if (err < 0 || s->opt->explain)
		return err;
	log_info(s, "Restore finished successfully. Tasks resumed.");
	if (s->opt->exec_cmd)
		return run_command(s);
	return s->opt->detach ? 0 : wait_for_tree();
}

static int run_check(struct session *s)
{
	return s->opt->tree ? preflight_run(s) : check_run(s);
}

const struct verb verb_table[] = {
	{"dump", NULL, ACTION_DUMP, true, run_dump, "Dumping finished successfully",
		"Dumping FAILED.", "dump -t PID", "write a running process tree to images"},
	{"restore", NULL, ACTION_RESTORE, true, run_restore, NULL, "Restoring FAILED.",
		"restore [-D DIR]", "recreate a process tree from images"},
	{"check", NULL, ACTION_CHECK, false, run_check, NULL, NULL,
		"check [-t PID | --feature NAME]",
		"test what this kernel offers, or whether a tree can be dumped"},
	{"pre-dump", NULL, ACTION_PRE_DUMP, true, NULL, "Pre-dumping finished successfully",
		"Pre-dumping FAILED.", "pre-dump -t PID", "write memory only, tasks go on"},
	{"page-server", NULL, ACTION_PAGE_SERVER, true, NULL, NULL, NULL, "page-server",
		"receive pages over the network"},
	{"lazy-pages", NULL, ACTION_LAZY_PAGES, true, NULL, NULL, NULL, "lazy-pages",
		"bring memory to restored tasks on demand"},
	{"dedup", NULL, ACTION_DEDUP, true, NULL, NULL, NULL, "dedup",
		"drop pages of parent images that children replace"},
	{"service", NULL, ACTION_SERVICE, false, service_run, NULL, NULL, "service",
		"serve requests on a unix socket"},
	{"swrk", NULL, ACTION_SWRK, false, swrk_run, NULL, NULL, "swrk FD",
		"serve requests on an inherited socket (for libraries)"},
	{"cpuinfo", "dump", ACTION_CPUINFO_DUMP, true, cpuinfo_dump, NULL, NULL, "cpuinfo dump",
		"write the features of this CPU"},
	{"cpuinfo", "check", ACTION_CPUINFO_CHECK, true, cpuinfo_check, NULL, NULL, "cpuinfo check",
		"compare them with this CPU"},
};

const size_t n_verbs = sizeof(verb_table) / sizeof(verb_table[0]);

static bool takes_words(const struct verb *verb, const struct options *o)
{
	return verb->action == ACTION_RESTORE && o->exec_cmd;
}

static bool takes_tree(const struct verb *verb)
{
	return strstr(verb->synopsis, "-t PID");
}

/* The words left after the action are as many as the verb takes. */
static int check_words(struct parser *p, const struct verb *verb)
{
	const struct options *o = p->opt;
	if (verb->action == ACTION_SWRK)
		return o->words.n == 1
			       ? 0
			       : parse_error(p, true, "swrk needs exactly one word: a descriptor");
	if (takes_words(verb, o))
		return o->words.n ? 0
				  : parse_error(p, false, "option --exec-cmd requires a command");
	if (!o->words.n)
		return 0;
	int64_t pid;
	if (takes_tree(verb) && !o->tree && !parse_number(o->words.v[0], 1, INT32_MAX, &pid))
		return parse_error(p, true,
			"excessive parameter(s) for command %s: %s; a PID is "
			"given by -t %s",
			verb->name, o->words.v[0], o->words.v[0]);
	return parse_error(
		p, true, "excessive parameter(s) for command %s: %s", verb->name, o->words.v[0]);
}

int find_verb(struct parser *p, const struct verb **ret_verb)
{
	struct options *o = p->opt;
	if (!o->words.n)
		return parse_error(p, true, "command is required");
	for (size_t i = 0; i < n_verbs; i++) {
		const struct verb *verb = &verb_table[i];
		size_t used = verb->sub ? 2 : 1;
		if (strcmp(o->words.v[0], verb->name))
			continue;
		if (verb->sub && (o->words.n < 2 || strcmp(o->words.v[1], verb->sub)))
			continue;
		o->words =
			(struct strings){o->words.v + used, o->words.n - used, o->words.n - used};
		o->action = verb->action;
		int err = check_words(p, verb);
		if (!err)
			*ret_verb = verb;
		return err;
	}
	if (!strcmp(o->words.v[0], "cpuinfo"))
		return parse_error(p, true, "cpuinfo requires an action: dump or check");
	return parse_error(p, true, "unknown command: %s", o->words.v[0]);
}

const char *removed_verb(const struct options *o)
{
	if (!o->words.n)
		return NULL;
	if (!strcmp(o->words.v[0], "exec"))
		return "the \"exec\" action was removed; inject with libfermata-inject instead";
	if (!strcmp(o->words.v[0], "show"))
		return "the \"show\" action was removed; use crit to read images";
	return NULL;
}
