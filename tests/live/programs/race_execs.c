/*
 * Processes that exec themselves as fast as they can: by their only thread, by one of several, by
 * one that is not the first (which takes over its number), and children that exec and end.
 * PROVES: F033
 * VARIANTS: scenario
 */
#include "race.h"

/* argv: DIR, how, beat, the pid that it must have */
static void again(const char *how, int beat)
{
	char number[16], self[16];

	snprintf(number, sizeof(number), "%d", beat);
	snprintf(self, sizeof(self), "%d", getpid());
	execl("/proc/self/exe", "race_execs", dir, how, number, self, NULL);
	bad("exec");
}

static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *exec_thread(void *arg)
{
	again("thread", (int)(long)arg);
	return NULL;
}

static void turn(char **argv)
{
	const char *how = argv[2];
	int beat = atoi(argv[3]);

	SAME(getpid(), atoi(argv[4]));
	SAME(syscall(SYS_gettid), getpid());
	race_beat(beat);
	if (!racing())
		_exit(9);
	if (!strcmp(how, "alone"))
		again(how, beat);
	race_thread(sleeper, 0);
	if (!strcmp(how, "first"))
		again(how, beat);
	race_thread(exec_thread, beat);
	sleeper(NULL);
}

static void begin(const char *how, int beat)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid == 0)
		again(how, beat);
}

static void exec_children(int beat)
{
	while (racing()) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		need_exit(pid, 0);
		race_beat(beat);
	}
}

int main(int argc, char **argv)
{
	int beat[4], status;

	race_setup(argc, argv);
	if (argc > 2)
		turn(argv);
	for (int i = 0; i < 4; i++)
		beat[i] = race_join();
	begin("alone", beat[0]);
	begin("first", beat[1]);
	begin("thread", beat[2]);
	pid_t pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		exec_children(beat[3]);
		_exit(9);
	}
	race_ready();
	for (int i = 0; i < 4; i++) {
		NEED(wait(&status) > 0);
		NEED(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	}
	ok();
}
