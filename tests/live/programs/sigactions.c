/*
 * The action of every signal, as the kernel keeps it: handler, flags, restorer, mask.
 * PROVES: F005
 */
#include "check.h"

struct action {
	unsigned long handler, flags, restorer, mask;
};

static void on_one(int sig)
{
	(void)sig;
}

static void on_two(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
}

static void set(int sig, struct action *a)
{
	static const unsigned long flags[] = {SA_RESTART, SA_NODEFER, SA_RESETHAND, SA_NOCLDSTOP,
		SA_ONSTACK, SA_NOCLDWAIT, 0, SA_RESTART | SA_NODEFER | SA_ONSTACK};
	struct sigaction ask = {.sa_handler = on_one};

	/* Any libc handler brings the restorer that the kernel insists on. */
	NEED(!sigaction(SIGUSR1, &ask, NULL));
	NEED(!syscall(SYS_rt_sigaction, SIGUSR1, NULL, a, 8));
	switch (sig % 4) {
	case 0:
		a->handler = (unsigned long)on_one;
		break;
	case 1:
		a->handler = (unsigned long)on_two;
		a->flags |= SA_SIGINFO;
		break;
	case 2:
		a->handler = (unsigned long)SIG_IGN;
		break;
	default:
		a->handler = (unsigned long)SIG_DFL;
	}
	a->flags = (a->flags & (0x04000000 | SA_SIGINFO)) | flags[sig % 8];
	/* KILL and STOP cannot be in a mask. */
	a->mask = mix(sig) & ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1));
}

int main(int argc, char **argv)
{
	struct action want[65] = {0}, now;

	setup(argc, argv);
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			set(sig, &want[sig]);
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			NEED(!syscall(SYS_rt_sigaction, sig, &want[sig], NULL, 8));
	park();
	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		NEED(!syscall(SYS_rt_sigaction, sig, NULL, &now, 8));
		if (memcmp(&now, &want[sig], sizeof(now)))
			bad("signal %d: handler %#lx flags %#lx restorer %#lx mask %#lx, not %#lx "
			    "%#lx "
			    "%#lx %#lx",
				sig, now.handler, now.flags, now.restorer, now.mask,
				want[sig].handler, want[sig].flags, want[sig].restorer,
				want[sig].mask);
	}
	ok();
}
