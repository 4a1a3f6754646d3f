/*
 * Children, orphans, groups of threads that end as one, and zombies, made and gone as fast as it
 * goes: every exit code arrives, every orphan comes to the subreaper.
 * PROVES: F031 F033
 * VARIANTS: scenario
 */
#include "race.h"

enum { FORKERS = 2 };

/* Plain children; of every third, the death is waited for late. */
static void forker(void *arg)
{
	int beat = *(int *)arg;

	for (int i = 0; racing(); i++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0)
			_exit(i % 100);
		if (i % 3 == 0)
			sched_yield();
		need_exit(pid, i % 100);
		race_beat(beat);
	}
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void *sleeper(void *unused)
{
	pause();
	return unused;
}

static void *ender(void *code)
{
	syscall(SYS_exit_group, (int)(long)code);
	return NULL;
}

/* A group that one of its threads, never the first, ends for all. */
static void group(int code)
{
	race_thread(sleeper, 0);
	race_thread(ender, code);
	pause();
	bad("alive after exit_group");
}

static void group_forker(void *arg)
{
	int beat = *(int *)arg;

	for (int i = 0; racing(); i++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0)
			group(i % 100);
		need_exit(pid, i % 100);
		race_beat(beat);
	}
}

/* The child ends before its own child, which comes to us. */
static void subreaper(void *arg)
{
	int beat = *(int *)arg;

	NEED(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	for (int i = 0; racing(); i++) {
		int status, seen = 0;
		pid_t pid = fork(), got;

		NEED(pid >= 0);
		if (pid == 0) {
			if (fork() == 0) {
				if (i % 2)
					sched_yield();
				_exit(77);
			}
			_exit(33);
		}
		while ((got = waitpid(-1, &status, 0)) > 0) {
			NEED(WIFEXITED(status));
			SAME(WEXITSTATUS(status), got == pid ? 33 : 77);
			seen++;
		}
		NEED(errno == ECHILD);
		SAME(seen, 2);
		race_beat(beat);
	}
}

/* Nobody waits for these: the kernel reaps them, and their numbers are free at once. */
static void careless(void *arg)
{
	int beat = *(int *)arg;

	signal(SIGCHLD, SIG_IGN);
	while (racing()) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0)
			_exit(1);
		NEED(waitpid(pid, NULL, 0) == -1 && errno == ECHILD);
		race_beat(beat);
	}
}

int main(int argc, char **argv)
{
	void (*const body[])(void *) = {forker, forker, group_forker, subreaper, careless};
	enum { N = sizeof(body) / sizeof(body[0]) };
	pid_t pid[N];

	race_setup(argc, argv);
	for (int i = 0; i < N; i++) {
		int beat = race_join();

		pid[i] = spawn(body[i], &beat);
	}
	race_ready();
	while (racing())
		nap_ms(2);
	for (int i = 0; i < N; i++)
		need_exit(pid[i], 0);
	ok();
}
