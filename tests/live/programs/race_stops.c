/*
 * Children stopped and continued as fast as it goes: by their parent, by themselves, with one
 * thread and with four, by SIGSTOP and SIGTSTP.  Who was stopped stays so until the SIGCONT, who
 * was continued goes on, and handlers of SIGCONT run once for each.
 * PROVES: F012 F028
 * VARIANTS: scenario
 */
#include "race.h"

static volatile uint64_t *counter; /* shared with the child that counts */

static void *count(void *unused)
{
	for (;;)
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	return unused;
}

static void counting(int threads)
{
	for (int i = 1; i < threads; i++)
		race_thread(count, 0);
	count(NULL);
}

static void await_state(pid_t pid, bool stopped)
{
	for (int i = 0; (task_state(pid, pid) == 'T') != stopped; i++) {
		if (i > 20000)
			bad("child %d is in state %c", pid, task_state(pid, pid));
		nap_us(500);
	}
}

/* Stopped tasks stand still. During a dump their state may be another, for it looks at them. */
static void need_still(pid_t pid)
{
	uint64_t before = *counter;

	for (int i = 0; i < 3; i++) {
		await_state(pid, true);
		sched_yield();
	}
	SAME(*counter, before);
}

static void stopper(int threads, int signo, int beat)
{
	pid_t pid;
	int status;

	counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(counter != MAP_FAILED);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0)
		counting(threads);
	NEED(!setpgid(pid, pid)); /* not orphaned: SIGTSTP stops it */
	for (int i = 0; racing(); i++) {
		uint64_t before;

		NEED(!kill(pid, signo));
		await_state(pid, true);
		if (i % 2) {
			SAME(waitpid(pid, &status, WUNTRACED), pid);
			NEED(WIFSTOPPED(status) && WSTOPSIG(status) == signo);
		}
		need_still(pid);
		before = *counter;
		NEED(!kill(pid, SIGCONT));
		await_state(pid, false);
		while (*counter == before)
			sched_yield();
		race_beat(beat);
	}
	NEED(!kill(pid, SIGKILL));
	while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
		;
}

/* Stops itself; its parent continues it. Its handler of SIGCONT must have run by then. */
static volatile int continued;

static void on_cont(int signo)
{
	(void)signo;
	continued++;
}

static void self_stopper(int beat)
{
	for (int i = 1; racing(); i++) {
		NEED(!raise(SIGSTOP));
		SAME(continued, i);
		race_beat(beat);
	}
	_exit(8);
}

static void stop_itself(int beat)
{
	pid_t pid;
	int status;

	signal(SIGCONT, on_cont);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0)
		self_stopper(beat);
	signal(SIGCONT, SIG_DFL);
	while (waitpid(pid, &status, WUNTRACED) == pid && !WIFEXITED(status)) {
		NEED(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		await_state(pid, true);
		NEED(!kill(pid, SIGCONT));
	}
	SAME(WEXITSTATUS(status), 8);
}

int main(int argc, char **argv)
{
	pid_t pid[4];

	race_setup(argc, argv);
	for (int i = 0; i < 4; i++) {
		int beat = race_join();

		pid[i] = fork();
		NEED(pid[i] >= 0);
		if (pid[i] == 0) {
			if (i == 3)
				stop_itself(beat);
			else
				stopper(i == 1 ? 4 : 1, i == 2 ? SIGTSTP : SIGSTOP, beat);
			_exit(0);
		}
	}
	race_ready();
	while (racing())
		nap_ms(2);
	for (int i = 0; i < 4; i++)
		need_exit(pid[i], 0);
	ok();
}
