/*
 * Restartable sequences: every thread is still registered with the area, length and signature it
 * had, the kernel goes on writing to the area, and a thread that never registered still is not.
 * PROVES: F063
 */
#include "check.h"
#include <linux/rseq.h>
#include <pthread.h>
#include <sys/rseq.h>

static volatile int up;

static struct rseq *libc_area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long sys_rseq(struct rseq *area, int flags, uint32_t sig)
{
	return syscall(SYS_rseq, area, 32, flags, sig);
}

/* Asking again with the same values says EBUSY, with others EINVAL or EPERM. */
static void need_registered(struct rseq *area, uint32_t sig)
{
	NEED(sys_rseq(area, 0, sig) == -1 && errno == EBUSY);
	NEED(sys_rseq(area + 8, 0, sig) == -1 && errno == EINVAL);
	NEED(sys_rseq(area, 0, sig + 1) == -1 && errno == EPERM);
	for (int i = 0; i < 100; i++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(i % 2, &one);
		if (!sched_setaffinity(0, sizeof(one), &one))
			SAME(*(volatile uint32_t *)&area->cpu_id, (unsigned int)i % 2);
	}
}

static void *own_area(void *unused)
{
	static struct rseq own[16] __attribute__((aligned(32)));

	NEED(!sys_rseq(libc_area(), RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	NEED(!sys_rseq(own, 0, 0xabcdef));
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	need_registered(own, 0xabcdef);
	NEED(!sys_rseq(own, RSEQ_FLAG_UNREGISTER, 0xabcdef));
	return unused;
}

static void *none(void *unused)
{
	NEED(!sys_rseq(libc_area(), RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	NEED(!sys_rseq(libc_area(), 0, RSEQ_SIG));
	return unused;
}

static void *by_libc(void *unused)
{
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	need_registered(libc_area(), RSEQ_SIG);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t t[3];

	setup(argc, argv);
	if (!__rseq_size)
		skip("this libc does not register rseq");
	NEED(!pthread_create(&t[0], NULL, own_area, NULL));
	NEED(!pthread_create(&t[1], NULL, none, NULL));
	NEED(!pthread_create(&t[2], NULL, by_libc, NULL));
	while (up < 3)
		nap_ms(1);
	park();
	need_registered(libc_area(), RSEQ_SIG);
	for (int i = 0; i < 3; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
