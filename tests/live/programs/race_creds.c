/*
 * Credentials, capabilities, names, limits, priorities, masks, directories and actions changed as
 * fast as it goes, by threads each for itself and by children: each thread has what it set last.
 * PROVES: F034
 * VARIANTS: scenario
 */
#include "race.h"
#include <linux/capability.h>
#include <sys/resource.h>

static void need_ids(int call, unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int r, e, s;

	NEED(!syscall(call, &r, &e, &s));
	NEED(r == a && e == b && s == c);
}

/* The raw calls change this thread alone; real and saved user stay 0, so there is a way back. */
static void *ids(void *arg)
{
	for (unsigned int i = 1; racing(); i++) {
		unsigned int id = 1000 + i % 7;

		NEED(!syscall(SYS_setresgid, id, id + 1, 0));
		NEED(!syscall(SYS_setresuid, 0, id, 0));
		need_ids(SYS_getresuid, 0, id, 0);
		need_ids(SYS_getresgid, id, id + 1, 0);
		NEED(!syscall(SYS_setresuid, 0, 0, 0));
		NEED(!syscall(SYS_setresgid, 0, 0, 0));
		need_ids(SYS_getresuid, 0, 0, 0);
		race_beat((long)arg);
	}
	return NULL;
}

static void *capabilities(void *arg)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct full[2], less[2], got[2];

	NEED(!syscall(SYS_capget, &h, full));
	for (unsigned int i = 0; racing(); i++) {
		memcpy(less, full, sizeof(less));
		less[0].effective &= ~(1u << (i % 20));
		NEED(!syscall(SYS_capset, &h, less));
		NEED(!syscall(SYS_capget, &h, got));
		NEED(!memcmp(got, less, sizeof(got)));
		NEED(!syscall(SYS_capset, &h, full));
		race_beat((long)arg);
	}
	return NULL;
}

static void *names(void *arg)
{
	for (unsigned int i = 0; racing(); i++) {
		char name[16], got[16];

		snprintf(name, sizeof(name), "race) %u(", i % 1000);
		NEED(!prctl(PR_SET_NAME, name));
		NEED(!prctl(PR_GET_NAME, got));
		NEED(!strcmp(name, got));
		NEED(!prctl(PR_SET_TIMERSLACK, 1000 + i % 50000));
		SAME(prctl(PR_GET_TIMERSLACK), 1000 + i % 50000);
		NEED(!setpriority(PRIO_PROCESS, 0, (int)(i % 5)));
		SAME(getpriority(PRIO_PROCESS, 0), i % 5);
		race_beat((long)arg);
	}
	return NULL;
}

static void *masks(void *arg)
{
	for (unsigned int i = 0; racing(); i++) {
		sigset_t set, got;
		char stack[8192];
		stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)}, now;
		const stack_t none = {.ss_flags = SS_DISABLE};

		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN + 5 + (int)(i % 20));
		NEED(!pthread_sigmask(SIG_SETMASK, &set, NULL));
		NEED(!sigaltstack(&alt, NULL) && !sigaltstack(NULL, &now));
		NEED(now.ss_sp == stack && now.ss_size == sizeof(stack));
		NEED(!sigaltstack(&none, NULL));
		NEED(!pthread_sigmask(SIG_SETMASK, NULL, &got));
		for (int k = SIGRTMIN + 5; k < SIGRTMIN + 25; k++)
			SAME(sigismember(&got, k), sigismember(&set, k));
		race_beat((long)arg);
	}
	return NULL;
}

/* What belongs to the process: only this thread changes it. */
static void process_wide(int beat)
{
	char here[2][600], got[600];

	for (int i = 0; i < 2; i++) {
		snprintf(here[i], sizeof(here[i]), "%s/cwd%d", dir, i);
		mkdir(here[i], 0700);
	}
	for (unsigned int i = 0; racing(); i++) {
		struct rlimit want = {100 + i % 50, 1000}, limit;
		struct sigaction action = {.sa_handler = i % 2 ? SIG_IGN : SIG_DFL,
					 .sa_flags = i % 3 ? SA_RESTART : 0},
				 had;

		NEED(!chdir(here[i % 2]) && getcwd(got, sizeof(got)));
		NEED(!strcmp(got, here[i % 2]));
		umask(i % 0777);
		SAME(umask(i % 0777), i % 0777);
		NEED(!setrlimit(RLIMIT_NOFILE, &want) && !getrlimit(RLIMIT_NOFILE, &limit));
		SAME(limit.rlim_cur, want.rlim_cur);
		NEED(!sigaction(SIGUSR2, &action, NULL) && !sigaction(SIGUSR2, NULL, &had));
		NEED(had.sa_handler == action.sa_handler);
		NEED((had.sa_flags & SA_RESTART) == (action.sa_flags & SA_RESTART));
		NEED(!prctl(PR_SET_DUMPABLE, i % 2) && prctl(PR_GET_DUMPABLE) == (int)(i % 2));
		NEED(!prctl(PR_SET_CHILD_SUBREAPER, i % 2));
		race_beat(beat);
	}
	NEED(!prctl(PR_SET_DUMPABLE, 1));
}

/* Sessions and groups: a child leaves its parent's. */
static void groups(int beat)
{
	while (racing()) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0) {
			NEED(!setpgid(0, 0) && getpgrp() == getpid());
			if (fork() == 0) {
				NEED(setsid() == getpid());
				NEED(getsid(0) == getpid() && getpgrp() == getpid());
				_exit(0);
			}
			NEED(wait(NULL) > 0);
			_exit(22);
		}
		need_exit(pid, 22);
		race_beat(beat);
	}
}

int main(int argc, char **argv)
{
	void *(*const body[])(void *) = {ids, ids, capabilities, names, masks};
	enum { N = sizeof(body) / sizeof(body[0]) };
	pthread_t t[N];
	pid_t pid[2];

	race_setup(argc, argv);
	for (int i = 0; i < 2; i++) {
		int beat = race_join();

		pid[i] = fork();
		NEED(pid[i] >= 0);
		if (pid[i] == 0) {
			(i ? groups : process_wide)(beat);
			_exit(0);
		}
	}
	for (int i = 0; i < N; i++)
		t[i] = race_thread(body[i], race_join());
	race_ready();
	for (int i = 0; i < N; i++)
		NEED(!pthread_join(t[i], NULL));
	for (int i = 0; i < 2; i++)
		need_exit(pid[i], 0);
	ok();
}
