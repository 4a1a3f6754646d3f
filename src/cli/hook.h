/*
 * Points of a dump or restore at which others are told, and may object (spec/cli.md 9).
 *
 * The client of a service is told first, then the scripts of --action-script run, the last given
 * first, all of them even if one fails.
 */
#ifndef FERMATA_CLI_HOOK_H
#define FERMATA_CLI_HOOK_H

#include <stdbool.h>
#include <sys/types.h>

struct session;

enum hook {
	HOOK_PRE_DUMP,
	HOOK_NETWORK_LOCK,
	HOOK_QUERY_EXT_FILES,
	HOOK_POST_DUMP,
	HOOK_NETWORK_UNLOCK,
	HOOK_STATUS_READY,
	HOOK_PRE_RESTORE,
	HOOK_SETUP_NAMESPACES,
	HOOK_POST_SETUP_NAMESPACES,
	HOOK_ORPHAN_PTS_MASTER,
	HOOK_POST_RESTORE,
	HOOK_PRE_RESUME,
	HOOK_POST_RESUME,
	N_HOOKS,
};

const char *hook_name(enum hook hook);

/* A client that wants to know. Returns 0 or a negative errno if it objects or is gone. */
struct notifier {
	int (*notify)(struct notifier *n, struct session *s, enum hook hook, int fd);
};

/*
 * Tells all. s->root_pid is the root of the tree as the host sees it, 0 while it is not known.
 * Returns -ECANCELED with the failure recorded when anyone objects.
 */
int hook_run(struct session *s, enum hook hook);

/* The same; the client gets a copy of the descriptor. */
int hook_run_with(struct session *s, enum hook hook, int fd);

/* The same, for the hooks whose failure is only logged. */
void hook_run_anyway(struct session *s, enum hook hook);

#endif
