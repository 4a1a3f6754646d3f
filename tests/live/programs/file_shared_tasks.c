/*
 * One file mapped shared by tasks that opened it each for itself: writes of one are seen by all,
 * after the restore as before; a private mapping of one of them stays its own.
 * PROVES: F066
 */
#include "check.h"

enum { TASKS = 4 };

static volatile uint64_t *map(int prot, int flags)
{
	int fd = open(in_dir("file"), O_RDWR);
	void *p = mmap(NULL, 4 * PAGE, prot, flags, fd, 0);

	NEED(fd >= 0 && p != MAP_FAILED);
	close(fd);
	return p;
}

static void task(void *arg)
{
	int id = *(int *)arg;
	volatile uint64_t *shared = map(PROT_READ | PROT_WRITE, MAP_SHARED),
			  *private = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);

	shared[id] = id + 1;
	private[PAGE / 8 + id] = id + 50;
	child_park();
	for (int i = 0; i < TASKS; i++) {
		SAME(shared[i], i + 1);
		SAME(private[PAGE / 8 + i], i == id ? i + 50 : 0);
	}
	shared[100 + id] = id + 1000;
	for (int i = 0; i < TASKS; i++)
		for (int n = 0; shared[100 + i] != (uint64_t)i + 1000; n++) {
			NEED(n < 5000);
			nap_ms(1);
		}
}

int main(int argc, char **argv)
{
	pid_t pid[TASKS];

	setup(argc, argv);
	int fd = open(in_dir("file"), O_CREAT | O_RDWR, 0600);
	NEED(fd >= 0 && !ftruncate(fd, 4 * PAGE));
	close(fd);
	for (int i = 0; i < TASKS; i++) {
		pid[i] = spawn(task, &i);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < TASKS; i++)
		need_exit(pid[i], 0);
	ok();
}
