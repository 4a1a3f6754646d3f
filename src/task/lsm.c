/*
 * The security label of a process: /proc/PID/attr/current (AppArmor, SELinux, Smack).
 *
 * Stubs inherit the controller's, so a task under the same label needs nothing; the usual case is
 * that both are unconfined.  Setting another label is not there yet, and dropping one would free
 * a confined program, so both directions refuse.  Without such an LSM the file reads as EINVAL.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/procfs.h"
#include "task/aspect.h"

extern const struct aspect lsm_aspect;

enum { LABEL_MAX = 4096 };

/* The label, without newline or trailing NUL; NULL if there is none to read. */
static const char *read_label(struct session *s, pid_t pid)
{
	char text[LABEL_MAX];
	errno = 0;
	_cleanup_close_ int fd = proc_open_pid(s, pid, "attr/current", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return arena_strdup(&s->arena, text);
}

static int lsm_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	bool *no_labels = &t->task->tree->no_labels;
	if (!t->core->tc || __atomic_load_n(no_labels, __ATOMIC_RELAXED))
		return 0;
	const char *label = read_label(s, t->task->pid);
	if (!label && errno == EINVAL) /* as it is for all tasks */
		__atomic_store_n(no_labels, true, __ATOMIC_RELAXED);
	const char *own = label ? read_label(s, getpid()) : NULL;
	if (label && own && strcmp(label, own))
		block(s, t->task->vpid, "run the dump under the same label",
			"runs under the security label \"%s\", this command under \"%s\"", label,
			own);
	return 0;
}

/* AppArmor shows "profile (mode)", the image has the profile. */
static bool same_profile(const char *label, const char *profile)
{
	size_t len = strlen(profile);
	return !strncmp(label, profile, len) && (!label[len] || label[len] == ' ');
}

static int lsm_check(struct session *s, struct thread *t)
{
	const CredsEntry *e = t->core->thread_core->creds;
	if (!e || !e->lsm_profile || !*e->lsm_profile)
		return 0;
	const char *own = read_label(s, getpid());
	if (own && same_profile(own, e->lsm_profile))
		return 0;
	return fail_remedy(s, EOPNOTSUPP, "run the restore under that label",
		"pid %d thread %d: runs under the security label \"%s\", which cannot be set",
		t->task->vpid, t->vtid, e->lsm_profile);
}

const struct aspect lsm_aspect = {
	.name = "security label",
	.read = lsm_read,
	.check = lsm_check,
};
