/* See hook.h. */
#include "cli/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/session.h"
#include "cli/options.h"
#include "image/dir.h"
#include "kernel/syscalls.h"

static const char *const names[N_HOOKS] = {
	[HOOK_PRE_DUMP] = "pre-dump",
	[HOOK_NETWORK_LOCK] = "network-lock",
	[HOOK_QUERY_EXT_FILES] = "query-ext-files",
	[HOOK_POST_DUMP] = "post-dump",
	[HOOK_NETWORK_UNLOCK] = "network-unlock",
	[HOOK_STATUS_READY] = "status-ready",
	[HOOK_PRE_RESTORE] = "pre-restore",
	[HOOK_SETUP_NAMESPACES] = "setup-namespaces",
	[HOOK_POST_SETUP_NAMESPACES] = "post-setup-namespaces",
	[HOOK_ORPHAN_PTS_MASTER] = "orphan-pts-master",
	[HOOK_POST_RESTORE] = "post-restore",
	[HOOK_PRE_RESUME] = "pre-resume",
	[HOOK_POST_RESUME] = "post-resume",
};

/* Only clients of a service hear of these. */
static bool for_clients_only(enum hook hook)
{
	return hook == HOOK_QUERY_EXT_FILES || hook == HOOK_ORPHAN_PTS_MASTER;
}

const char *hook_name(enum hook hook)
{
	return names[hook];
}

/* The environment of a script: ours, and what it may want to know. */
static char **script_environment(struct session *s, enum hook hook)
{
	struct arena *a = &s->arena;
	VEC(char *) all = {0};
	for (char **e = environ; *e; e++)
		*vec_push(a, &all) = *e;
	*vec_push(a, &all) = arena_printf(a, "CRTOOLS_SCRIPT_ACTION=%s", names[hook]);
	if (s->images)
		*vec_push(a, &all) = arena_printf(
			a, "CRTOOLS_IMAGE_DIR=/proc/%d/fd/%d", getpid(), s->images->fd);
	if (s->root_pid)
		*vec_push(a, &all) = arena_printf(a, "CRTOOLS_INIT_PID=%d", s->root_pid);
	*vec_push(a, &all) = NULL;
	return all.v;
}

/* In the child: no input, output to the log, nothing else open, no signal blocked or ignored. */
static void become_script(struct session *s, const char *path, char **environment)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(s->log.fd, STDOUT_FILENO) < 0 || dup2(s->log.fd, STDERR_FILENO) < 0)
		_exit(126);
	close(STDIN_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	execvpe(path, (char *[]){(char *)path, NULL}, environment);
	_exit(127);
}

/* Signals of the outside world must not reach a half-done dump by way of wait(). */
static int run_script(struct session *s, const char *path, enum hook hook)
{
	char **environment = script_environment(s, hook);
	log_debug(s, "Running %s for %s", path, names[hook]);
	pid_t pid = fork();
	if (pid < 0)
		return fail(s, errno, "run the action script %s", path);
	if (!pid)
		become_script(s, path, environment);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(s, errno, "wait for the action script %s", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail_remedy(s, ECANCELED, "check that it is there and may be executed",
			"the action script %s could not be run for %s", path, names[hook]);
	return fail(s, ECANCELED, "the action script %s failed for %s (%s %d)", path, names[hook],
		WIFEXITED(status) ? "exit status" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int hook_run_with(struct session *s, enum hook hook, int fd)
{
	const struct strings *scripts = &s->opt->action_script;
	int r = 0;
	if (scripts->n)
		progress_hide(s);
	if (s->notifier)
		r = s->notifier->notify(s->notifier, s, hook, fd);
	for (size_t i = scripts->n; i-- > 0 && !for_clients_only(hook);) {
		int err = run_script(s, scripts->v[i], hook);
		r = r < 0 ? r : err;
	}
	return r;
}

int hook_run(struct session *s, enum hook hook)
{
	return hook_run_with(s, hook, -1);
}

void hook_run_anyway(struct session *s, enum hook hook)
{
	struct failure before = s->failure;
	if (hook_run(s, hook) < 0)
		log_warn(s, "%s", s->failure.message);
	s->failure = before;
}
