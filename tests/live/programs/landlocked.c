/*
 * A process or thread that landlock restricts, by name: "root"; "user": another user, restricted
 * after it became that; "thread": only one thread; "free": another user, not restricted;
 * "crowd": one of many that are alike otherwise.
 * VARIANTS: scenario
 */
#include "check.h"

#include <grp.h>
#include <pthread.h>

struct ruleset {
	uint64_t fs;
};

static void restrict_self(void)
{
	struct ruleset attr = {.fs = 1 << 1}; /* writing to files, which it is allowed nowhere */
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		skip("no landlock here");
	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(!syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
}

static void become_user(void)
{
	gid_t other = 77;

	NEED(!setgroups(1, &other) && !setresgid(1234, 1234, 1234) && !setresuid(1233, 1233, 1233));
}

static void *restricted_thread(void *unused)
{
	restrict_self();
	for (;;)
		syscall(SYS_pause, unused);
	return NULL;
}

static int ready_pipe[2];

/* It may not write to files any more. */
static void body(void *arg)
{
	const char *kind = arg;
	pthread_t thread;

	if (!strcmp(kind, "user") || !strcmp(kind, "free"))
		become_user();
	if (!strcmp(kind, "thread")) {
		NEED(!pthread_create(&thread, NULL, restricted_thread, NULL));
		await_threads_asleep();
	} else if (strcmp(kind, "free")) {
		restrict_self();
	}
	NEED(write(ready_pipe[1], "", 1) == 1);
	await("release");
}

static void unrestricted(void *unused)
{
	(void)unused;
	await("release");
}

int main(int argc, char **argv)
{
	enum { CROWD = 25, LATE = 5 };
	pid_t others[CROWD];
	char c;

	setup(argc, argv);
	NEED(!pipe(ready_pipe));
	int n = strcmp(argv[2], "crowd") ? 0 : CROWD;
	if (n)
		NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (int i = 0; i < n - LATE; i++)
		others[i] = spawn(unrestricted, NULL);
	pid_t pid = spawn(body, argv[2]);
	for (int i = n - LATE; n && i < n; i++)
		others[i] = spawn(unrestricted, NULL);
	NEED(read(ready_pipe[0], &c, 1) == 1);
	park();
	need_exit(pid, 0);
	for (int i = 0; i < n; i++)
		need_exit(others[i], 0);
	ok();
}
