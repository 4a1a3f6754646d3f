/*
 * Stopped children stay stopped, by SIGSTOP and by SIGTSTP, with one and with four threads;
 * SIGCONT sets all of their threads going.
 * PROVES: F012
 */
#include "check.h"
#include <pthread.h>

static void *worker(void *unused)
{
	await("release");
	return unused;
}

static void single(void *unused)
{
	(void)unused;
	child_park();
	_exit(5);
}

static void four_threads(void *unused)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		NEED(!pthread_create(&t[i], NULL, worker, NULL));
	await_threads_asleep();
	child_park();
	for (int i = 0; i < 3; i++)
		NEED(!pthread_join(t[i], &unused));
	_exit(5);
}

static void need_stopped(pid_t pid, int threads)
{
	char path[64], buf[2048];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	slurp(path, buf, sizeof(buf));
	char *count = strstr(buf, "Threads:");
	NEED(count);
	SAME(atoi(count + 8), threads);
	SAME(task_state(pid, pid), 'T');
}

int main(int argc, char **argv)
{
	static const struct {
		void (*body)(void *);
		int sig, threads;
	} kind[] = {{single, SIGSTOP, 1}, {single, SIGTSTP, 1}, {four_threads, SIGSTOP, 4},
		{four_threads, SIGTSTP, 4}};
	pid_t pid[4];
	int status;

	setup(argc, argv);
	for (int i = 0; i < 4; i++) {
		pid[i] = spawn(kind[i].body, NULL);
		SAME(setpgid(pid[i], pid[i]), 0);
		await_child(pid[i]);
		SAME(kill(pid[i], kind[i].sig), 0);
		SAME(waitpid(pid[i], &status, WUNTRACED), pid[i]);
		NEED(WIFSTOPPED(status) && WSTOPSIG(status) == kind[i].sig);
	}
	park();
	nap_ms(50);
	for (int i = 0; i < 4; i++) {
		need_stopped(pid[i], kind[i].threads);
		SAME(kill(pid[i], SIGCONT), 0);
		need_exit(pid[i], 5);
	}
	ok();
}
