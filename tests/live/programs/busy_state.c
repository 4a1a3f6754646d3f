/*
 * Much of everything at once: hundreds of timers, queued signals, scattered small mappings, a stack
 * pointer that is off. What the restore uses for itself must lie beside all of it.
 * PROVES: F050 F052 F054
 */
#include "check.h"

enum { TIMERS = 300, SIGNALS = 400, MAPS = 1000 };

/* The stack pointer is 8 off for the time of the wait. */
static __attribute__((noinline)) void park_unaligned(void)
{
	__asm__ volatile("sub $8, %%rsp\n"
			 "mov $35, %%eax\n" /* nanosleep, over and over */
			 "mov %0, %%rdi\n"
			 "xor %%esi, %%esi\n"
			 "syscall\n"
			 "add $8, %%rsp\n"
			 :
			 : "r"(&(struct timespec){0, 2000000})
			 : "rax", "rcx", "r11", "rdi", "rsi", "memory");
}

int main(int argc, char **argv)
{
	char *map[MAPS];
	int id[TIMERS];
	sigset_t set;
	siginfo_t info;
	struct itimerspec t;

	setup(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < TIMERS; i++) {
		struct sigevent ev = {.sigev_notify = SIGEV_NONE};

		NEED(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id[i]));
		t = (struct itimerspec){{9000 + i, 2}, {1000 + i, 1}};
		NEED(!syscall(SYS_timer_settime, id[i], 0, &t, NULL));
	}
	for (int i = 0; i < SIGNALS; i++)
		NEED(!sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
	for (int i = 0; i < MAPS; i++) {
		/* All over the address space, low and high. */
		void *at = (void *)((i % 3 ? 0x10000000UL : 0x100000000000UL) +
				    mix(i) % (1UL << 33) / PAGE * PAGE);

		map[i] = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		NEED(map[i] != MAP_FAILED);
		fill(map[i], PAGE, i);
	}
	ready();
	while (!released())
		park_unaligned();
	for (int i = 0; i < TIMERS; i++) {
		NEED(!syscall(SYS_timer_gettime, id[i], &t));
		NEED(t.it_interval.tv_sec == 9000 + i && t.it_interval.tv_nsec == 2);
		NEED(t.it_value.tv_sec <= 1000 + i && t.it_value.tv_sec > 900 + i);
	}
	for (int i = 0; i < SIGNALS; i++) {
		SAME(sigwaitinfo(&set, &info), SIGRTMIN);
		SAME(info.si_value.sival_int, i);
	}
	NEED(!sigpending(&set) && !sigismember(&set, SIGRTMIN));
	for (int i = 0; i < MAPS; i++)
		need_filled(map[i], PAGE, i);
	ok();
}
