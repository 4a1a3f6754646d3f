/*
 * A sleep that was stopped and continued before the dump sits in restart_syscall, not in the call
 * it made: it still lasts its full time, or says EINTR with what is left.
 * PROVES: F004
 */
#include "check.h"
#include <poll.h>

#define LIMIT_MS 1500

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void sleeper(void *unused)
{
	struct timespec t = {LIMIT_MS / 1000, LIMIT_MS % 1000 * 1000000L}, rem = {99, 99};
	int64_t start = now_ms();

	(void)unused;
	say("sleeping", "");
	while (syscall(SYS_nanosleep, &t, &rem) != 0) {
		SAME(errno, EINTR);
		int64_t left = rem.tv_sec * 1000 + rem.tv_nsec / 1000000;

		NEED(left >= 0 && left <= LIMIT_MS);
		t = rem;
	}
	NEED(now_ms() - start >= LIMIT_MS - 1);
}

static void poller(void *unused)
{
	int64_t start = now_ms();
	int n;

	(void)unused;
	say("polling", "");
	n = poll(NULL, 0, LIMIT_MS);
	NEED((n == 0 && now_ms() - start >= LIMIT_MS - 1) || (n == -1 && errno == EINTR));
}

static void need_in_restart(pid_t pid)
{
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; i < 1000; i++) {
		slurp(path, buf, sizeof(buf));
		if (atoi(buf) == SYS_restart_syscall)
			return;
		nap_ms(1);
	}
	bad("%d is in %s", pid, buf);
}

int main(int argc, char **argv)
{
	pid_t pid[2];
	int status;

	setup(argc, argv);
	pid[0] = spawn(sleeper, NULL);
	pid[1] = spawn(poller, NULL);
	await("sleeping");
	await("polling");
	nap_ms(30);
	for (int i = 0; i < 2; i++) {
		SAME(kill(pid[i], SIGSTOP), 0);
		SAME(waitpid(pid[i], &status, WUNTRACED), pid[i]);
		SAME(kill(pid[i], SIGCONT), 0);
		need_in_restart(pid[i]);
	}
	park();
	need_exit(pid[0], 0);
	need_exit(pid[1], 0);
	ok();
}
