/*
 * Membarrier registrations: the registered commands go on working, the others stay refused.
 * PROVES: F004
 */
#include "check.h"
#include <linux/membarrier.h>

#define GET_REGISTRATIONS (1 << 9)

static int membarrier(int cmd, unsigned int flags)
{
	return syscall(SYS_membarrier, cmd, flags, 0);
}

static void child(void *arg)
{
	int registrations = *(int *)arg;

	for (int bit = 0; bit < 9; bit++)
		if (registrations & 1 << bit && membarrier(1 << bit, 0))
			bad("membarrier %#x", 1 << bit);
	SAME(membarrier(GET_REGISTRATIONS, 0), registrations);
	child_park();
	SAME(membarrier(GET_REGISTRATIONS, 0), registrations);
	int private = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
	SAME(private, registrations & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED ? 0 : -1);
}

int main(int argc, char **argv)
{
	static const int kind[] = {0, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
		MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |
			MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED};
	pid_t pid[4];

	setup(argc, argv);
	if (membarrier(GET_REGISTRATIONS, 0) < 0)
		skip("membarrier does not tell registrations before Linux 6.3");
	for (int i = 0; i < 4; i++) {
		int want = kind[i];

		pid[i] = spawn(child, &want);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < 4; i++)
		need_exit(pid[i], 0);
	ok();
}
